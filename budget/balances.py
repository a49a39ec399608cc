"""Balances of one advertiser, moved by journal entries and by nothing else.

Place: `ledger` decides and lets an entry move them; `audit` lets a journal move them again and compares.
Units: Micros.
Raises: Unbooked where an entry speaks of a lease or an account that is not there: a journal with a hole.
Never: a clock, a worker's life, an inbox: those are no money.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from budget.accounts import WALLET
from budget.entries import Entry, Verb
from budget.money import Micros
from budget.store import Balance, LeaseBalance


class Unbooked(Exception):
    """An entry cannot be applied to these balances."""


class Account:
    """One account; a wallet's limit is what was funded."""

    __slots__ = ("absorbed", "ceiling", "late", "leased", "limit", "spent")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.ceiling = limit
        """The highest limit in force while money was leased; None: there was none."""
        self.leased = self.spent = self.late = self.absorbed = 0

    def bound(self, limit: int | None) -> None:
        """A new limit; it may be below what is leased and spent already."""
        if limit is None:
            self.ceiling = None
        elif self.leased == 0:
            self.ceiling = max(limit, self.spent)
        elif self.ceiling is not None:
            self.ceiling = max(limit, self.ceiling)
        self.limit = limit

    @property
    def available(self) -> int | None:
        """What may yet be leased; None: unbounded."""
        return None if self.limit is None else self.limit - self.leased - self.spent

    @property
    def overspend(self) -> int:
        """Spent above the highest limit that was in force while money was leased."""
        return 0 if self.ceiling is None else max(0, self.spent - self.ceiling)

    def check(self, name: str) -> None:
        """Assert what holds for each account by itself."""
        assert self.leased >= 0, f"{name}: {self.leased} leased"
        assert 0 <= self.late <= self.spent, f"{name}: spent {self.spent}, late {self.late}"
        if self.ceiling is not None:
            above = self.leased + self.spent - self.ceiling
            assert above <= 0, f"{name}: {above} above the highest limit in force"

    def balance(self) -> Balance:
        """As it is told."""
        numbers = (self.leased, self.spent, self.late, self.absorbed)
        return Balance(None if self.limit is None else Micros(self.limit), *map(Micros, numbers))


class Lease:
    """One lease."""

    __slots__ = ("granted", "left", "path", "settled", "worker")

    def __init__(self, worker: int, path: tuple[str, ...]) -> None:
        self.worker, self.path = worker, path
        self.granted = self.left = self.settled = 0

    def balance(self, lease_id: int) -> LeaseBalance:
        """As it is told."""
        return LeaseBalance(
            lease_id, self.worker, self.path, Micros(self.granted), Micros(self.left), Micros(self.settled)
        )


class Balances:
    """Every account and every lease of one advertiser."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {WALLET: Account(0)}
        self.leases: dict[int, Lease] = {}

    def account(self, name: str) -> Account:
        """An account; one that nobody bounded yet is unbounded."""
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(None)
        return account

    def remaining(self, path: Iterable[str]) -> int:
        """Available on the tightest level; below 0 where a limit was lowered under what is gone already."""
        rooms = (self.accounts[name].available for name in path if name in self.accounts)
        return min(room for room in rooms if room is not None)

    def apply(self, entry: Entry) -> None:
        """Move what the entry says; raises Unbooked."""
        match entry.verb:
            case Verb.SETTLE:
                self._settle(self._lease(entry), entry.amount)
            case Verb.LEASE:
                self._grant(entry)
            case Verb.GIVE_BACK:
                lease = self._lease(entry)
                self._home(lease, entry.amount)
                if lease.left == 0:
                    del self.leases[entry.lease_id]
            case Verb.LATE:
                for name in entry.accounts:
                    account = self.account(name)
                    account.spent += entry.amount
                    account.late += entry.amount
            case Verb.ABSORB:
                self.accounts[WALLET].absorbed += entry.amount
            case Verb.FUND:
                self._fund(entry.amount)
            case Verb.WITHDRAW:
                self._fund(-entry.amount)
            case Verb.RECLAIM:
                self._reclaim(entry.leases)
            case Verb.CLOSE:
                for name in entry.accounts:
                    self.accounts.pop(name, None)
            case _:
                pass

    def check(self) -> None:
        """Assert every invariant of money."""
        leased: dict[str, int] = defaultdict(int)
        for lease_id, lease in self.leases.items():
            assert lease.left >= 0, f"lease {lease_id:x}: {lease.left} left"
            assert lease.left + lease.settled <= lease.granted, f"lease {lease_id:x} gave more than it got"
            for name in lease.path:
                leased[name] += lease.left
        for name, account in self.accounts.items():
            assert account.leased == leased.pop(name, 0), f"{name}: leased is not the sum of its leases"
            account.check(name)
        assert not any(leased.values()), f"leased from accounts that are not there: {dict(leased)}"

    def check_touched(self, entry: Entry) -> None:
        """Assert the invariants of the accounts that an entry has moved: a quick `check` after each of many."""
        lease = self.leases.get(entry.lease_id)
        for name in (WALLET, *entry.accounts, *(lease.path if lease is not None else ())):
            if name in self.accounts:
                self.accounts[name].check(name)

    def _lease(self, entry: Entry) -> Lease:
        lease = self.leases.get(entry.lease_id)
        if lease is None:
            raise Unbooked(f"entry {entry.n}: lease {entry.lease_id:x} is not there")
        return lease

    def _fund(self, amount: int) -> None:
        wallet = self.accounts[WALLET]
        assert wallet.limit is not None
        wallet.limit += amount
        wallet.ceiling = wallet.limit

    def _grant(self, entry: Entry) -> None:
        for name, limit in zip(entry.accounts, entry.limits, strict=True):
            if name != WALLET:
                self.account(name).bound(limit)
        if entry.amount:
            lease = self.leases.get(entry.lease_id)
            if lease is None:
                lease = self.leases[entry.lease_id] = Lease(entry.worker, entry.accounts)
            lease.granted += entry.amount
            lease.left += entry.amount
            for name in lease.path:
                self.account(name).leased += entry.amount

    def _settle(self, lease: Lease, amount: int) -> None:
        lease.left -= amount
        lease.settled += amount
        for name in lease.path:
            account = self.account(name)
            account.leased -= amount
            account.spent += amount

    def _home(self, lease: Lease, amount: int) -> None:
        lease.left -= amount
        for name in lease.path:
            self.account(name).leased -= amount

    def _reclaim(self, leases: Sequence[tuple[int, Micros]]) -> None:
        for lease_id, left in leases:
            lease = self.leases.pop(lease_id, None)
            if lease is None:
                raise Unbooked(f"lease {lease_id:x} was reclaimed and is not there")
            self._home(lease, left)
