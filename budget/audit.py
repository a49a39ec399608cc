"""The proof of an advertiser's books: every balance rebuilt from the journal, and compared with the store's.

Place: `paceline audit`, the simulated day, the tests. It may run while the ledger is in use: it proves the books of
    one moment by the journal up to that moment.
Units: Micros.
Raises: LedgerDown; journal.Damaged.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from budget.accounts import WALLET
from budget.balances import Balances, Unbooked
from budget.entries import Entry, Verb
from budget.journal import JournaledStore, lost, whole_journal
from budget.money import Micros
from budget.store import FATE_S, Balance, Books, LeaseBalance

_CHARGES: Final = frozenset({Verb.SETTLE, Verb.LATE})  # what is absorbed may be a repetition: nobody pays it
_FUNDS: Final = frozenset({Verb.FUND, Verb.WITHDRAW})


class Finding(Struct, frozen=True):
    """Something that does not add up."""

    subject: str
    """An account, "lease <id>", or "journal"."""
    what: str


class Audit(Struct, frozen=True):
    """What an audit found, and the totals by the journal."""

    advertiser: str
    entries: int
    """Up to this entry of the journal the books were compared."""
    findings: tuple[Finding, ...]
    """Empty: every balance is proven."""
    funded: Micros
    spent: Micros
    late: Micros
    absorbed: Micros
    leased: Micros
    overspend: dict[str, Micros]
    """By account that has a limit: spent above the highest limit in force while money was leased."""


async def audit(store: JournaledStore, folder: Path, advertiser: str) -> Audit:
    """Rebuild and compare."""
    books = await store.books(advertiser)
    replay = Replay()
    async for entry in whole_journal(store, folder, advertiser):
        if entry.n > books.sequence:
            break
        replay.add(entry)
    replay.end(books.sequence)
    aside = (
        Finding("journal", f"the store has forgotten entries that it once told: {name}")
        for name in lost(folder, advertiser)
    )
    accounts = replay.balances.accounts
    wallet = accounts[WALLET].balance()
    return Audit(
        advertiser,
        replay.last,
        (*replay.findings, *aside, *_differences(replay.balances, books)),
        funded=wallet.limit or Micros(0),
        spent=wallet.spent,
        late=wallet.late,
        absorbed=wallet.absorbed,
        leased=wallet.leased,
        overspend={
            name: Micros(account.overspend)
            for name, account in accounts.items()
            if account.ceiling is not None
        },
    )


class Replay:
    """Balances rebuilt from entries, and what was odd on the way."""

    def __init__(self) -> None:
        self.balances = Balances()
        self.findings: list[Finding] = []
        self.last = 0
        self._ops: set[str] = set()
        self._charged: tuple[set[str], set[str]] = (set(), set())
        self._since_s = 0.0

    def add(self, entry: Entry) -> None:
        """The next entry."""
        if entry.n != self.last + 1:
            self._find("journal", f"entries {self.last + 1} to {entry.n - 1} are missing")
        self.last = entry.n
        self._once(entry)
        try:
            self.balances.apply(entry)
        except Unbooked as error:
            self._find("journal", str(error))
            return
        try:
            self.balances.check_touched(entry)
        except AssertionError as error:
            self._find("journal", f"entry {entry.n} breaks a rule: {error}")

    def end(self, sequence: int) -> None:
        """The journal ends here; it should end at an entry."""
        if self.last != sequence:
            self._find("journal", f"entries {self.last + 1} to {sequence} are missing")
        try:
            self.balances.check()
        except AssertionError as error:
            self._find("journal", f"it does not add up: {error}")

    def _once(self, entry: Entry) -> None:
        """No bid is charged twice, no funding counted twice."""
        if entry.verb in _FUNDS:
            if entry.op_id in self._ops:
                self._find("journal", f"entry {entry.n}: {entry.op_id} was counted before")
            self._ops.add(entry.op_id)
        elif entry.verb in _CHARGES:
            if entry.at_s > self._since_s + 2 * FATE_S:  # so long a bid can come again, at the most
                self._charged, self._since_s = (set(), self._charged[0]), entry.at_s
            if entry.bid_id in self._charged[0] or entry.bid_id in self._charged[1]:
                self._find("journal", f"entry {entry.n}: bid {entry.bid_id} was charged before")
            self._charged[0].add(entry.bid_id)

    def _find(self, subject: str, what: str) -> None:
        self.findings.append(Finding(subject, what))


def _differences(balances: Balances, books: Books) -> Iterator[Finding]:
    accounts = {name: account.balance() for name, account in balances.accounts.items()}
    for name in sorted(accounts.keys() | books.accounts.keys()):
        yield from _compare(name, accounts.get(name), books.accounts.get(name))
    leases = {lease_id: lease.balance(lease_id) for lease_id, lease in balances.leases.items()}
    for lease_id in sorted(leases.keys() | books.leases.keys()):
        yield from _compare(f"lease {lease_id:x}", leases.get(lease_id), books.leases.get(lease_id))


def _compare(
    subject: str, proven: Balance | LeaseBalance | None, held: Balance | LeaseBalance | None
) -> Iterator[Finding]:
    if proven is None or held is None:
        where = "journal" if held is None else "books"
        yield Finding(subject, f"stands in the {where} alone")
        return
    for field in structs.fields(proven):
        by_journal, by_books = getattr(proven, field.name), getattr(held, field.name)
        if by_journal != by_books:
            yield Finding(subject, f"{field.name} is {by_books} in the books and {by_journal} by the journal")
