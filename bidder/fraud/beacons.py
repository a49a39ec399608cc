"""Invalid traffic after the bid: what beacons and clicks give away. All of it is marked and counted, none refused.

Place: notices/apply asks `sees` about every notice that its token proves; the marks stand on what is recorded.
Rule: who clicks twice is a person, who clicks four times on one ad is none. An impression before its bid or after its
    end, a click faster than people see and point, more clicks of one person or of one placement than ads earn, are
    marked at once. That a click had no impression, or a beacon no win, is believed only of an exchange of which nearly
    all others had one: so an exchange that sends no win notices, a browser that blocks beacons, or a host that hears
    only a part of the notices, make nobody suspect. Wins may come after their beacons: WAIT_S is given to them.
Units: times in seconds, `_ms` in milliseconds; counts fade by half within HALF_LIFE_S.
Limits: WAITING impressions wait for their wins; placements are 16 bits, some share one.
Never: money: what is marked is paid as it was; ids in the clear: people are counted by hashes under a secret.
"""

import logging
import secrets
from collections import deque
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from bidder.fraud.counts import Counts
from bidder.fraud.rates import Sketch
from bidder.fraud.reasons import Mark
from bidder.fraud.trail import BILLED, CLICKED, LOST, PLAYED, SHOWN, WON, Heard, Trail
from bidder.metrics import Tally
from bidder.screening import FraudRules

HALF_LIFE_S: Final = 1_800.0
WAIT_S: Final = 120.0
WAITING: Final = 65_536
HABIT_S: Final = 86_400.0
USUAL: Final = 0.9
USUAL_AFTER: Final = 100.0
"""An exchange's habits are learned over days, from so many cases at least: a flood of an hour does not unteach them."""
CLICKS: Final = 3
"""Of one ad by one person: more are a machine's."""
SKEW_S: Final = 2.0
"""Hosts' clocks may differ by so much."""
PLACEMENTS: Final = 1 << 16
_NOBODY: Final = bytes(16)
_BITS: Final = {
    "win": WON,
    "bill": BILLED,
    "loss": LOST,
    "imp": SHOWN,
    "click": CLICKED,
    "event": PLAYED,
}

log = logging.getLogger(__name__)


class Bid(Protocol):
    """What a token tells of a bid."""

    @property
    def bid_id(self) -> bytes:
        """12 random bytes."""

    @property
    def person(self) -> bytes:
        """16 bytes; zeros for nobody."""

    @property
    def placement(self) -> int:
        """16 bits; 0 where it is not known."""

    @property
    def issued_s(self) -> int:
        """When it was bid."""

    @property
    def deadline_s(self) -> int:
        """When its reservation ends."""


class Habit:
    """Whether something usually is so: a share that fades."""

    __slots__ = ("_all", "_at_s", "_true")

    def __init__(self) -> None:
        self._all = self._true = self._at_s = 0.0

    def saw(self, true: bool, now_s: float) -> None:
        """It was so, or not."""
        fade = 0.5 ** (max(0.0, now_s - self._at_s) / HABIT_S)
        self._all, self._true, self._at_s = self._all * fade + 1, self._true * fade + true, now_s

    @property
    def usual(self) -> bool:
        """Whether it has been so nearly always."""
        return self._all >= USUAL_AFTER and self._true >= USUAL * self._all


class Beacons:
    """The memory of one worker's notices, and of its host's."""

    def __init__(self, rules: FraudRules, tally: Tally, now_s: float, path: Path | None = None) -> None:
        """`path` is the file that the workers of a host share; None: this one remembers for itself."""
        self._rules, self._counts, self._trail = rules, Counts(tally), _opened(path)
        self._secret = secrets.token_bytes(16)
        self._people = Sketch(HALF_LIFE_S, now_s)
        self._shown = np.zeros(PLACEMENTS, np.float32)
        self._clicked = np.zeros(PLACEMENTS, np.float32)
        self._fade_s = now_s + HALF_LIFE_S / 60
        self._seen: dict[str, Habit] = {}
        self._won: dict[str, Habit] = {}
        self._waiting: deque[tuple[float, bytes, str]] = deque()

    def sees(self, kind: str, bid: Bid, exchange: str, now_s: float, *, repeated: bool = False) -> int:
        """Bits of Mark for a notice: `kind` as its path says, `repeated` where it is known to have come before."""
        self._settle(now_s)
        before = self._trail.note(bid.bid_id, _BITS[kind], int(now_s * 1_000))
        marks = 0
        if kind == "imp":
            marks = self._impression(bid, exchange, now_s, repeated or bool(before.bits & SHOWN))
        elif kind == "click":
            marks = self._click(bid, exchange, now_s, before, repeated)
        if not before.bits & (WON | BILLED | SHOWN) and kind in ("win", "bill", "imp"):
            self._shown[bid.placement] += 1
        if marks:
            self._counts.notice(exchange, kind, marks)
        return marks

    def _impression(self, bid: Bid, exchange: str, now_s: float, repeated: bool) -> int:
        if repeated:
            return int(Mark.REPEATED)
        if len(self._waiting) < WAITING:
            self._waiting.append((now_s + WAIT_S, bid.bid_id, exchange))
        if now_s + SKEW_S < bid.issued_s:
            return int(Mark.EARLY)
        return int(Mark.LATE) if now_s > bid.deadline_s else 0

    def _click(self, bid: Bid, exchange: str, now_s: float, before: Heard, repeated: bool) -> int:
        marks = int(Mark.REPEATED) if before.clicks >= CLICKS else 0
        if repeated:
            return marks
        marks |= self._habits(exchange, now_s, before)
        quick_ms = int(now_s * 1_000) - before.shown_ms
        if before.shown_ms and quick_ms < self._rules.quick_click_ms:
            marks |= Mark.QUICK
        if bid.person != _NOBODY and self._flood(bid.person, now_s):
            marks |= Mark.CLICK_FLOOD
        if bid.placement and self._clicked_much(bid.placement):
            marks |= Mark.PLACEMENT_FLOOD
        return int(marks)

    def _habits(self, exchange: str, now_s: float, before: Heard) -> int:
        """Whether what should have come before a click did."""
        seen = self._seen.setdefault(exchange, Habit())
        shown = bool(before.bits & SHOWN)
        marks = 0 if shown or not seen.usual else int(Mark.UNSEEN)
        seen.saw(shown, now_s)
        told = before.bits & (WON | BILLED) or now_s * 1_000 < before.shown_ms + WAIT_S * 1_000
        won = self._won.get(exchange)
        if not told and won is not None and won.usual:
            marks |= int(Mark.UNWON)
        return marks

    def _flood(self, person: bytes, now_s: float) -> bool:
        self._people.at(now_s)
        estimate = float(self._people.add([hash(self._secret + person)])[1][0])
        return estimate - self._people.noise > self._rules.person_clicks

    def _clicked_much(self, placement: int) -> bool:
        self._clicked[placement] += 1
        clicks, shown = float(self._clicked[placement]), float(self._shown[placement])
        rules = self._rules
        return clicks > rules.placement_clicks and clicks > rules.placement_click_rate * shown

    def _settle(self, now_s: float) -> None:
        """Look at the impressions whose wins have had their time; let counts fade."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_s:
            _, bid_id, exchange = waiting.popleft()
            won = self._won.setdefault(exchange, Habit())
            told = bool(self._trail.heard(bid_id).bits & (WON | BILLED))
            if not told and won.usual:
                self._counts.notice(exchange, "imp", int(Mark.UNWON))
            won.saw(told, now_s)
        if now_s >= self._fade_s:
            minutes = 1 + int((now_s - self._fade_s) / (HALF_LIFE_S / 60))
            fade = np.float32(0.5 ** (minutes / 60))
            self._shown *= fade
            self._clicked *= fade
            self._fade_s += minutes * HALF_LIFE_S / 60


def _opened(path: Path | None) -> Trail:
    """The shared trail; where it cannot be had, one of our own: doubts never keep a worker from its work."""
    try:
        return Trail(path)
    except OSError as error:
        log.warning("workers do not share what they hear of bids: %s", error)
        return Trail()
