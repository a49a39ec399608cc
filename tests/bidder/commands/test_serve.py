"""`paceline serve`: what its processes may use, and orders that come too early or too late."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_TOLD = """
import argparse, os, resource, signal
from pathlib import Path
from bidder.commands import serve
from bidder.supervisor import service

def tell():
    for number in (signal.SIGHUP, signal.SIGUSR2):
        os.kill(os.getpid(), number)

class Told(service.Supervisor):
    def __init__(self, *arguments):
        tell()
        super().__init__(*arguments, (), (), ())

    async def _prepare_ledger(self):
        tell()
        return await super()._prepare_ledger()

    async def _keep_workers(self):
        tell()

    async def run(self):
        await super().run()
        tell()

service.Supervisor = Told
status = serve.run(argparse.Namespace(config=None))
tell()
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE)[0])
raise SystemExit(status)
"""


@pytest.mark.process
def test_orders_that_come_too_early_or_too_late_go_unheard(tmp_path: Path) -> None:
    """To load anew and to replace workers, before there is a service, while it starts, and after it ended: they used
    to kill. By then the process may open as many files as there may be, and leaves no core."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    ports = {f"PACELINE_{port}_PORT": "0" for port in ("EXCHANGE", "PUBLIC", "OPS")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")}
    environment |= {"PACELINE_DATA_DIR": str(tmp_path / "data")} | ports

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))

    told = subprocess.run(
        [sys.executable, "-c", _TOLD],
        cwd=ROOT,
        env=environment,
        preexec_fn=few,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == f"{(hard, hard)} 0"
