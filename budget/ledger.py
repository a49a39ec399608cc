"""The books of one advertiser: every verb as a decision, every change as one journal entry.

Place: the model in Python; what serves are the scripts in budget/lua, which decide in the same way: one contract suite
    and one property test hold both to it. `memory_store` holds one per advertiser, for tests.
Shapes: a verb reads the clock, decides, and lets its entry move the balances: what the journal says is what happened.
Units: Micros; seconds. The clock is the latest moment ever told, to the millisecond: it never runs backward.
Raises: ValueError for what only our own bug could ask for.
"""

from collections.abc import Callable, Sequence
from typing import Any

from budget.accounts import WALLET
from budget.balances import Balances
from budget.checks import check_lease, check_release, check_settlement, is_period, worker_of
from budget.entries import Entry, Verb
from budget.money import Micros
from budget.remembered import Remembered
from budget.store import (
    FATE_S,
    FREED_S,
    KEEP_S,
    LEASE_OPS,
    MAX_FUNDED,
    OP_S,
    POLL_ENTRIES,
    SHARES,
    Books,
    Grant,
    Inbox,
    LeaseRequest,
    Poll,
    Release,
    Settlement,
    Status,
)

Record = Callable[[Entry], None]


class Ledger:
    """One advertiser's books. Each verb is one atomic step at `now_s`."""

    def __init__(self, advertiser: str, record: Record) -> None:
        """`record` takes each journal entry, in order."""
        self.advertiser = advertiser
        self.balances = Balances()
        self.clock_s = 0.0
        self.sequence = 0
        self.paused: set[str] = set()
        self.workers: dict[int, float] = {}
        """Until when each is alive; below 0: reclaimed at that moment."""
        self._record = record
        self._inboxes: dict[int, list[tuple[int, float, Inbox]]] = {}
        self._heard: dict[int, str] = {}
        """By worker: the cursor up to which it has heard."""
        self._grants: dict[int, int] = {}
        self._fates = Remembered()
        self._ops = Remembered()
        self._lease_ops: dict[int, dict[str, Micros]] = {}

    def fund(self, op_id: str, amount: Micros, now_s: float) -> Status:
        """DONE, DUPLICATE, or REFUSED above MAX_FUNDED."""
        self._tick(now_s)
        if self._ops.get(op_id, self.clock_s) is not None:
            return Status.DUPLICATE
        if (self.balances.accounts[WALLET].limit or 0) + amount > MAX_FUNDED:
            return Status.REFUSED
        return self._done(Verb.FUND, op_id, amount=amount)

    def withdraw(self, op_id: str, amount: Micros, now_s: float) -> Status:
        """DONE, DUPLICATE or REFUSED."""
        self._tick(now_s)
        if self._ops.get(op_id, self.clock_s) is not None:
            return Status.DUPLICATE
        if amount > self.balances.remaining((WALLET,)):
            return Status.REFUSED
        return self._done(Verb.WITHDRAW, op_id, amount=amount)

    def lease(self, request: LeaseRequest, now_s: float) -> Grant:
        """Open or top up one lease, and keep its worker alive."""
        names = check_lease(request)
        self._tick(now_s)
        known = self._lease_ops.get(request.lease_id, {}).get(request.op_id)
        if known is not None:
            return self._grant(Status.DONE, request.worker, names, known)
        if self._gone(request.worker):
            return Grant(Status.GONE, clock_s=self.clock_s)
        lease = self.balances.leases.get(request.lease_id)
        if lease is not None and lease.path != names:
            raise ValueError(f"lease {request.lease_id:x} keeps its path")
        self._keep_alive(request.worker, request.hold_s)
        granted, status = self._granted(request)
        if granted or self._changes_limits(request):
            self._write(
                Verb.LEASE,
                op_id=request.op_id,
                worker=request.worker,
                lease_id=request.lease_id,
                accounts=names,
                limits=tuple(level.limit for level in request.path),
                amount=granted,
            )
        if granted:
            ops = self._lease_ops.setdefault(request.lease_id, {})
            ops[request.op_id] = granted
            self._grants[request.worker] = self._grants.get(request.worker, 0) + 1
            if len(ops) > LEASE_OPS:
                del ops[next(iter(ops))]
        return self._grant(status, request.worker, names, granted)

    def give_back(self, op_id: str, lease_id: int, amount: Micros, now_s: float) -> Status:
        """DONE, DUPLICATE or GONE."""
        self._tick(now_s)
        if self._ops.get(op_id, self.clock_s) is not None:
            return Status.DUPLICATE
        lease = self.balances.leases.get(lease_id)
        if lease is None:
            return Status.GONE
        status = self._done(Verb.GIVE_BACK, op_id, lease_id=lease_id, amount=Micros(min(amount, lease.left)))
        if lease_id not in self.balances.leases:
            del self._lease_ops[lease_id]
        return status

    def poll(self, worker: int, cursor: str, hold_s: float, now_s: float) -> Poll:
        """What became of the worker's bids after `cursor`; forgets what came before it."""
        self._tick(now_s)
        dead = tuple(sorted(w for w, until_s in self.workers.items() if 0 <= until_s < self.clock_s))
        grants = self._grants.get(worker, 0)
        if self._gone(worker) or not self._told(worker, cursor):
            paused = frozenset(self.paused)
            return Poll(self.clock_s, 0.0, cursor, (), paused, dead, self._live(), self.sequence, grants)
        self._keep_alive(worker, hold_s)
        heard = int(cursor.partition("-")[0] or 0)
        inbox = [item for item in self._inboxes.get(worker, ()) if item[0] > heard]
        self._inboxes[worker] = inbox
        told = inbox[:POLL_ENTRIES]
        return Poll(
            # What is not told yet happened after the last that is told, at the earliest at its moment.
            clock_s=self.clock_s if len(told) < POLL_ENTRIES else told[-1][1],
            until_s=self.workers[worker],
            cursor=_cursor(*told[-1]) if told else cursor,
            entries=tuple(item[2] for item in told),
            paused=frozenset(self.paused),
            dead=tuple(other for other in dead if other != worker),
            workers=self._live(),
            sequence=self.sequence,
            grants=grants,
        )

    def settle(self, settlement: Settlement, now_s: float) -> Status:
        """SETTLED, LATE, ABSORBED or DUPLICATE."""
        check_settlement(settlement)
        self._tick(now_s)
        bid, amount = settlement.bid_id, settlement.amount
        fate = self._fates.get(bid, self.clock_s)
        if fate is not None and fate is not Status.RELEASED:
            return Status.DUPLICATE
        self._fates.put(bid, Status.SETTLED, max(self.clock_s, settlement.deadline_s) + FATE_S, self.clock_s)
        lease = self.balances.leases.get(settlement.lease_id)
        bid_fields: dict[str, Any] = {
            "bid_id": bid.hex(),
            "lease_id": settlement.lease_id,
            "amount": amount,
            "deadline_s": settlement.deadline_s,
        }
        on_time = self.clock_s <= settlement.deadline_s
        if fate is None and on_time and lease is not None and lease.left >= amount:
            self._write(Verb.SETTLE, price=settlement.price, **bid_fields)
            self._tell(settlement, amount)
            return Status.SETTLED
        path = settlement.path if lease is None else lease.path
        if self.clock_s <= settlement.deadline_s + FATE_S and self.balances.remaining(path) >= amount:
            self._write(Verb.LATE, accounts=path, **bid_fields)
            return Status.LATE
        self._write(Verb.ABSORB, accounts=path, **bid_fields)
        return Status.ABSORBED

    def release(self, release: Release, now_s: float) -> Status:
        """RELEASED, LATE or DUPLICATE."""
        check_release(release)
        self._tick(now_s)
        if self._fates.get(release.bid_id, self.clock_s) is not None:
            return Status.DUPLICATE
        if self.clock_s > release.deadline_s or release.lease_id not in self.balances.leases:
            return Status.LATE
        self._fates.put(release.bid_id, Status.RELEASED, release.deadline_s + FREED_S, self.clock_s)
        self._write(
            Verb.RELEASE,
            bid_id=release.bid_id.hex(),
            lease_id=release.lease_id,
            price=release.price,
            deadline_s=release.deadline_s,
        )
        self._tell(release, Micros(0))
        return Status.RELEASED

    def goodbye(self, op_id: str, worker: int, hold_s: float, now_s: float) -> Status:
        """DONE or DUPLICATE."""
        self._tick(now_s)
        if self._ops.get(op_id, self.clock_s) is not None or self._gone(worker):
            return Status.DUPLICATE
        self.workers[worker] = round(self.clock_s + hold_s, 3)
        return self._done(Verb.GOODBYE, op_id, worker=worker)

    def reclaim(self, op_id: str, worker: int, now_s: float) -> Status:
        """DONE, DUPLICATE or ALIVE."""
        self._tick(now_s)
        until_s = self.workers.get(worker, -1.0)
        if until_s < 0:
            return Status.DUPLICATE
        if until_s >= self.clock_s:
            return Status.ALIVE
        leases = sorted((i, lease) for i, lease in self.balances.leases.items() if lease.worker == worker)
        for other, reclaimed_s in list(self.workers.items()):
            if reclaimed_s < 0 and -reclaimed_s < self.clock_s - OP_S:
                del self.workers[other]
        self.workers[worker] = -self.clock_s
        self._inboxes.pop(worker, None)
        self._heard.pop(worker, None)
        self._grants.pop(worker, None)
        for lease_id, _ in leases:
            del self._lease_ops[lease_id]
        left = tuple((lease_id, Micros(lease.left)) for lease_id, lease in leases)
        self._write(Verb.RECLAIM, op_id=op_id, worker=worker, leases=left)
        return Status.DONE

    def pause(self, op_id: str, account: str, paused: bool, now_s: float) -> Status:
        """DONE or DUPLICATE."""
        self._tick(now_s)
        if self._ops.get(op_id, self.clock_s) is not None:
            return Status.DUPLICATE
        (self.paused.add if paused else self.paused.discard)(account)
        return self._done(Verb.PAUSE if paused else Verb.RESUME, op_id, accounts=(account,))

    def close_periods(self, op_id: str, accounts: Sequence[str], now_s: float) -> int:
        """How many were forgotten."""
        self._tick(now_s)
        if (known := self._ops.get(op_id, self.clock_s)) is not None:
            return int(known)
        held = self.balances.accounts
        names = tuple(
            name for name in accounts if name in held and held[name].leased == 0 and is_period(name)
        )
        self._done(Verb.CLOSE, op_id, accounts=names)
        self._ops.put(op_id, len(names), self.clock_s + OP_S, self.clock_s)
        return len(names)

    def books(self) -> Books:
        """Everything."""
        return Books(
            self.advertiser,
            self.clock_s,
            {name: account.balance() for name, account in self.balances.accounts.items()},
            {lease_id: lease.balance(lease_id) for lease_id, lease in self.balances.leases.items()},
            {worker: until_s for worker, until_s in self.workers.items() if until_s >= 0},
            frozenset(self.paused),
            self.sequence,
        )

    def check(self) -> None:
        """Assert every invariant."""
        self.balances.check()
        for lease_id, lease in self.balances.leases.items():
            assert self.workers.get(lease.worker, -1.0) >= 0, f"lease {lease_id:x} of a worker that is gone"
        assert self._lease_ops.keys() == self.balances.leases.keys()

    def _tick(self, now_s: float) -> None:
        self.clock_s = max(self.clock_s, round(now_s, 3))

    def _write(self, verb: Verb, **fields: Any) -> None:
        self.sequence += 1
        entry = Entry(self.sequence, self.clock_s, verb, **fields)
        self.balances.apply(entry)
        self._record(entry)

    def _done(self, verb: Verb, op_id: str, **fields: Any) -> Status:
        self._ops.put(op_id, 1, self.clock_s + OP_S, self.clock_s)
        self._write(verb, op_id=op_id, **fields)
        return Status.DONE

    def _keep_alive(self, worker: int, hold_s: float) -> None:
        until_s = round(self.clock_s + (KEEP_S + hold_s), 3)
        self.workers[worker] = max(self.workers.get(worker, 0.0), until_s)

    def _gone(self, worker: int) -> bool:
        return self.workers.get(worker, 0.0) < 0

    def _told(self, worker: int, cursor: str) -> bool:
        """Whether a worker's cursor names an entry that it was told here; remembers it then."""
        if cursor and self._heard.get(worker) != cursor:
            if not any(_cursor(*item) == cursor for item in self._inboxes.get(worker, ())):
                return False
            self._heard[worker] = cursor
        return True

    def _live(self) -> int:
        return sum(until_s >= self.clock_s for until_s in self.workers.values())

    def _granted(self, request: LeaseRequest) -> tuple[Micros, Status]:
        if any(level.account in self.paused for level in request.path):
            return Micros(0), Status.PAUSED
        remaining = self._remaining_under(request)
        if remaining <= 0:
            return Micros(0), Status.EMPTY
        share = max(request.useful, remaining // (SHARES * self._live()))
        return Micros(min(request.wanted, share, remaining)), Status.DONE

    def _remaining_under(self, request: LeaseRequest) -> int:
        """Available on the tightest level under the limits that the request tells."""
        remaining = self.balances.remaining((WALLET,))
        for level in request.path:
            if level.limit is not None and level.account != WALLET:
                held = self.balances.accounts.get(level.account)
                gone = 0 if held is None else held.leased + held.spent
                remaining = min(remaining, level.limit - gone)
        return remaining

    def _changes_limits(self, request: LeaseRequest) -> bool:
        held = self.balances.accounts
        return any(
            level.account != WALLET
            and level.limit != (held[level.account].limit if level.account in held else None)
            for level in request.path
        )

    def _grant(self, status: Status, worker: int, names: tuple[str, ...], granted: Micros) -> Grant:
        remaining = Micros(self.balances.remaining(names))
        until_s = max(0.0, self.workers.get(worker, 0.0))
        return Grant(status, granted, remaining, self._live(), until_s, self.clock_s)

    def _tell(self, bid: Settlement | Release, amount: Micros) -> None:
        item = Inbox(bid.lease_id, bid.bid_id, bid.price, amount, bid.deadline_s)
        inbox = self._inboxes.setdefault(worker_of(bid.lease_id), [])
        inbox.append((self.sequence, self.clock_s, item))


def _cursor(sequence: int, at_s: float, item: Inbox) -> str:
    return f"{sequence}-0 {at_s:.3f} {item.bid_id.hex()}"
