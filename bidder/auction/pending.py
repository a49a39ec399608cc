"""One bid request between its arrival and its answer.

Place: run makes one per call; the steps read and fill it in order.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from bidder.auction.consent import opted_out
from bidder.audience.frequency import Exposure
from bidder.audience.identity import Lookup
from bidder.audience.person import Person
from bidder.exchanges import Exchange
from bidder.opportunity import Context
from bidder.outcome import Drop, Outcome


class Call(Protocol):
    """What the exchange port hands over, and wants answered exactly once."""

    profile: Exchange
    body: bytes
    received_ns: int
    deadline_ns: int

    def answer(self, outcome: Outcome, body: bytes = b"") -> bool:
        """End the call; False when the client had hung up."""


class Reading(Protocol):
    """What came back from the people store: None for whom nobody knew in time."""

    @property
    def people(self) -> Sequence[Person | None]:
        """In the order of the look-ups."""

    @property
    def exposures(self) -> Sequence[Exposure | None]:
        """What each was shown; empty where that was asked of none."""

    @property
    def opted_out(self) -> Collection[int]:
        """Places of those who opted out of everything personal."""


class Pending:
    """A request being decided."""

    __slots__ = ("answered", "call", "consent", "context", "exposure", "lookup", "person", "why_none")

    def __init__(self, call: Call, context: Context, lookup: Lookup | None, consent: int = 0) -> None:
        self.call = call
        self.context = context
        self.lookup = lookup
        """None where nobody may be, or can be, looked up."""
        self.consent = consent
        """As consent.py numbers it."""
        self.person: Person | None = None
        self.exposure: Exposure | None = None
        """What the person was shown; None: not known, or nobody to count for."""
        self.answered = False
        self.why_none = Outcome.NO_CANDIDATE
        """How it ends if nothing wins."""

    def known(self, person: Person) -> None:
        """The request is about this person."""
        self.person = person
        self.context.person_id = person.id

    def opt_out(self) -> None:
        """The person opted out with us: from here on the request is anybody's, whatever it allows."""
        context = self.context
        self.consent = opted_out(self.consent)
        self.person = self.exposure = None
        context.personal = context.measure = False
        context.person_id, context.zip, context.place = b"", "", None


class Drops:
    """Candidates of a batch that became no bid, by reason."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[Drop, int] = {}

    def add(self, reason: Drop, count: int = 1) -> None:
        """Count some."""
        if count:
            self.counts[reason] = self.counts.get(reason, 0) + count
