"""What the kernel says of a process: memory, CPU time, open files, and how much of them there may be.

Place: the supervisor adds it to a scrape, for itself and for every process it started.
Shapes: /proc/<pid>/stat, fields counted as in proc(5); memory.max of cgroup v2, memory.limit_in_bytes of v1.
Limits: on a system without /proc, and for a process that is gone, there is nothing to say.
"""

import contextlib
import os
import sys
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
    max_fds: int
    """The soft limit: one more is refused."""
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
            max_fds=_max_fds((proc / str(pid) / "limits").read_text()),
            started_s=int(boot) + int(fields[19]) / _TICKS,
        )
    except (OSError, ValueError, IndexError):
        return None


def memory_limit(root: Path = Path("/")) -> int | None:
    """What all processes together may use, in bytes: the container's limit, or else the machine's memory."""
    try:
        machine = int((root / "proc/meminfo").read_text().partition("MemTotal:")[2].split()[0]) * 1_024
    except (OSError, ValueError, IndexError):
        return None
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max": none is set
            return min(machine, int((root / "sys/fs/cgroup" / name).read_text()))
    return machine


def _max_fds(limits: str) -> int:
    soft = limits.partition("Max open files")[2].split()[0]
    return sys.maxsize if soft == "unlimited" else int(soft)
