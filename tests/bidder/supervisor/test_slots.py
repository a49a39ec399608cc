"""A worker whose loop stands still is killed and replaced; one that beats, or never did, is left alone."""

import asyncio
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bidder.config import SUCCEEDED, Announcement, Config, WorkerSetup
from bidder.metrics import TallyReader
from bidder.stores.embedded import free_port
from bidder.supervisor import children
from bidder.supervisor.slots import Slot
from tests.bidder.supervisor.serving import until
from tests.servers import eventually

STANDIN = (sys.executable, "-m", "tests.bidder.supervisor.standin")
pytestmark = pytest.mark.process


def _slot(folder: Path) -> Slot:
    ports = (free_port(), free_port())

    def setup(number: int, descriptor: int) -> WorkerSetup:
        return WorkerSetup(
            slot=number,
            redis_url="",
            tally_path=str(folder / "tally"),
            token_keys=(),
            exchange_port=ports[0],
            public_port=ports[1],
            base_url="http://127.0.0.1",
            announce_fd=descriptor,
        )

    return Slot(0, STANDIN, Config(), setup)


@contextmanager
def _no_files_left() -> Iterator[None]:
    """This process can open none."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open("rb") as next_one:
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_one.fileno(), limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def _until(slot: Slot, done: str) -> None:
    await asyncio.to_thread(until, lambda: getattr(slot, done), done)


async def test_a_worker_that_cannot_be_started_died(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No file is left for it: the death is counted, the next tries come later and later, and the slot is failing.
    Once there are some again it starts."""
    slot = _slot(tmp_path)
    with _no_files_left():
        keeping = asyncio.create_task(slot.keep())
        await eventually(lambda: slot.failing or keeping.done())
        assert not keeping.done()
    assert "worker 0 cannot be started: [Errno 24]" in caplog.text
    assert "started again in 0.2 s" in caplog.text
    assert slot.restarts >= 3
    await _until(slot, "ready")
    slot.stop()
    await keeping


async def test_a_worker_that_nobody_could_wait_for_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread is left to wait for its end: as where no process is."""
    slot, real = _slot(tmp_path), asyncio.create_subprocess_exec

    async def one_less(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(asyncio, "create_subprocess_exec", real)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", one_less)
    keeping = asyncio.create_task(slot.keep())
    await eventually(lambda: slot.ready or keeping.done())
    assert (slot.ready, slot.restarts, slot.young_deaths) == (True, 1, 1)
    slot.stop()
    await keeping


async def test_a_worker_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It beat, then did not for HUNG_LOOKS looks: it is killed, counted, and another takes its place."""
    monkeypatch.setattr(children, "LOOK_S", 0.2)
    monkeypatch.setattr(children, "HUNG_LOOKS", 4)
    monkeypatch.setenv("STANDIN", "hung")
    slot = _slot(tmp_path)
    keeping = asyncio.create_task(slot.keep())
    await _until(slot, "restarts")
    assert slot.hung == 1
    await _until(slot, "ready")
    slot.stop()
    await keeping


@pytest.mark.parametrize(
    ("announced", "said"),
    [
        (Announcement(ready=True), "worker 0 is ready"),
        (Announcement(ready=False, detail="draining"), "worker 0 is not ready: draining"),
        (Announcement(ready=False, detail=SUCCEEDED), "the old worker 0 is taken out of service"),
    ],
)
def test_what_the_log_says_of_an_announcement(tmp_path: Path, announced: Announcement, said: str) -> None:
    """Of two that have the same name for a moment, the one that leaves is not taken for the one that came."""
    assert children.Child("worker 0", tmp_path / "tally", lambda: None)._sentence(announced) == said


@pytest.mark.parametrize("mode", ["alive", ""])
async def test_a_worker_that_goes_on_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """So does a process that beats never, as helpers do."""
    monkeypatch.setattr(children, "LOOK_S", 0.1)
    monkeypatch.setattr(children, "HUNG_LOOKS", 10)
    looks: list[int] = []

    class Looked(TallyReader):
        @property
        def beats(self) -> int:
            looks.append(super().beats)
            return looks[-1]

    monkeypatch.setattr(children, "TallyReader", Looked)
    monkeypatch.setenv("STANDIN", mode)
    slot = _slot(tmp_path)
    keeping = asyncio.create_task(slot.keep())
    await _until(slot, "ready")
    await asyncio.to_thread(until, lambda: len(looks) >= 3 * children.HUNG_LOOKS, "looks")
    assert (slot.hung, slot.restarts) == (0, 0)
    slot.stop()
    await keeping
