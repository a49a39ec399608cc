"""The service's ledger as the demo uses it: wallets are funded, spending is watched, the books are proven at the end.

Place: session.py opens one for a run; everything goes through budget.store and budget.audit, as `paceline budget` and
    `paceline audit` do.
Units: Micros of each advertiser's currency.
Raises: budget.store.LedgerDown.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.campaigns.model import Advertiser, Book
from budget.accounts import WALLET
from budget.audit import audit
from budget.journal import Damaged, JournaledStore
from budget.money import Micros, micros_from_text
from budget.store import Balance

PLAY_MONEY: Final = micros_from_text(100_000)
"""Of an advertiser whose campaigns have no total budgets."""
FUND_OP: Final = "demo"

Accounts = Mapping[str, Mapping[str, Balance]]
"""Advertiser to its accounts."""


class Proof(Struct, frozen=True):
    """One advertiser's books after the run."""

    advertiser: str
    name: str
    currency: str
    spent: int
    absorbed: int
    """Late money without room in a budget: billed, and the operator's loss."""
    entries: int
    """Of the journal."""
    findings: tuple[str, ...]
    """What an audit cannot prove."""
    overspend: dict[str, int]
    """By account that has a limit, the wallet too: what was spent beyond it; 0 where nothing was."""


class Ledger:
    """One run's dealings with the ledger."""

    def __init__(self, store: JournaledStore, journal: Path, book: Book) -> None:
        """The store stays its owner's to close; `journal` is the folder of the segments."""
        self._store, self._journal, self._book = store, journal, book

    async def fund(self) -> None:
        """Give every advertiser what its campaigns may spend, once."""
        for shop in self._book.advertisers:
            totals = [campaign.budget.total for campaign in shop.campaigns]
            known = [micros_from_text(str(total)) for total in totals if total is not None]
            amount = sum(known) if len(known) == len(totals) else PLAY_MONEY
            await self._store.fund(shop.id, FUND_OP, Micros(amount))

    async def accounts(self) -> Accounts:
        """How all advertisers' money stands."""
        return {shop.id: await self._store.accounts(shop.id) for shop in self._book.advertisers}

    async def prove(self) -> tuple[Proof, ...]:
        """Every balance from the journal, and every account against its limit."""
        return tuple([await self._prove(shop) for shop in self._book.advertisers])

    async def _prove(self, shop: Advertiser) -> Proof:
        accounts = await self._store.accounts(shop.id)
        over = overspend(shop, accounts)
        wallet, entries = accounts.get(WALLET, Balance(Micros(0))), 0
        try:
            proven = await audit(self._store, self._journal, shop.id)
        except Damaged as error:
            findings: tuple[str, ...] = (f"{shop.id} journal: {error}",)
        else:
            findings = tuple(f"{shop.id} {finding.subject}: {finding.what}" for finding in proven.findings)
            entries = proven.entries
            over = {
                name: max(over.get(name, 0), proven.overspend.get(name, 0))
                for name in over | proven.overspend
            }
        return Proof(
            shop.id, shop.name, shop.currency, wallet.spent, wallet.absorbed, entries, findings, over
        )


def overspend(shop: Advertiser, accounts: Mapping[str, Balance]) -> dict[str, int]:
    """What was spent beyond what the campaign file says, by account; of the wallet, beyond what was funded."""
    limits: dict[str, Decimal | None] = {WALLET: None}
    for campaign in shop.campaigns:
        limits[f"campaign/{campaign.id}"] = campaign.budget.total
        limits |= {f"line/{line.id}": line.budget.total for line in campaign.line_items}
    over = {}
    for name, total in limits.items():
        balance = accounts.get(name, Balance(None))
        limit = balance.limit if total is None else micros_from_text(str(total))
        if limit is not None:
            over[name] = max(0, balance.spent - limit)
    return over
