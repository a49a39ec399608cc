"""One line of the journal: a change of an advertiser's books, as small and as plain as it can be said.

Place: written by the verbs (`ledger`, budget/lua), kept by `journal`, applied by `balances`, proven by `audit`.
Shapes: which fields a verb uses, besides `n`, `at_s` and `verb`:
    fund, withdraw       op_id amount
    lease                op_id worker lease_id accounts limits amount (granted; 0: only limits changed)
    give_back            op_id lease_id amount
    settle               bid_id lease_id price amount deadline_s
    late, absorb         bid_id lease_id amount deadline_s accounts (absorb: those where room was sought)
    release              bid_id lease_id price deadline_s
    reclaim              op_id worker leases (each with what was left of it)
    goodbye              op_id worker
    pause, resume        op_id accounts (one)
    close                op_id accounts
Units: Micros; seconds on the ledger's clock.
Limits: `n` counts 1, 2, 3 ... per advertiser without gaps; a missing line is seen by its number.
"""

from enum import Enum

from msgspec import Struct

from budget.money import Micros


class Verb(Enum):
    """What happened."""

    FUND = "fund"
    WITHDRAW = "withdraw"
    LEASE = "lease"
    GIVE_BACK = "give_back"
    SETTLE = "settle"
    LATE = "late"
    ABSORB = "absorb"
    RELEASE = "release"
    RECLAIM = "reclaim"
    GOODBYE = "goodbye"
    PAUSE = "pause"
    RESUME = "resume"
    CLOSE = "close"


class Entry(Struct, frozen=True, omit_defaults=True, gc=False):
    """One change."""

    n: int
    at_s: float
    verb: Verb
    op_id: str = ""
    worker: int = 0
    lease_id: int = 0
    bid_id: str = ""
    """Hexadecimal."""
    price: Micros = Micros(0)
    amount: Micros = Micros(0)
    deadline_s: int = 0
    accounts: tuple[str, ...] = ()
    limits: tuple[Micros | None, ...] = ()
    leases: tuple[tuple[int, Micros], ...] = ()
