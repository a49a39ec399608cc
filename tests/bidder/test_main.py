"""The command line."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from bidder.__main__ import main


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--version says the version; --help lists the commands and hides none but `worker`."""
    for flag in ("--version", "--help"):
        with pytest.raises(SystemExit) as ended:
            main([flag])
        assert ended.value.code == 0
    told = capsys.readouterr().out
    assert f"paceline {version('paceline')}" in told
    for command in ("serve", "check", "campaigns", "budget", "audit", "demo"):
        assert command in told
    assert "worker " not in told


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["serve", "--workers", "many"]])
def test_a_wrong_command_line_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Argparse says what is wrong."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: paceline" in capsys.readouterr().err


def test_a_misspelt_command_is_told_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Those for people: not `worker`, which the supervisor alone starts."""
    with pytest.raises(SystemExit):
        main(["serv"])
    told = capsys.readouterr().err
    assert "'serve', 'check', 'campaigns'" in told
    assert "worker" not in told


def test_workers_out_of_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    """--workers obeys the bounds of the configuration."""
    assert main(["serve", "--workers", "0"]) == 1
    assert "--workers" in capsys.readouterr().err


def test_a_worker_without_its_supervisor_does_not_start() -> None:
    """The hidden command is of no use by hand."""
    command = [sys.executable, "-m", "bidder", "worker", "0"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_help_imports_nothing_heavy() -> None:
    """The command line stays quick: no HTTP server, no numpy, no Redis client, no Prometheus client."""
    code = (
        "import sys\nfrom bidder.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('aiohttp', 'numpy', 'redis', 'prometheus_client', 'uvloop') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
