"""Processes of the demo: started, read, ended, and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.demo import children
from benchmarks.demo.children import Child, memory_mb
from benchmarks.demo.service import DemoError
from benchmarks.demo.session import Options, Session
from tests.corpus import ROOT
from tests.processes import command

SHOP = ROOT / "tests" / "benchmarks" / "data" / "shop.yaml"
STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
PARENT = """
import asyncio, sys
from pathlib import Path
from benchmarks.demo.children import Child
async def main():
    child = Child((sys.executable, "-c", "import time; time.sleep(600)"), {}, Path(sys.argv[1]))
    await child.start()
    print(child.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def python(code: str, folder: Path) -> Child:
    """A child that runs some Python."""
    return Child((sys.executable, "-c", code), os.environ, folder / "log")


async def test_a_child_is_read_and_ends(tmp_path: Path) -> None:
    """Lines of its output, its exit code, the end of its log."""
    child = python("import sys; print('hello'); print('bad', file=sys.stderr); sys.exit(3)", tmp_path)
    await child.start()
    assert await child.line() == b"hello\n"
    assert await child.wait() == child.ended == 3
    assert child.last_words() == "bad"
    await child.stop()


async def test_a_child_that_ignores_the_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time to stop it goes by force, with its own children."""
    monkeypatch.setattr(children, "STOP_S", 0.05)
    child = python(
        "import subprocess,sys; subprocess.Popen([sys.executable,'-c',sys.argv[1]])\n" + STUBBORN, tmp_path
    )
    child._argv = (*child._argv, STUBBORN)
    await child.start()
    await child.line()
    await child.line()
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    assert len(family) == 2
    await child.stop()
    assert child.ended == -signal.SIGKILL
    _, alive = psutil.wait_procs(family[1:], timeout=10)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal at a parent's death is Linux's own")
def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """kill -9 of the demo leaves nobody behind."""
    argv = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive or child.status() == psutil.STATUS_ZOMBIE


def test_memory_of_a_process() -> None:
    """The resident memory of a process without a store is counted; that of nobody is zero."""
    argv = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        service, store = memory_mb(process.pid)
        process.communicate(b"\n")
    assert service > 1
    assert store == 0
    assert memory_mb(0x7FFFFFFF) == (0, 0)


async def test_a_service_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    """Its own error message reaches the terminal."""
    broken = (sys.executable, "-c", "import sys; sys.exit('no store to be found')")
    session = Session(
        Options(service=broken, campaigns=SHOP), tmp_path, lambda reading: None, lambda text: None
    )
    with pytest.raises(DemoError, match="no store to be found"):
        await session.run()


async def test_an_interrupt_before_the_service_is_ready_ends_it(tmp_path: Path) -> None:
    """A signal while starting: the service is stopped, and the demo says so."""
    silent = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")
    started: list[psutil.Process] = []

    def interrupt(text: str) -> None:
        started.extend(child for child in psutil.Process().children() if silent[2] in command(child))
        os.kill(os.getpid(), signal.SIGINT)

    session = Session(Options(service=silent, campaigns=SHOP), tmp_path, lambda reading: None, interrupt)
    with pytest.raises(DemoError, match="interrupted"):
        await session.run()
    assert started
    assert not any(process.is_running() for process in started)
