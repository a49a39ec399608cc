"""An advertiser's books for people and for programs: accounts as a tree, leases by worker.

Place: `paceline budget show`.
Shapes: a campaign hangs below the wallet, a line item below its campaign, a day or an hour below what it is a part of.
Units: text shows decimals of the currency, JSON micros.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from bidder.campaigns.model import Advertiser
from bidder.commands.ledger import amount_texts, table
from budget.accounts import WALLET
from budget.money import Micros, amount_text
from budget.store import Balance, Books, LeaseBalance

BAR: Final = 10
_COLUMNS: Final = ("ACCOUNT", "LIMIT", "SPENT", "LEASED", "AVAILABLE", "LATE", "USED", "")
_LEASES: Final = ("WORKER", "ALIVE UNTIL", "LEASE", "LINE ITEM", "GRANTED", "SETTLED", "GIVEN BACK", "LEFT")


def as_text(books: Books, advertiser: Advertiser | None, leases: bool) -> str:
    """For a person."""
    named = f"  {advertiser.name}  {advertiser.currency}" if advertiser else ""
    rows = _rows(list(_tree(books, advertiser)), books)
    parts = [books.advertiser + named, table(_COLUMNS, rows, frozenset({0, 6, 7}))]
    absorbed = _accounts(books)[WALLET].absorbed
    if absorbed:
        parts.append(f"absorbed, which no account pays: {amount_text(absorbed)}")
    if leases:
        held = _lease_rows(books)
        parts.append(table(_LEASES, held, frozenset({0, 1, 2, 3})) if held else "no leases")
    return "\n".join(parts)


def as_json(books: Books, advertiser: Advertiser | None, leases: bool) -> dict[str, Any]:
    """For a program."""
    accounts = _accounts(books)
    parents = _parents(books, advertiser)
    told: dict[str, Any] = {
        "advertiser": books.advertiser,
        "name": advertiser.name if advertiser else None,
        "currency": advertiser.currency if advertiser else None,
        "clock_s": books.clock_s,
        "absorbed_micros": accounts[WALLET].absorbed,
        "accounts": [
            {
                "account": name,
                "parent": parents.get(name),
                "paused": name in books.paused,
                **_numbers(balance),
            }
            for name, _, balance in _tree(books, advertiser)
        ],
    }
    if leases:
        told["leases"] = [
            {
                "worker": lease.worker,
                "alive_until_s": books.workers.get(lease.worker),
                "lease": f"{lease.lease_id:016x}",
                "path": lease.path,
                "granted_micros": lease.granted,
                "settled_micros": lease.settled,
                "left_micros": lease.left,
            }
            for lease in _leases(books)
        ]
    return told


def used(balance: Balance) -> float | None:
    """Share of the limit that is spent; None where nothing is bounded."""
    return balance.spent / balance.limit if balance.limit else None


def _numbers(balance: Balance) -> dict[str, int | float | None]:
    return {
        "limit_micros": balance.limit,
        "spent_micros": balance.spent,
        "leased_micros": balance.leased,
        "available_micros": balance.available,
        "late_micros": balance.late,
        "utilisation": used(balance),
    }


def _accounts(books: Books) -> dict[str, Balance]:
    """Those that there are, the wallet, and those that are paused before they had any money."""
    missing = {name: Balance(None) for name in sorted(books.paused)} | {WALLET: Balance(Micros(0))}
    return {**missing, **books.accounts}


def _parents(books: Books, advertiser: Advertiser | None) -> dict[str, str]:
    """What each account hangs below."""
    campaigns = {
        f"line/{line.id}": f"campaign/{campaign.id}"
        for campaign in (advertiser.campaigns if advertiser else ())
        for line in campaign.line_items
    }
    for lease in books.leases.values():
        campaign = [name for name in lease.path if name.startswith("campaign/") and name.count("/") == 1]
        campaigns |= {name: campaign[0] for name in lease.path if name.startswith("line/") and campaign}
    accounts = _accounts(books)
    parents = {}
    for name in accounts:
        whole = name.partition("/day/")[0].partition("/hour/")[0]
        above = whole if whole != name else campaigns.get(name, WALLET)
        if name != WALLET:
            parents[name] = above if above in accounts else WALLET
    return parents


def _tree(books: Books, advertiser: Advertiser | None) -> Iterator[tuple[str, int, Balance]]:
    """Account, depth, balance; each below its parent, parts of a limit before what is below it."""
    accounts, below = _accounts(books), dict[str, list[str]]()
    for name, above in _parents(books, advertiser).items():
        below.setdefault(above, []).append(name)
    waiting = [(WALLET, 0)]
    while waiting:
        name, depth = waiting.pop()
        yield name, depth, accounts[name]
        under = sorted(below.get(name, ()), key=lambda child: (not child.startswith(f"{name}/"), child))
        waiting += [(child, depth + 1) for child in reversed(under)]


def _rows(tree: Sequence[tuple[str, int, Balance]], books: Books) -> list[tuple[str, ...]]:
    balances = [balance for _, _, balance in tree]
    amounts = _columns(
        [balance.limit for balance in balances],
        [balance.spent for balance in balances],
        [balance.leased for balance in balances],
        [balance.available for balance in balances],
        [balance.late for balance in balances],
    )
    return [
        (
            "  " * depth + "/".join(name.split("/")[-2:]),
            *texts,
            _bar(used(balance)),
            ", ".join(_why_nothing_leaves(name, balance, books)),
        )
        for (name, depth, balance), texts in zip(tree, amounts, strict=True)
    ]


def _columns(*columns: Sequence[int | None]) -> Iterator[tuple[str, ...]]:
    """Amounts row by row, all with the decimals that the finest of the whole table needs."""
    texts = amount_texts([micros for column in columns for micros in column])
    count = len(columns[0])
    return zip(*(texts[i * count : (i + 1) * count] for i in range(len(columns))), strict=True)


def _why_nothing_leaves(name: str, balance: Balance, books: Books) -> Iterator[str]:
    """What an operator looks for where a line item does not bid."""
    if name in books.paused:
        yield "paused"
    if name == WALLET and not balance.limit:
        yield "not funded"
    elif balance.available is not None and balance.available <= 0:
        yield "nothing left"


def _bar(share: float | None) -> str:
    if share is None:
        return ""
    full = min(BAR, int(share * BAR))
    return f"[{'#' * full}{'.' * (BAR - full)}] {share:6.1%}"


def _leases(books: Books) -> list[LeaseBalance]:
    return sorted(books.leases.values(), key=lambda lease: (lease.worker, lease.path, lease.lease_id))


def _lease_rows(books: Books) -> list[tuple[str, ...]]:
    leases = _leases(books)
    amounts = _columns(
        [lease.granted for lease in leases],
        [lease.settled for lease in leases],
        [lease.granted - lease.settled - lease.left for lease in leases],
        [lease.left for lease in leases],
    )
    return [(*_holder(books, lease), *texts) for lease, texts in zip(leases, amounts, strict=True)]


def _holder(books: Books, lease: LeaseBalance) -> tuple[str, ...]:
    until_s = books.workers.get(lease.worker)
    alive = "gone" if until_s is None else datetime.fromtimestamp(until_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    line = next((name.split("/")[1] for name in lease.path if name.startswith("line/")), lease.path[-1])
    return (str(lease.worker), alive, f"{lease.lease_id:x}", line)
