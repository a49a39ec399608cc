"""What becomes of bids, written to the logs of what people were shown: holds, views, losses, wins. Never awaited.

Place: the auction ends a batch here, in the tick of its answers; notices tell of views, losses and wins.
Shapes: every call is one script for one person; all may come twice, late, and in any order.
Units: seconds; moments are the store's own clock, so that workers need not agree on the time.
Limits: MAX_KEPT calls that the store did not take are repeated every RETRY_S, in their order; the oldest go first
    where there are more. They are lost with the process: who must not lose a view repeats it from a journal.
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

from bidder.audience.frequency import MAX_WINDOW_S, VISITOR_WINDOW_S, Basis, BidRecord, Exposure
from bidder.audience.identity import is_visitor
from bidder.metrics import Metric, Tally
from bidder.stores.asking import unknown_scripts
from bidder.stores.connection import Batch
from bidder.stores.errors import StoreError
from bidder.stores.keys import person_tag
from bidder.stores.people import Source
from bidder.stores.scripts import DROP, END, PROLONG, VIEW, Script, bulk, number, with_text

MAX_KEPT: Final = 10_000
RETRY_S: Final = 0.25
DRAIN_STEP_S: Final = 0.01
MAX_HOLD_S: Final = MAX_WINDOW_S
MAX_FIELDS: Final = 65_536  # advertisers whose fields are kept packed

METRICS: tuple[Metric, ...] = (
    Metric(
        "paceline_frequency_calls_total", "counter", "Calls that were made to the logs of views", ("verb",)
    ),
    Metric(
        "paceline_frequency_repeated_total", "counter", "Calls that the store did not take and that were kept"
    ),
    Metric("paceline_frequency_lost_total", "counter", "Calls that were given up: too many, or refused"),
)
_VERBS: Final = {END: "end", VIEW: "view", DROP: "drop", PROLONG: "prolong"}

_SIX: Final = struct.Struct("<IIIIII")
_VISITOR: Final = Basis.VISITOR
_ONE: Final = struct.Struct("<I")
_FIRST_KEY: Final = b"$36\r\nf:{"
_TO_MARKS: Final = b"}\r\n$36\r\nb:{"
_END_KEY: Final = b"}\r\n"
SERVER_TIME: Final = number(0)

Call = tuple[bytes, bytes]
"""A packed command, and the tag of its keys."""


class FrequencyWriter:
    """Writes over the source that the reader reads from; belongs to one event loop."""

    def __init__(self, source: Source, tally: Tally) -> None:
        """The source stays its owner's to close."""
        self._source = source
        self._tally = tally
        self._cells = tally.cells
        self._made = {
            script: tally.slot("paceline_frequency_calls_total", verb) for script, verb in _VERBS.items()
        }
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
        mark = ending = b""
        for exposure in exposures:
            if exposure is None or exposure.finished:
                continue
            exposure.finished = True
            tag, held = exposure.tag, exposure.held
            if exposure.mark is not mark:
                mark = exposure.mark
                ending = b"}\r\n$8\r\n%b\r\n" % mark
            tags.append(tag)
            if held:
                commands.append(_holding(exposure, ending + self._now(), hold))
            else:
                commands.append(b"".join((_UNMARK_HEAD, tag, ending)))
        if commands:
            self._cells[self._made[END]] += len(commands)
            self._send(commands, tags)

    def view(self, person: bytes, bid: BidRecord, age_s: int = 0) -> None:
        """See `view_call`."""
        self._tell(VIEW, view_call(person, bid, age_s, self._now()))

    def prolong(self, person: bytes, bid: BidRecord, hold_s: float) -> None:
        """See `prolong_call`."""
        self._tell(PROLONG, prolong_call(person, bid, hold_s, self._now()))

    def drop(self, person: bytes, field: bytes, bid_tag: int) -> None:
        """See `drop_call`."""
        self._tell(DROP, drop_call(person, field, bid_tag, self._now()))

    def _tell(self, script: Script, call: Call) -> None:
        self._cells[self._made[script]] += 1
        self._send([call[0]], [call[1]])

    def _now(self) -> bytes:
        return number(0) if self.simulated_ms is None else bulk(b"%d" % self.simulated_ms())

    def _send(self, commands: Sequence[bytes], tags: Sequence[bytes]) -> None:
        """Send, or keep for later."""
        if self._kept:  # what came first goes first
            self._keep(zip(commands, tags, strict=True))
            return
        try:
            self._source.submit(commands, tags, _Sent(self, commands, tags))
        except StoreError:
            self._keep(zip(commands, tags, strict=True))

    def _keep(self, calls: Iterable[Call]) -> None:
        kept = self._kept
        for call in calls:
            if len(kept) >= MAX_KEPT:
                kept.popleft()
                self._tally.count("paceline_frequency_lost_total")
            kept.append(call)
            self._tally.count("paceline_frequency_repeated_total")
        if kept and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._repeat)

    def _repeat(self) -> None:
        """Send again all that was kept; what fails again is kept again."""
        self._timer = None
        calls, self._kept = self._kept, deque()
        for command, tag in calls:
            self._send([command], [tag])

    def repeat(self, unknown: Sequence[Call], failed: Sequence[Call]) -> None:
        """Calls that a server did not know, now with their text; and those of a server that is in trouble."""
        if unknown:
            self._send([command for command, _ in unknown], [tag for _, tag in unknown])
        if failed:
            self._keep(failed)

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
        refused = sum(type(reply) is hiredis.ReplyError for reply in replies) - len(unknown)
        writer, commands, tags = self._writer, self._commands, self._tags
        again = [(with_text(commands[n]), tags[n]) for n in unknown]
        if refused:
            writer.lost(refused)
        writer.repeat(again, [(commands[n], tags[n]) for n in failed])


def view_call(person: bytes, bid: BidRecord, age_s: int, now: bytes = SERVER_TIME) -> Call:
    """A bid was seen `age_s` ago by whom its 16 bytes name; twice the same bid counts once."""
    return _call(VIEW, person, (now, bid.field, _packed(bid, max(0, age_s), person)))


def prolong_call(person: bytes, bid: BidRecord, hold_s: float, now: bytes = SERVER_TIME) -> Call:
    """A bid was won: it may become a view for `hold_s` from now."""
    return _call(
        PROLONG, person, (now, bid.field, _packed(bid, min(max(1, int(hold_s)), MAX_HOLD_S), person))
    )


def drop_call(person: bytes, field: bytes, bid_tag: int, now: bytes = SERVER_TIME) -> Call:
    """A bid was lost: its hold goes."""
    return _call(DROP, person, (now, field, _ONE.pack(bid_tag)))


def _call(script: Script, person: bytes, told: tuple[bytes, bytes, bytes]) -> Call:
    now, field, packed = told
    tag = person_tag(person)
    return b"".join((_opening(script), tag, _END_KEY, now, bulk(field), bulk(packed))), tag


@cache
def _opening(script: Script) -> bytes:
    """The beginning of a call of one key and three arguments."""
    return script.head(1, 3) + _FIRST_KEY


_UNMARK_HEAD: Final = b"*3\r\n$4\r\nHDEL\r\n$36\r\nb:{"


@cache
def _hold_head(holds: int) -> bytes:
    """The beginning of END with so many holds."""
    return END.head(2, 2 + 2 * holds) + _FIRST_KEY


def _holding(exposure: Exposure, ending: bytes, hold_s: int) -> bytes:
    """END with the bids of one person."""
    tag, held = exposure.tag, exposure.held
    parts = [_hold_head(len(held)), tag, _TO_MARKS, tag, ending]
    longest_s = VISITOR_WINDOW_S if exposure.basis is _VISITOR else MAX_WINDOW_S
    for bid in held:
        window_s = bid.window_s if bid.window_s < longest_s else longest_s
        packed = _SIX.pack(bid.bid_tag, bid.campaign, bid.line, bid.creative, hold_s, window_s)
        parts += (_named(bid.field), b"$24\r\n", packed, b"\r\n")
    return b"".join(parts)


@lru_cache(MAX_FIELDS)
def _named(field: bytes) -> bytes:
    """An advertiser's field as an argument."""
    return bulk(field)


def _packed(bid: BidRecord, seconds: int, person: bytes) -> bytes:
    """The keys of a bid as a script takes them; a visitor's view is not kept beyond VISITOR_WINDOW_S."""
    window_s = min(bid.window_s, VISITOR_WINDOW_S) if is_visitor(person) else bid.window_s
    return _SIX.pack(bid.bid_tag, bid.campaign, bid.line, bid.creative, seconds, window_s)
