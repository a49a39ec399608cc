"""What the kernel says of a process: memory, CPU time, open files.

Place: the supervisor adds it to a scrape, for itself and for every process it started.
Shapes: /proc/<pid>/stat, fields counted as in proc(5).
Limits: on a system without /proc, and for a process that is gone, there is nothing to say.
"""

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class ProcessUse(Struct, frozen=True):
    """One process as it is now."""

    resident_bytes: int
    cpu_s: float
    open_fds: int
    started_s: float


def process_use(pid: int, proc: Path = Path("/proc")) -> ProcessUse | None:
    """What a process uses; None where that cannot be known."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (proc / "stat").read_text().partition("btime ")[2].split()[0]
        return ProcessUse(
            resident_bytes=int(fields[21]) * _PAGE,
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
            open_fds=len(os.listdir(proc / str(pid) / "fd")),
            started_s=int(boot) + int(fields[19]) / _TICKS,
        )
    except (OSError, ValueError, IndexError):
        return None
