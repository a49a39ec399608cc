"""The image's Dockerfile: what it is made of, and that what its steps make runs from a tree that nobody may change.

No engine builds the image here: its steps are carried out in a folder, and the program runs as process 1 of a process
namespace.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bidder.supervisor.serving import until
from tests.image.dockerfile import ROOT, Replay, stages, words
from tests.processes import command
from tests.test_lock import _by_pip

TEXT = (ROOT / "Dockerfile").read_text()
BUILDER, FINAL = stages(TEXT)
OURS = {
    key: value for name, rest in FINAL if name == "ENV" for key, value in re.findall(r"(\w+)=(\S*)", rest)
}
"""The image's own variables."""


def test_the_image_runs_as_nobody_from_words_alone() -> None:
    """A numeric user that is not root, no step and no start through a shell, signals for the supervisor itself, a
    health check, and labels."""
    final = dict(reversed(FINAL))
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", final["USER"])
    for name, rest in [*BUILDER, *FINAL]:
        if name in ("RUN", "CMD", "ENTRYPOINT"):
            assert words(rest)
    assert words(final["ENTRYPOINT"]) == ["paceline"]
    assert words(final["CMD"]) == ["serve"]
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert words(final["HEALTHCHECK"].partition("CMD ")[2]) == ["python", "-m", "bidder", "probe"]
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in final["LABEL"]
    assert not [rest for name, rest in FINAL if name == "RUN"]
    assert [rest for name, rest in [BUILDER[0], FINAL[0]]] == ["${PYTHON} AS builder", "${PYTHON}"]


def test_what_is_copied_is_what_is_not_ignored() -> None:
    """The build's context has the files that the steps copy, and no others: no secrets, no tests, no history."""
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {source for name, rest in BUILDER if name == "COPY" for source in rest.split()[:-1]}
    assert copied == allowed
    assert "*" in ignored
    assert all((ROOT / each).exists() for each in copied)


def interpreter() -> str:
    """The image's Python where there is one, else the one that runs this."""
    version = re.search(r"python:(3\.\d+)", TEXT)
    assert version is not None
    named = shutil.which(f"python{version[1]}")
    if named is not None:
        probe = subprocess.run([named, "-c", "import venv, ensurepip"], capture_output=True, check=False)
        if probe.returncode == 0:
            return named
    return sys.executable


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the builder leaves behind, which nobody may write any more."""
    root = tmp_path_factory.mktemp("image")
    Replay(root, interpreter()).run(
        step
        for step in BUILDER
        if "compileall" not in step[1]  # half a minute, and it changes nothing that runs
    )
    for folder, folders, files in os.walk(root / "opt" / "paceline"):
        for each in (*folders, *files):
            path = Path(folder) / each
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)
    yield root
    subprocess.run(["chmod", "-R", "u+w", str(root)], check=True)


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, its size and when it was written."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in files}


def ran(built: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(built / "opt/paceline/bin/paceline"), *arguments],
        cwd=built / "opt" / "data",
        env={**OURS, "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_locks_install_and_the_program_runs(built: Path) -> None:
    """Every wheel of the runtime lock installs by its hash into a clean venv, together with ours: `paceline --version`,
    `check` and `campaigns list` work, from a tree that is read only."""
    assert re.fullmatch(r"paceline \d+\.\d+\.\d+\n", ran(built, "--version").stdout)
    data = built / "opt" / "data" / "checked"
    checked = ran(
        built, "check", PACELINE_DATA_DIR=str(data), PACELINE_EXCHANGE_PORT="0", PACELINE_PUBLIC_PORT="0",
        PACELINE_OPS_PORT="0", PACELINE_REDIS_URL="redis://127.0.0.1:1",
    )  # fmt: skip
    assert "ok     configuration" in checked.stdout, checked.stdout + checked.stderr
    assert "ok     campaigns" in checked.stdout
    assert "Traceback" not in checked.stderr


def test_no_tool_of_developers_is_in_it(built: Path) -> None:
    """The venv holds the runtime lock and Paceline, each with its metadata, which a bill of materials is made from, and
    nothing that installs, tests or checks."""
    (site,) = (built / "opt/paceline/lib").glob("python*/site-packages")
    found = {re.split(r"-\d", each.name)[0].lower().replace("_", "-") for each in site.glob("*.dist-info")}
    locked = set(_by_pip("requirements-runtime.lock"))
    assert found <= locked | {"paceline"}
    assert {"paceline", "aiohttp", "numpy", "duckdb", "scipy"} <= found
    assert not (built / "opt/paceline/bin/pip").exists()


def test_our_wheel_is_the_same_every_time(built: Path, tmp_path: Path) -> None:
    """Built again of the same sources, the wheel has the same bytes."""
    (first,) = (built / "opt/wheel").glob("*.whl")
    python = str(built / "opt/build/bin/python")
    environment = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1767225600"}
    subprocess.run(
        [python, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=built / "src", env=environment, check=True, capture_output=True,
    )  # fmt: skip
    assert (tmp_path / first.name).read_bytes() == first.read_bytes()


@pytest.mark.process
def test_it_serves_as_process_1_and_ends_on_sigterm(built: Path) -> None:
    """As the first process of its namespace it starts, is found ready by its own health check, leaves no zombies when
    workers die, drains on SIGTERM with 0, takes everything that it started with it, and has changed nothing in the
    tree that it runs from."""
    before = contents(built / "opt" / "paceline")
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode != 0:
        pytest.skip("no process namespaces here")
    data = built / "opt" / "data" / "first"
    from tests.servers import RealServer

    people, money = RealServer(data.with_name("people")), RealServer(data.with_name("money"))
    people.start(), money.start()
    variables = OURS | {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PACELINE_DATA_DIR": str(data), "PACELINE_WORKERS": "1",
        "PACELINE_EXCHANGE_PORT": "0", "PACELINE_PUBLIC_PORT": "0", "PACELINE_OPS_PORT": "0",
        "PACELINE_REDIS_URL": people.url, "PACELINE_LEDGER_URL": money.url,
    }  # fmt: skip
    log = data.with_suffix(".log")
    with log.open("wb") as out:
        outer = subprocess.Popen(
            [*unshare, str(built / "opt/paceline/bin/paceline"), "serve"],
            env=variables, cwd=built / "opt" / "data", stdout=out, stderr=out,
        )  # fmt: skip
    try:
        (first,) = until(lambda: psutil.Process(outer.pid).children(), "process 1")
        until(
            lambda: _alive(outer, log) and ran(built, "probe", **variables).returncode == 0, "its readiness"
        )
        worker = next(each for each in first.children() if "worker" in command(each))
        worker.kill()
        until(
            lambda: any("worker" in command(each) and each.pid != worker.pid for each in first.children()),
            "the next worker",
        )
        assert not [each for each in first.children(recursive=True) if each.status() == psutil.STATUS_ZOMBIE]
        family = first.children(recursive=True)
        first.terminate()
        assert outer.wait(60) == 0, log.read_text()[-3_000:]
        assert not psutil.wait_procs(family, 10)[1]
        assert contents(built / "opt" / "paceline") == before
    finally:
        outer.kill()
        outer.wait()
        people.close(), money.close()


def _alive(process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-3_000:]
    return True
