"""A bid request on its way through the house, and what a connection owes its client.

Place: a connection makes a Turn for each message it read, in order; a Call is the turn that deciders answer.
Shapes: `Call.body` is the whole body, inflated; `Call.answer` ends it, exactly once.
Units: received_ns and deadline_ns are nanoseconds of the monotonic clock.
Never: reads the body.
"""

from typing import Protocol

from bidder.exchanges import Exchange
from bidder.outcome import Outcome
from bidder.web import answers
from bidder.web.counts import Counts

# How the connection goes on after an answer; they index the constant heads in answers.py.
KEEP, CLOSE, KEEP_SAID = 0, 1, 2  # KEEP_SAID: HTTP/1.0 must be told that it may go on


class Line(Protocol):
    """A connection as its turns see it."""

    lost: bool

    def release(self) -> None:
        """Send every answer that is next in order."""


class Turn:
    """One message read from a connection: it is answered when those before it are."""

    __slots__ = ("counts", "handed", "line", "mode", "outcome", "received_ns")

    def __init__(self, line: Line, mode: int, received_ns: int, counts: Counts | None) -> None:
        self.line = line
        self.mode = mode
        self.received_ns = received_ns
        self.handed = False
        """True while a decider has it: it is in flight."""
        self.counts = counts
        """Where the outcome is counted; None: it is no bid request."""
        self.outcome: Outcome | None = None
        """None until it is answered."""

    def wire(self, mode: int) -> bytes:
        """The whole answer as bytes; `mode` says how the connection goes on."""
        raise NotImplementedError


class Said(Turn):
    """A turn whose answer is constant bytes, one per mode: errors, readiness, 100 Continue."""

    __slots__ = ("reply",)

    def __init__(self, turn: tuple[Line, int, int, Counts | None], outcome: Outcome, reply: answers.Reply):
        super().__init__(*turn)
        self.outcome = outcome
        self.reply = reply

    def wire(self, mode: int) -> bytes:
        """The constant bytes."""
        return self.reply[mode]


class Call(Turn):
    """A bid request that reached an exchange's profile, handed to the deciders."""

    __slots__ = ("body", "coding", "deadline_ns", "gzip", "profile", "reply")

    def __init__(self, turn: tuple[Line, int, int, Counts | None], profile: Exchange, body: bytes) -> None:
        self.line, self.mode, self.received_ns, self.counts = turn
        self.outcome = None
        self.handed = False
        self.profile = profile
        self.body = body
        self.coding = 0
        self.gzip = False
        self.deadline_ns = 0
        """Set by whoever reads tmax; an answer that leaves after it is counted as late. 0: none known."""
        self.reply = b""

    def answer(self, outcome: Outcome, body: bytes = b"") -> bool:
        """End the call: 200 with the body, 204 without one, 400 for MALFORMED.

        Returns False when the client had hung up: the call then counts as DISCONNECTED.
        The port itself ends a call that waits too long; its answer then is ignored (False too).
        """
        if self.outcome is not None:
            assert self.outcome is Outcome.FAULT, "a call is answered once"
            return False
        line = self.line
        self.outcome = Outcome.DISCONNECTED if line.lost else outcome
        self.reply = body
        line.release()
        return not line.lost

    def wire(self, mode: int) -> bytes:
        """Head and body of the answer."""
        if self.reply and self.outcome is not Outcome.MALFORMED:
            return answers.bid(self.reply, mode, self.gzip)
        assert self.outcome is not None
        return answers.EMPTY[self.outcome][mode]


class Deciders(Protocol):
    """What the port hands its calls to, one tick's worth at a time.

    It is called on the event loop and must not block; it may answer at once or start tasks that answer later.
    Every call must be answered exactly once. If it raises, the port answers what is left of the batch
    with FAULT.
    """

    def __call__(self, batch: list[Call]) -> None:
        """Take over the calls of one tick."""
