"""Processes that the demo starts: out of the terminal's reach, and never left behind.

Place: session.py holds the service and the simulated exchanges as one Child each.
Limits: STOP_S from SIGTERM to SIGKILL.
Source: prctl(2) PR_SET_PDEATHSIG ends a child whose parent was killed; it follows the thread that forked.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

STOP_S: Final = 25.0
"""Longer than the service drains."""
_PR_SET_PDEATHSIG: Final = 1
_LINE_BYTES: Final = 1 << 20


class Child:
    """One process in a session of its own, so that Ctrl-C reaches the demo alone; it ends its children in order."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._argv, self._environment, self._log = argv, environment, log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; what it says on standard error goes into the log."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=dict(self._environment),
                start_new_session=True,
                preexec_fn=_die_with_parent(),
                limit=_LINE_BYTES,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self._process is None else self._process.returncode

    async def wait(self) -> int:
        """Its exit code, when it ends."""
        assert self._process is not None
        return await self._process.wait()

    async def line(self) -> bytes:
        """The next line of its standard output; empty at the end."""
        assert self._process is not None
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def stop(self) -> None:
        """End it, by force after STOP_S; its whole process group is gone afterwards."""
        process = self._process
        if process is None:
            return
        self.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def last_words(self, lines: int = 12) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
        return ""


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident megabytes of a process with its descendants: (Python processes, the embedded store); 0 without /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parents.setdefault(_parent(entry), []).append(int(entry.name))
    service = store = 0.0
    waiting = [pid]
    while waiting:
        number = waiting.pop()
        waiting += parents.get(number, ())
        with contextlib.suppress(OSError, IndexError, ValueError):
            pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
            size = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
            if "-server" in Path(f"/proc/{number}/comm").read_text():
                store += size
            else:
                service += size
    return service, store


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask
