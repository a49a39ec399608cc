"""A worker's spools: its own, those that dead processes left, and memory for while the disk takes nothing.

Place: drain.py accepts into it and lets its lanes read from it.
Shapes: `<folder>/<slot>-<random>/` is one process's spool. Whoever holds its lock applies it: a worker its own until it
    ends, and any worker those whose process is gone, be it a predecessor of its slot or a slot that is no more.
Limits: `max_bytes` for the whole folder, whoever wrote there. Above it, or where the disk takes nothing, records are
    kept in memory, MAX_HELD of them, and die with the process; above that they are refused. Both are counted,
    and both are alarms.
"""

import contextlib
import logging
from pathlib import Path
from typing import Final

import msgspec

from bidder.metrics import Metric, Tally
from bidder.notices.orders import Order
from bidder.spending.segments import READERS, SUFFIX
from bidder.spending.sources import Held, Source
from bidder.spending.spool import Spool

MAX_BYTES: Final = 1 << 30
"""Some four million notices: an hour of a thousand a second while the ledger is away."""

METRICS: Final = (
    Metric(
        "paceline_spool_records_total",
        "counter",
        "Accepted notices by where they wait: disk; memory, where a crash loses them; refused, and lost",
        ("kept",),
    ),
    Metric("paceline_spool_bytes", "gauge", "Accepted notices on disk that wait for the ledger"),
    Metric("paceline_spools_adopted_total", "counter", "Spools of dead processes that were taken over"),
    Metric("paceline_spool_damaged_bytes_total", "counter", "Bytes of spools that could not be read"),
)
_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode


class Spools:
    """Where one worker's orders wait."""

    def __init__(self, folder: Path, slot: int, tally: Tally, max_bytes: int = MAX_BYTES) -> None:
        """Make the worker's own spool and take over what lies about; raises OSError."""
        self._folder, self._tally, self._max_bytes = folder, tally, max_bytes
        self.own = Spool.create(folder, slot)
        self.held = Held()
        self.adopted: list[Spool] = []
        self._elsewhere = 0
        self._kept = {kept: tally.slot(METRICS[0].name, kept) for kept in ("disk", "memory", "refused")}
        self.look()

    def accept(self, order: Order) -> bool:
        """Keep an order; False where there is no room for it."""
        payload = _encode(order)
        room = self._elsewhere + self.own.size + len(payload) <= self._max_bytes
        kept = "disk" if room and self.own.append(payload) else "memory"
        if kept == "memory" and not self.held.append(payload):
            kept = "refused"
        self._tally.cells[self._kept[kept]] += 1
        return kept != "refused"

    def look(self) -> None:
        """Take over the spools of dead processes, let go of those that are done, measure the folder; records that
        are applied leave the disk."""
        with contextlib.suppress(OSError):  # a full disk: the file goes on
            self.own.renew()
        for done in [spool for spool in self.adopted if spool.empty]:
            self._count_damage(done)
            done.close()
            self.adopted.remove(done)
        known = {self.own.folder, *(spool.folder for spool in self.adopted)}
        for folder in sorted(self._folder.iterdir()):
            if folder.name.startswith(".") or folder in known or not folder.is_dir():
                continue
            spool = self._adopt(folder)
            if spool is not None:
                self.adopted.append(spool)
        self._elsewhere = _bytes_in(self._folder) - _bytes_in(self.own.folder)
        self.tell()

    def tell(self) -> None:
        """Say how much waits."""
        waiting = sum(
            max(spool.waiting(each) for each in range(READERS)) for spool in (self.own, *self.adopted)
        )
        self._tally.set("paceline_spool_bytes", value=waiting)

    def _adopt(self, folder: Path) -> Spool | None:
        try:
            spool = Spool.adopt(folder)
        except (OSError, ValueError):
            _log.exception("the spool %s cannot be opened", folder.name)
            return None
        if spool is not None:
            self._tally.count("paceline_spools_adopted_total")
            if not spool.empty:
                _log.warning("spool %s: %d bytes of a dead worker are applied", folder.name, spool.size)
        return spool

    def sources(self) -> list[Source]:
        """What lanes read from, the oldest first."""
        return [*self.adopted, self.own, self.held]

    def close(self) -> None:
        """Let go of everything; what is not applied waits on disk for the next worker."""
        for spool in (self.own, *self.adopted):
            self._count_damage(spool)
            spool.close()
        lost = max(self.held.waiting(each) for each in range(READERS))
        if lost:
            _log.error("%d notices that the disk had no room for are lost", lost)

    def _count_damage(self, spool: Spool) -> None:
        if spool.damaged:
            _log.error("spool %s: %d bytes could not be read", spool.folder.name, spool.damaged)
            self._tally.count("paceline_spool_damaged_bytes_total", by=spool.damaged)
            spool.damaged = 0


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob(f"*{SUFFIX}"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # applied meanwhile
            continue
    return total
