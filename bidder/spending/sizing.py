"""How much money a slice should have, and when it has too much.

Place: the treasurer asks at each need and at each look at a slice.
Units: Micros; seconds.
Limits: what may lie idle of one line item is stated at `Rules`.
Never: I/O, a clock.
"""

from typing import Final

from msgspec import Struct

from budget.slices import Line, Slice
from budget.store import Grant

SURPLUS: Final = 2
"""Free money goes home when there is so many times as much as is wanted."""
FIRST_BACKOFF_S: Final = 0.5
LAST_BACKOFF_S: Final = 30.0
"""A line item whose budget is spent asks so often whether there is money again."""


class Rules(Struct, frozen=True, kw_only=True):
    """How a treasurer draws on the ledger.

    What is stranded at the end of a budget: a worker's slice wants `max(bids x the largest cost, rate x horizon_s)`,
    the ledger grants at most remaining / (SHARES x workers) of it or what one bid needs, and what is not used for
    `idle_s` goes home as soon as the budget is tight, meaning that the ledger has not one bid left for each worker:
    at once what is more than one bid's cost or less than it, one bid's cost after `patience_s`. So near the end of a
    budget there lies at most one bid's cost in each slice that is not in use, for at most `patience_s` and a look;
    and what is reserved, until its deadline.
    """

    hold_s: float = 7_200.0
    """The longest that a bid may stay unsettled: max_exp_s and the slowest exchange's notices."""
    interval_s: float = 0.2
    poll_s: float = 1.0
    idle_poll_s: float = 10.0
    """Where no bid is outstanding."""
    horizon_s: float = 5.0
    """So much spending is leased ahead: so long bids go on without a ledger."""
    bids: int = 4
    """And at least so many bids of the largest cost."""
    look_s: float = 10.0
    """Slices are looked at, for what is too much, so often."""
    idle_s: float = 60.0
    patience_s: float = 600.0
    """Enough for one bid is kept so long where bids are rare, even if the budget is tight."""
    starter_micros: int = 20_000
    """The cost of one bid where nothing is known of it."""
    tells_time: bool = False
    """Tests and simulated days tell the ledger their own time; otherwise it has its own."""


def target(line: Line, rules: Rules) -> int:
    """The free money that a line item should have at this worker; its rate must have been measured."""
    return max(rules.bids * line.useful, int(line.rate * rules.horizon_s))


def wanted(piece: Slice, rules: Rules) -> int:
    """What to lease now: up to the target, and what bids were refused for; 0 or less: enough is there."""
    line = piece.line
    aim = target(line, rules)
    missing = aim + line.refused - piece.free
    line.refused = 0
    if missing <= 0:
        piece.low = min(aim, piece.free) // 2
    return missing


def granted(piece: Slice, grant: Grant, now_s: float, rules: Rules) -> None:
    """Book an answer; without money, the line item does not ask again before its `retry_s`."""
    line = piece.line
    line.remaining, line.workers, line.heard_s = grant.remaining, grant.workers, now_s
    free = piece.free + grant.granted
    piece.grant(grant.granted, min(target(line, rules), free) // 2)
    if grant.granted:
        line.backoff_s = 0.0
    else:
        line.backoff_s = min(max(FIRST_BACKOFF_S, line.backoff_s * 2), LAST_BACKOFF_S)
        piece.low = 0
    line.retry_s = now_s + line.backoff_s


def tight(line: Line) -> bool:
    """Whether the ledger has no bid left for each worker, so that what lies idle here may be missed elsewhere."""
    return line.remaining is not None and line.remaining < line.workers * line.useful


def surplus(piece: Slice, now_s: float, rules: Rules) -> int:
    """What of a slice should go home now; the rate is brought up to now."""
    if piece.gate_s <= now_s or not piece.free:  # closed, paused or over
        return piece.free
    line = piece.line
    line.measure(now_s)
    if tight(line) and idle(line, now_s, rules):
        enough = piece.free >= line.useful and now_s - line.used_s < rules.patience_s
        return piece.free - line.useful if enough else piece.free
    aim = target(line, rules)
    return piece.free - aim if piece.free > SURPLUS * aim else 0


def curious(piece: Slice, now_s: float, rules: Rules) -> bool:
    """Whether the ledger should be asked how much remains, because money lies idle."""
    line = piece.line
    stale = now_s - line.heard_s >= rules.idle_s
    return stale and piece.free > 0 and piece.gate_s > now_s and idle(line, now_s, rules)


def idle(line: Line, now_s: float, rules: Rules) -> bool:
    """Whether no money moved for a while."""
    return now_s - line.used_s >= rules.idle_s
