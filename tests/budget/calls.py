"""Calls that tests of the ledger make: one advertiser, one path, amounts that are easy to add up.

Place: the contract suite and all tests around it.
"""

from __future__ import annotations

from itertools import count

from budget.accounts import WALLET, Level
from budget.money import Micros
from budget.store import Books, LeaseRequest, Release, Settlement, Store

ADV = "shop"
CAMPAIGN, DAY, LINE = "campaign/c", "campaign/c/day/2026-11-22", "line/l"
PATH = (WALLET, CAMPAIGN, DAY, LINE)
T0 = 1_790_000_000.0
HOLD_S = 60.0
FUNDS = Micros(1_000_000)


def levels(day_limit: int | None = 400_000) -> tuple[Level, ...]:
    """A path with a limit on the day alone."""
    limit = None if day_limit is None else Micros(day_limit)
    return (Level(WALLET), Level(CAMPAIGN), Level(DAY, limit), Level(LINE))


def request(op_id: str, wanted: int, lease_id: int, day_limit: int | None = 400_000) -> LeaseRequest:
    """A lease in which every micro is useful: granted in full while it is there."""
    path, amount = levels(day_limit), Micros(wanted)
    return LeaseRequest(op_id, lease_id >> 32, lease_id, path, amount, amount, HOLD_S)


_bids = count(1)


def settlement(
    lease_id: int, price: int, amount: int | None = None, deadline_s: float = T0 + 60
) -> Settlement:
    """An impression of a new bid, at its price or at less."""
    charged = price if amount is None else amount
    bid = next(_bids).to_bytes(12, "big")
    return Settlement(bid, lease_id, Micros(price), Micros(charged), int(deadline_s), PATH)


def released(one: Settlement) -> Release:
    """The same bid, lost."""
    return Release(one.bid_id, one.lease_id, one.price, one.deadline_s)


async def leased(store: Store, wanted: int = 1_000, sequence: int = 1) -> int:
    """The id of a new worker's lease of `wanted`, out of a funded wallet."""
    await store.fund(ADV, "funds", FUNDS, T0)
    lease_id = (await store.incarnation()) << 32 | sequence
    grant = (await store.lease(ADV, [request("open", wanted, lease_id)], T0))[0]
    assert grant.granted == wanted
    return lease_id


def split(books: Books, account: str) -> tuple[int, int, int]:
    """leased, spent, late."""
    balance = books.accounts[account]
    return balance.leased, balance.spent, balance.late
