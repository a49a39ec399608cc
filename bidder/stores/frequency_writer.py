"""The end of a batch in the people's store: bids that were made become holds, marks go. Never awaited.

Place: the auction ends a batch here, in the tick of its answers; what notices tell comes by spending/exposures.
Shapes: one call for each person of a batch; it may come twice, late, and after the notices of its bids.
Units: seconds; moments are the store's own clock, so that workers need not agree on the time.
Limits: MAX_KEPT calls that the store did not take are repeated every RETRY_S, in their order; the oldest go first
    where there are more. What a server refuses just now (its slot is moving, it is loading) is repeated every SOON_S
    while there are few: before the mark of the request has fallen, if it can be.
    With the process they are lost: marks fall by themselves, but bids stand without holds.
Never: raises, waits, or writes a key that lives longer than 30 days.
"""

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Final

import hiredis

from bidder.audience.frequency import MAX_WINDOW_S, VISITOR_WINDOW_S, Basis, Exposure
from bidder.metrics import Metric, Tally
from bidder.stores.asking import unknown_scripts
from bidder.stores.connection import Batch
from bidder.stores.errors import StoreError
from bidder.stores.keys import Frame
from bidder.stores.people import Source
from bidder.stores.scripts import END, bulk, number, with_text

MAX_KEPT: Final = 10_000
RETRY_S: Final = 0.25
SOON_S: Final = 0.02
FEW: Final = 100
DRAIN_STEP_S: Final = 0.01
MAX_HOLD_S: Final = MAX_WINDOW_S
MAX_FIELDS: Final = 65_536  # advertisers whose fields are kept packed

METRICS: tuple[Metric, ...] = (
    Metric("paceline_frequency_ends_total", "counter", "People for whom a batch was ended"),
    Metric("paceline_frequency_repeated_total", "counter", "Ends that the store did not take, so were kept"),
    Metric("paceline_frequency_lost_total", "counter", "Ends that were given up: too many, or refused"),
)

_NOT_NOW: Final = (
    *("TRYAGAIN", "ASK ", "MOVED ", "CLUSTERDOWN", "MASTERDOWN", "READONLY"),
    *("LOADING", "BUSY", "OOM", "MISCONF", "NOREPLICAS"),
)
_SIX: Final = struct.Struct("<IIIIII2s")
_VISITOR: Final = Basis.VISITOR
_FIRST_KEY: Final = b"$36\r\nf:{"
_TO_MARKS: Final = b"}\r\n$36\r\nb:{"
_CRLF: Final = b"\r\n"
_SERVER_TIME: Final = number(0)
_UNMARK_HEAD: Final = b"*3\r\n$4\r\nHDEL\r\n$36\r\nb:{"
_NO_FRAME: Final[Frame] = ()

Call = tuple[bytes, bytes]
"""A packed command, and the tag of its keys."""


class FrequencyWriter:
    """Writes over the source that the reader reads from; belongs to one event loop."""

    def __init__(self, source: Source, tally: Tally) -> None:
        """The source stays its owner's to close."""
        self._source = source
        self._tally = tally
        self._cells = tally.cells
        self._ends = tally.slot("paceline_frequency_ends_total")
        self._kept: deque[Call] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.simulated_ms: Callable[[], int] | None = None
        """What scripts take for the time; None: the server's own clock."""

    @property
    def kept(self) -> int:
        """Calls that wait to be repeated."""
        return len(self._kept)

    def finish(self, exposures: Iterable[Exposure | None], hold_s: float) -> None:
        """A batch is decided: bids in `held` become holds of `hold_s` and the marks go. Call it for every reading
        that has exposures, in the tick in which its requests are answered."""
        hold = min(max(1, int(hold_s)), MAX_HOLD_S)
        commands: list[bytes] = []
        tags: list[bytes] = []
        now, mark, ending, unmark = self._now(), b"", b"", _NO_FRAME
        for exposure in exposures:
            if exposure is None or exposure.finished:
                continue
            exposure.finished = True
            tag = exposure.tag
            if exposure.mark is not mark:
                mark = exposure.mark
                marked = b"}\r\n$8\r\n%b\r\n" % mark
                unmark, ending = (_UNMARK_HEAD, marked), marked + now
            tags.append(tag)
            if exposure.held:
                commands.append(_holding(exposure, ending, hold))
            else:
                commands.append(tag.join(unmark))
        if commands:
            self._cells[self._ends] += len(commands)
            self._send(commands, tags)

    def _now(self) -> bytes:
        return _SERVER_TIME if self.simulated_ms is None else bulk(b"%d" % self.simulated_ms())

    def _send(self, commands: Sequence[bytes], tags: Sequence[bytes]) -> None:
        """Send, or keep for later."""
        if self._kept:  # what came first goes first
            self._keep(zip(commands, tags, strict=True))
            return
        try:
            self._source.submit(commands, tags, _Sent(self, commands, tags))
        except StoreError:
            self._keep(zip(commands, tags, strict=True))

    def _keep(self, calls: Iterable[Call], retry_s: float = RETRY_S) -> None:
        kept = self._kept
        for call in calls:
            if len(kept) >= MAX_KEPT:
                kept.popleft()
                self._tally.count("paceline_frequency_lost_total")
            kept.append(call)
            self._tally.count("paceline_frequency_repeated_total")
        if kept and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(retry_s, self._repeat)

    def _repeat(self) -> None:
        """Send again all that was kept; what fails again is kept again."""
        self._timer = None
        calls, self._kept = self._kept, deque()
        for command, tag in calls:
            self._send([command], [tag])

    def repeat(self, unknown: Sequence[Call], failed: Sequence[Call], refused: Sequence[Call]) -> None:
        """Calls that a server did not know, now with their text; those of a server that is in trouble; and those that a
        server would not take just now."""
        if unknown:
            self._send([command for command, _ in unknown], [tag for _, tag in unknown])
        if failed:
            self._keep(failed)
        if refused:
            self._keep(refused, SOON_S if len(self._kept) < FEW else RETRY_S)

    def lost(self, count: int) -> None:
        """Calls that the store refuses, such as for a key of another type."""
        self._tally.count("paceline_frequency_lost_total", by=count)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until the store has taken all, at a worker's end; False where it has not in time."""
        end_s = time.monotonic() + timeout_s
        while self._kept or self._source.in_flight:
            if time.monotonic() > end_s:
                return False
            await asyncio.sleep(DRAIN_STEP_S)
        return True

    def close(self) -> None:
        """Give up what is kept."""
        if self._timer is not None:
            self._timer.cancel()
        self.lost(len(self._kept))
        self._kept.clear()


class _Sent:
    """The end of calls under way: replies are looked at for scripts that the server does not know, and for failure."""

    __slots__ = ("_commands", "_tags", "_writer")

    def __init__(self, writer: FrequencyWriter, commands: Sequence[bytes], tags: Sequence[bytes]) -> None:
        self._writer, self._commands, self._tags = writer, commands, tags

    def __call__(self, batch: Batch) -> None:
        replies = batch.replies
        if batch.error is None and set(map(type, replies)) == {int}:
            return
        unknown = unknown_scripts(batch)
        failed = [n for n, reply in enumerate(replies) if isinstance(reply, StoreError)]
        failed += range(
            len(replies), batch.count
        )  # a connection that broke: the order tells which were answered
        errors = [n for n, reply in enumerate(replies) if type(reply) is hiredis.ReplyError]
        refused = [n for n in errors if str(replies[n]).startswith(_NOT_NOW)]
        writer, commands, tags = self._writer, self._commands, self._tags
        again = [(with_text(commands[n]), tags[n]) for n in unknown]
        if len(errors) > len(unknown) + len(refused):
            writer.lost(len(errors) - len(unknown) - len(refused))
        calls = list(zip(commands, tags, strict=True))
        writer.repeat(again, [calls[n] for n in failed], [calls[n] for n in refused])


@cache
def _hold_head(holds: int) -> bytes:
    """The beginning of END with so many holds."""
    return END.head(2, 2 + 2 * holds) + _FIRST_KEY


def _holding(exposure: Exposure, ending: bytes, hold_s: int) -> bytes:
    """END with the bids of one person."""
    held = exposure.held
    longest_s = VISITOR_WINDOW_S if exposure.basis is _VISITOR else MAX_WINDOW_S
    parts = [ending]
    for bid in held:
        window_s = bid.window_s if bid.window_s < longest_s else longest_s
        parts.append(_named(bid.field))
        parts.append(_SIX.pack(bid.bid_tag, bid.campaign, bid.line, bid.creative, hold_s, window_s, _CRLF))
    return exposure.tag.join((_hold_head(len(held)), _TO_MARKS, b"".join(parts)))


@lru_cache(MAX_FIELDS)
def _named(field: bytes) -> bytes:
    """An advertiser's field as an argument, and the beginning of the next one."""
    return bulk(field) + b"$24\r\n"
