"""A ledger in this process: the same verbs and answers as the one on Redis, gone with the process.

Place: tests alone: the contract, the simulated day, workers without a server.
Units: Micros; seconds.
Limits: nothing awaits, so each verb is atomic, and the same calls give the same answers.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from budget.checks import check_amount
from budget.entries import Entry
from budget.ledger import Ledger
from budget.money import Micros
from budget.store import Balance, Books, Grant, LeaseRequest, Poll, Release, Settlement, Status


class MemoryStore:
    """A `Store`, and the journals that `journal.archive` drains."""

    def __init__(self, clock_s: Callable[[], float] = time.time, keep_journal: bool = True) -> None:
        """`clock_s` answers where a verb is told no moment; without `keep_journal` entries are dropped."""
        self.ledgers: dict[str, Ledger] = {}
        self._journals: dict[str, deque[Entry]] = {}
        self._clock_s = clock_s
        self._keep_journal = keep_journal
        self._incarnation = 0

    def ledger(self, advertiser: str) -> Ledger:
        """An advertiser's books; empty ones where there were none."""
        ledger = self.ledgers.get(advertiser)
        if ledger is None:
            journal = self._journals[advertiser] = deque(maxlen=None if self._keep_journal else 0)
            ledger = self.ledgers[advertiser] = Ledger(advertiser, journal.append)
        return ledger

    def check(self) -> None:
        """Assert every invariant of every advertiser."""
        for ledger in self.ledgers.values():
            ledger.check()

    async def incarnation(self) -> int:
        """See `Store`; so with all that follow."""
        self._incarnation += 1
        return self._incarnation

    async def advertisers(self) -> list[str]:
        return sorted(self.ledgers)

    async def fund(self, advertiser: str, op_id: str, amount: Micros, now_s: float = 0.0) -> Status:
        check_amount(amount)
        return self.ledger(advertiser).fund(op_id, amount, self._now(now_s))

    async def withdraw(self, advertiser: str, op_id: str, amount: Micros, now_s: float = 0.0) -> Status:
        check_amount(amount)
        return self.ledger(advertiser).withdraw(op_id, amount, self._now(now_s))

    async def lease(
        self, advertiser: str, requests: Sequence[LeaseRequest], now_s: float = 0.0
    ) -> list[Grant]:
        ledger, now_s = self.ledger(advertiser), self._now(now_s)
        return [ledger.lease(request, now_s) for request in requests]

    async def give_back(
        self, advertiser: str, op_id: str, lease_id: int, amount: Micros, now_s: float = 0.0
    ) -> Status:
        check_amount(amount)
        return self.ledger(advertiser).give_back(op_id, lease_id, amount, self._now(now_s))

    async def poll(
        self, advertiser: str, worker: int, cursor: str, hold_s: float, now_s: float = 0.0
    ) -> Poll:
        return self.ledger(advertiser).poll(worker, cursor, hold_s, self._now(now_s))

    async def settle(
        self, advertiser: str, settlements: Sequence[Settlement], now_s: float = 0.0
    ) -> list[Status]:
        ledger, now_s = self.ledger(advertiser), self._now(now_s)
        return [ledger.settle(settlement, now_s) for settlement in settlements]

    async def release(self, advertiser: str, releases: Sequence[Release], now_s: float = 0.0) -> list[Status]:
        ledger, now_s = self.ledger(advertiser), self._now(now_s)
        return [ledger.release(release, now_s) for release in releases]

    async def goodbye(
        self, advertiser: str, op_id: str, worker: int, hold_s: float, now_s: float = 0.0
    ) -> Status:
        return self.ledger(advertiser).goodbye(op_id, worker, hold_s, self._now(now_s))

    async def reclaim(self, advertiser: str, op_id: str, worker: int, now_s: float = 0.0) -> Status:
        return self.ledger(advertiser).reclaim(op_id, worker, self._now(now_s))

    async def pause(
        self, advertiser: str, op_id: str, account: str, paused: bool, now_s: float = 0.0
    ) -> Status:
        return self.ledger(advertiser).pause(op_id, account, paused, self._now(now_s))

    async def close_periods(
        self, advertiser: str, op_id: str, accounts: Sequence[str], now_s: float = 0.0
    ) -> int:
        return self.ledger(advertiser).close_periods(op_id, accounts, self._now(now_s))

    async def accounts(self, advertiser: str) -> dict[str, Balance]:
        return self.ledger(advertiser).books().accounts

    async def books(self, advertiser: str) -> Books:
        return self.ledger(advertiser).books()

    async def entries(self, advertiser: str, after: int, count: int) -> list[Entry]:
        """At most `count` journal entries with a number above `after`, in order."""
        journal = self._journals.get(advertiser, deque())
        return list(islice((entry for entry in journal if entry.n > after), count))

    async def trim(self, advertiser: str, through: int) -> None:
        """Forget the journal up to and with an entry: it is kept elsewhere."""
        journal = self._journals.get(advertiser, deque())
        while journal and journal[0].n <= through:
            journal.popleft()

    async def last_entry(self, advertiser: str) -> int:
        """The number of the last journal entry ever written; 0: none."""
        return self.ledger(advertiser).sequence

    def _now(self, now_s: float) -> float:
        return now_s or self._clock_s()
