"""What the ledger's scripts answer, as what a Store answers.

Place: redis_store.
Shapes: texts are bytes; a journal entry and an inbox entry are field and value pairs, named in budget/lua.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from budget.accounts import WALLET
from budget.checks import worker_of
from budget.entries import Entry, Verb
from budget.money import Micros
from budget.store import Balance, Books, Inbox, LeaseBalance


def inbox_of(fields: Sequence[bytes]) -> Inbox:
    """One entry of an inbox."""
    held = _pairs(fields)
    return Inbox(
        int(held["lease"], 16),
        bytes.fromhex(held["bid"]),
        Micros(int(held["price"])),
        Micros(int(held["amount"])),
        int(held["deadline"]),
    )


def cursor_of(entry_id: bytes, fields: Sequence[bytes]) -> str:
    """Where a poll ended that told this entry of an inbox last: by what it is known again."""
    held = _pairs(fields)
    return f"{entry_id.decode()} {held['at']} {held['bid']}"


def entry_of(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """One entry of the journal."""
    held = {name.decode(): value.decode() for name, value in fields.items()}
    leases = (text.split(":") for text in _lines(held.get("leases", "")))
    limits = held["limits"].split("\n") if "limits" in held else ()
    return Entry(
        int(entry_id.partition(b"-")[0]),
        float(held["at"]),
        Verb(held["verb"]),
        op_id=held.get("op", ""),
        worker=int(held.get("worker", 0)),
        lease_id=int(held.get("lease", "0"), 16),
        bid_id=held.get("bid", ""),
        price=Micros(int(held.get("price", 0))),
        amount=Micros(int(held.get("amount", 0))),
        deadline_s=int(held.get("deadline", 0)),
        accounts=_lines(held.get("accounts", "")),
        limits=tuple(Micros(int(text)) if text else None for text in limits),
        leases=tuple((int(lease, 16), Micros(int(left))) for lease, left in leases),
    )


def books_of(advertiser: str, leases: Sequence[str], answer: Sequence[Any]) -> Books:
    """The answer of books.lua; `leases` in the order in which they were asked for."""
    clock_s, sequence, accounts, workers, paused, held = answer
    alive = {int(worker): float(until_s) for worker, until_s in _pairs(workers).items()}
    return Books(
        advertiser,
        float(clock_s),
        balances_of(accounts),
        {int(name, 16): _lease_of(int(name, 16), lease) for name, lease in zip(leases, held, strict=True)},
        {worker: until_s for worker, until_s in alive.items() if until_s >= 0},
        frozenset(name.decode() for name in paused),
        sequence,
    )


def balances_of(held: Sequence[bytes]) -> dict[str, Balance]:
    """The accounts of a hash, its fields and values in turn."""
    amounts: dict[str, dict[str, Micros]] = defaultdict(dict, {WALLET: {"limit": Micros(0)}})
    for field, value in _pairs(held).items():
        account, _, what = field.rpartition("|")
        amounts[account]["limit" if what == "funded" else what] = Micros(int(value))
    return {account: Balance(named.pop("limit", None), **named) for account, named in amounts.items()}


def _lease_of(lease_id: int, held: Sequence[bytes]) -> LeaseBalance:
    path, granted, left, settled = held
    return LeaseBalance(
        lease_id,
        worker_of(lease_id),
        _lines(path.decode()),
        Micros(int(granted)),
        Micros(int(left)),
        Micros(int(settled)),
    )


def _pairs(flat: Sequence[bytes]) -> dict[str, str]:
    return {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()
