"""A read of people: under way, and when it has ended.

Place: stores/people starts and ends it; web/exchange awaits it, or hands it the one function that goes on.
Shapes: a Reading has N people in the order of the N look-ups, and N exposures where any was asked for.
Never: ends twice, or raises to whoever waits.
"""

import asyncio
from collections.abc import Callable, Collection, Generator, Sequence
from enum import Enum
from typing import Any

from msgspec import Struct

from bidder.audience.frequency import Exposure
from bidder.audience.person import Person
from bidder.stores.connection import Batch
from bidder.stores.keys import Frame, exposure_frame, marking, match_frame


class ReadStatus(Enum):
    """How a read ended; whoever is in `people` was read in time in any case."""

    OK = "ok"
    LATE = "late"
    """The deadline or the read time-out passed first."""
    DOWN = "down"
    """No connection, breaker open, bound reached, or the server refused."""
    SKIPPED = "skipped"
    """Nobody was asked for."""


class Reading(Struct, frozen=True):
    """What a read brought: people in the order of the look-ups."""

    people: list[Person | None]
    status: ReadStatus
    exposures: Sequence[Exposure | None] = ()
    """What each was shown; None where that was not asked for, there is nobody to count for, or it is not known.
    Empty where none was asked for. Requests about the same person share one."""
    opted_out: Collection[int] = frozenset()
    """Places of those who opted out: nobody is in `people` there, and an exposure is only there to be finished."""


class Sought:
    """Views that a read asks for beside the people."""

    __slots__ = ("_busy_ms", "_frames", "_now_ms", "by_tag", "exposures", "imps", "mark", "until_ns")

    def __init__(self, imps: Sequence[int], mark: bytes, busy: tuple[int, int], now_ms: int) -> None:
        """`busy` is how long our mark stands, in ms, and until when its requests must be answered, in ns."""
        self.imps = imps
        """By place, impressions that a line item with caps may bid on; 0: its views are not asked for."""
        self.mark = mark
        self.exposures: list[Exposure | None] = [None] * len(imps)
        self._busy_ms, self.until_ns = busy
        self._now_ms = now_ms
        self.by_tag: dict[bytes, Exposure] = {}
        """Of one tag the first stands for all, as it knows of no mark of ours."""
        self._frames: dict[int, Frame] = {}

    def frame(self, imps: int) -> Frame:
        """Around the tag of a person who is read for so many impressions."""
        found = self._frames.get(imps)
        if found is None:
            found = self._frames[imps] = exposure_frame(self._marking(imps))
        return found

    def match_frame(self, imps: int) -> Frame:
        """The same around the tag of a row of the match table."""
        return match_frame(self._marking(imps))

    def _marking(self, imps: int) -> bytes:
        return marking(self.mark, imps, self._busy_ms, self._now_ms)


class PendingRead:
    """A read under way: await it, or hand it one function with `then`. Either way it ends exactly once."""

    __slots__ = (
        "_future",
        "_then",
        "answered",
        "batch",
        "commands",
        "deadline_ns",
        "followed",
        "opted_out",
        "people",
        "reading",
        "sought",
        "sound",
        "started_ns",
        "tags",
        "visitors",
        "wanted",
    )

    def __init__(self, count: int, started_ns: int, deadline_ns: int) -> None:
        self.people: list[Person | None] = [None] * count
        self.sought: Sought | None = None
        """Whose views are asked for; None: nobody's."""
        self.visitors = 0
        """How many of the places are about a visitor, of whom there is no hash."""
        self.commands: list[bytes] = []
        """What is sent, with the tags of its keys."""
        self.tags: list[bytes] = []
        self.wanted: list[tuple[int, bytes, bytes]] = []
        """(place in people, person's id, tag) of the commands that read a person, in order; no tag where the views
        are not asked for."""
        self.followed: list[tuple[int, int]] = []
        """(place in people, number of matches) of the commands that read the match table, after those."""
        self.opted_out: set[int] = set()
        """Places of those who opted out, whichever of their ids said so."""
        self.answered = False
        """True once the store gave any answer."""
        self.sound = True
        """False once a reply was missing or refused."""
        self.started_ns = started_ns
        self.deadline_ns = deadline_ns
        self.batch: Batch | None = None
        self.reading: Reading | None = None
        """The result, once there is one."""
        self._future: asyncio.Future[None] | None = None
        self._then: Callable[[Reading], None] | None = None

    def then(self, callback: Callable[[Reading], None]) -> None:
        """Call `callback(reading)` when it is there: at once if it is already. Instead of `await`."""
        if self.reading is not None:
            callback(self.reading)
        else:
            self._then = callback

    def __await__(self) -> Generator[Any, None, Reading]:
        """The reading; a read that is already done costs no turn of the loop."""
        if self.reading is None:
            self._future = asyncio.get_running_loop().create_future()
            yield from self._future
            assert self.reading is not None
        return self.reading

    def end(self, status: ReadStatus) -> None:
        """Give out what there is."""
        exposures = self.sought.exposures if self.sought else ()
        self.reading = reading = Reading(self.people, status, exposures, self.opted_out)
        self.batch = None  # it may wait for replies yet, and must not hold us in a circle
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
        elif self._then is not None:
            try:
                self._then(reading)
            except Exception as error:  # one batch's bug must not keep the others waiting
                context = {"message": "a read's callback failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
