"""What a ledger's store can be asked: the verbs, their arguments and answers.

Place: memory_store and redis_store answer it and pass the same contract tests; the treasurer, the appliers of notices,
    `paceline budget` and the simulated day ask it.
Units: amounts in Micros of the advertiser's currency; moments in seconds since the epoch on the ledger's clock.
Limits: every verb may be repeated with the same ids, after a lost reply or a restart, and changes nothing then.
    Amounts are 0 to MAX_AMOUNT (of a lease at least 1), a settlement's at most its price; a path begins with
    the wallet and is the same for all of a lease's life.
Raises: LedgerDown where the store cannot be reached; the caller repeats with the same ids. ValueError: our bug.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, Protocol

from msgspec import Struct

from budget.accounts import Level
from budget.money import MAX_UNITS, MICROS_PER_UNIT, Micros

KEEP_S: Final = 600
"""A worker that is silent for so long, and whose last promise has run out, is taken for dead."""
SHARES: Final = 4
"""A lease takes at most this part of a worker's even share of what is left: remaining / (SHARES x workers)."""
LATE_S: Final = 3_600
"""A notice that comes so long after its bid's deadline is still money."""
FATE_S: Final = LATE_S + 3 * 3_600
"""So long after a bid's deadline it is remembered what became of it. A settlement that waited longer, in the spool
of a worker that could not reach the ledger, is absorbed: nobody could tell any more that it is no repetition."""
FREED_S: Final = 600
"""So long after its deadline a released bid is: then nothing could be freed any more, and a bill is late money whether
it is remembered or not. Most bids lose: remembered for FATE_S, they would be most of the ledger's memory. The margin is
for a server whose time was set back, where keys end sooner than by the ledger's clock."""
OP_S: Final = 30 * 86_400
"""So long an op_id is known; of a lease, the last LEASE_OPS of them are."""
LEASE_OPS: Final = 8
POLL_ENTRIES: Final = 10_000
"""The most entries of one poll; what is left over comes with the next."""
MAX_AMOUNT: Final = MAX_UNITS * MICROS_PER_UNIT
"""10^15 Micros: the most of one verb."""
MAX_FUNDED: Final = 9 * MAX_AMOUNT
"""The most in one wallet: below 2^53, so that a sum is exact in a script, where numbers are doubles."""


class LedgerDown(Exception):
    """The ledger cannot be reached or does not answer in time."""


class Unconfirmed(LedgerDown):
    """The ledger did what it was asked, and too few replicas have it: it is lost if the server dies now. Whoever asked
    repeats it with the same ids, until they have it."""


class Waits(Struct, frozen=True):
    """How many replicas must have what moved money, and how long they are waited for."""

    replicas: int = 0
    ms: int = 200


class Status(Enum):
    """What became of a verb."""

    DONE = "done"
    DUPLICATE = "duplicate"
    """This id was applied before; nothing changed."""
    REFUSED = "refused"
    """Not enough is available."""
    PAUSED = "paused"
    EMPTY = "empty"
    """No room on some level of the path."""
    GONE = "gone"
    """The lease went home: its worker was taken for dead."""
    ALIVE = "alive"
    """Not reclaimed: the worker may still be there."""
    SETTLED = "settled"
    RELEASED = "released"
    LATE = "late"
    """Of a settlement: after expiry, charged from what was available. Of a release: nothing to free any more."""
    ABSORBED = "absorbed"
    """After expiry and without room on some level: the operator's loss, not the advertiser's."""


class LeaseRequest(Struct, frozen=True):
    """Money wanted for one slice."""

    op_id: str
    worker: int
    lease_id: int
    path: tuple[Level, ...]
    wanted: Micros
    useful: Micros
    """Less than this buys nothing: granted in full while it is there, even near the end of a budget."""
    hold_s: float
    """The longest that a bid out of this lease may stay unsettled."""


class Grant(Struct, frozen=True):
    """What a lease brought."""

    status: Status
    """DONE, PAUSED, EMPTY or GONE."""
    granted: Micros = Micros(0)
    remaining: Micros = Micros(0)
    """Available after it, on the tightest level."""
    workers: int = 1
    until_s: float = 0.0
    """No bid of this worker may stay unsettled beyond this moment."""
    clock_s: float = 0.0


class Inbox(Struct, frozen=True, gc=False):
    """A bid of one worker that some worker settled (amount > 0) or released (amount 0)."""

    lease_id: int
    bid_id: bytes
    price: Micros
    """What was reserved."""
    amount: Micros
    deadline_s: int


class Poll(Struct, frozen=True):
    """What a worker hears of one advertiser."""

    clock_s: float
    """Every settlement of a bid with a deadline before this is in `entries` of this poll or an earlier one."""
    until_s: float
    """0: this worker was taken for dead and its leases went home, or what it heard up to its cursor is not what this
    ledger told; it needs a new incarnation."""
    cursor: str
    """Where this poll ended, for the next one: it names the last entry, its moment and its bid."""
    entries: tuple[Inbox, ...] = ()
    paused: frozenset[str] = frozenset()
    """Accounts."""
    dead: tuple[int, ...] = ()
    """Workers whose leases can be reclaimed."""
    workers: int = 1
    sequence: int = 0
    """The number of the journal's last entry. It falls where the ledger has forgotten: it was flushed, restored from
    an old copy, or a replica took over without its last moments; leases of before are not what they were."""
    grants: int = 0
    """How often this worker was granted money, ever. It is not what the worker counted where the ledger has forgotten
    grants, though others wrote on since, or where another worker goes by the same number."""


class Settlement(Struct, frozen=True, gc=False):
    """An impression to be charged."""

    bid_id: bytes
    lease_id: int
    price: Micros
    """What was reserved: the most that it can cost."""
    amount: Micros
    deadline_s: int
    path: tuple[str, ...]
    """The accounts that bounded the line item when it was bid; used where the lease is gone."""


class Release(Struct, frozen=True, gc=False):
    """A bid that will never be charged."""

    bid_id: bytes
    lease_id: int
    price: Micros
    deadline_s: int


class Balance(Struct, frozen=True):
    """One account."""

    limit: Micros | None
    """Of the wallet: what was funded."""
    leased: Micros = Micros(0)
    spent: Micros = Micros(0)
    late: Micros = Micros(0)
    """Part of `spent` that came after expiry."""
    absorbed: Micros = Micros(0)
    """Of the wallet alone: late money that found no room. No part of `spent`."""

    @property
    def available(self) -> Micros | None:
        """What may yet be leased; None: unbounded."""
        return None if self.limit is None else Micros(self.limit - self.leased - self.spent)


class LeaseBalance(Struct, frozen=True):
    """One lease."""

    lease_id: int
    worker: int
    path: tuple[str, ...]
    granted: Micros
    left: Micros
    """granted - settled - given back: what is free at its worker or reserved for bids."""
    settled: Micros


class Books(Struct, frozen=True):
    """All that the ledger holds of one advertiser."""

    advertiser: str
    clock_s: float
    accounts: dict[str, Balance]
    leases: dict[int, LeaseBalance]
    workers: dict[int, float]
    """Worker to the moment until which it is alive."""
    paused: frozenset[str]
    sequence: int = 0
    """The number of the last journal entry that is in these books."""


class Store(Protocol):
    """A ledger. `now_s` 0: the store's own clock (production); tests and simulated days pass theirs."""

    async def incarnation(self) -> int:
        """A number that no worker had before, though the ledger forgot all it knew: 1 to 2^32 - 1."""

    async def advertisers(self) -> list[str]:
        """All that ever had an account."""

    async def fund(self, advertiser: str, op_id: str, amount: Micros, now_s: float = 0.0) -> Status:
        """Add to the wallet: DONE, DUPLICATE, or REFUSED above MAX_FUNDED."""

    async def withdraw(self, advertiser: str, op_id: str, amount: Micros, now_s: float = 0.0) -> Status:
        """Take from the wallet what is neither leased nor spent: DONE, DUPLICATE or REFUSED."""

    async def lease(
        self, advertiser: str, requests: Sequence[LeaseRequest], now_s: float = 0.0
    ) -> list[Grant]:
        """Open or top up leases; each its own atomic step, in order."""

    async def give_back(
        self, advertiser: str, op_id: str, lease_id: int, amount: Micros, now_s: float = 0.0
    ) -> Status:
        """At most `amount` of what is left of a lease goes home: DONE, DUPLICATE or GONE. A lease of which nothing
        is left after it is forgotten; the next `lease` with its id opens it again."""

    async def poll(
        self, advertiser: str, worker: int, cursor: str, hold_s: float, now_s: float = 0.0
    ) -> Poll:
        """Hear what became of this worker's bids, and stay alive. The first cursor is ""."""

    async def settle(
        self, advertiser: str, settlements: Sequence[Settlement], now_s: float = 0.0
    ) -> list[Status]:
        """Charge impressions: SETTLED, LATE, ABSORBED or DUPLICATE each."""

    async def release(self, advertiser: str, releases: Sequence[Release], now_s: float = 0.0) -> list[Status]:
        """Free what lost: RELEASED, LATE or DUPLICATE each."""

    async def goodbye(
        self, advertiser: str, op_id: str, worker: int, hold_s: float, now_s: float = 0.0
    ) -> Status:
        """The worker makes no more bids: its leases can be reclaimed once its last bid can no longer be charged."""

    async def reclaim(self, advertiser: str, op_id: str, worker: int, now_s: float = 0.0) -> Status:
        """What is left of a dead worker's leases goes home: DONE, DUPLICATE or ALIVE. From then on the worker's
        leases are GONE, for whoever asks in its name."""

    async def pause(
        self, advertiser: str, op_id: str, account: str, paused: bool, now_s: float = 0.0
    ) -> Status:
        """No more leases through an account, or leases again: DONE or DUPLICATE."""

    async def close_periods(
        self, advertiser: str, op_id: str, accounts: Sequence[str], now_s: float = 0.0
    ) -> int:
        """Forget accounts of days and hours that are over for longer than FATE_S, where nothing is leased;
        returns how many."""

    async def accounts(self, advertiser: str) -> dict[str, Balance]:
        """All accounts, at one moment; cheap enough to be asked every few seconds."""

    async def books(self, advertiser: str) -> Books:
        """Everything, at one moment."""
