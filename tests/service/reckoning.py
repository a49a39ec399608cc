"""What an exchange is owed, held against the ledger's journal: each accepted bill once, and nothing beyond any limit.

Shapes: the book is data/budgets.yaml; `SITES` are where its line items bid, and through which exchange.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from budget.accounts import WALLET
from budget.entries import Entry, Verb
from tests.bidder.supervisor.serving import until
from tests.service import money
from tests.service.market import Account, Market, Sale

BUDGETS: Final = Path(__file__).parent / "data" / "budgets.yaml"
ADVERTISERS: Final = ("small", "levels", "hasty", "free")
SMALL: Final = 300_000
"""What the smaller wallets have."""
MORE: Final = 100_000
"""What one of them gets when the service is started anew."""
UNIT: Final = 1_000_000
BOUNDS: Final = {
    "campaign/total": 400_000,
    "line/total-2": 150_000,
    "campaign/period/day": 250_000,
    "line/daily/day": 200_000,
    "line/hourly/day": 400_000,
    "line/hourly/hour": 150_000,
}
"""What the book says, days and hours left out."""
BINDING: Final = BOUNDS.keys() - {"line/hourly/day"}
"""Those that are reached."""
SITES: Final = {
    "small1.example": "xandr",
    "small2.example": "index",
    "total1.example": "xandr",
    "total2.example": "magnite",
    "daily.example": "prebid",
    "hourly.example": "generic",
    "period1.example": "google",
    "hasty.example": "quick",
    "free.example": "prebid",
}
SETTINGS: Final = {
    "ledger": {"lease_bids": 4},
    "exchanges": [{"name": "quick", "exp_s": 1, "notice_delay_s": 1}],
}
RATE: Final = 160.0
LATE_SHARE: Final = 0.01
"""See test_corpus_http."""
CHARGES: Final = (Verb.SETTLE, Verb.LATE, Verb.ABSORB)


def kind_of(account: str) -> str:
    """An account without its day or hour."""
    return "/".join(account.split("/")[:3])


class Reckoning:
    """The market's books held against the ledger's journal."""

    def __init__(self, market: Market, ledger_url: str, journal: Path) -> None:
        self.market, self._url, self._journal = market, ledger_url, journal
        self.look()

    def look(self) -> None:
        """Read the journals."""
        self.charges: dict[str, list[Entry]] = {}
        self.released: set[str] = set()
        for advertiser in ADVERTISERS:
            for entry in money.journal(self._url, self._journal, advertiser):
                if entry.verb in CHARGES:
                    self.charges.setdefault(entry.bid_id, []).append(entry)
                elif entry.verb is Verb.RELEASE and entry.bid_id not in self.charges:
                    self.released.add(entry.bid_id)

    @property
    def missing(self) -> list[Sale]:
        """Bills that were accepted and are not charged."""
        return [s for s in self.market.sales.values() if s.billed and s.bid_id not in self.charges]

    def settled(self) -> None:
        """Wait until everything accepted is charged."""

        def all_there() -> bool:
            self.look()
            return not self.missing

        until(all_there, "every accepted bill")

    def prove(self) -> None:
        """Each bill once and as told, nothing else, nothing beyond any limit, every balance by the journal."""
        sales = self.market.sales
        assert not self.missing
        assert all(len(entries) == 1 for entries in self.charges.values()), "a bid is charged once"
        told = {bid_id for bid_id, sale in sales.items() if sale.billed or sale.unsure}
        assert set(self.charges) <= told, "nobody pays for what was not billed"
        for bid_id, (entry,) in self.charges.items():
            assert entry.amount == sales[bid_id].owed
            patient = sales[bid_id].accounts[0][0] != "hasty"
            assert entry.verb is Verb.SETTLE or not patient or bid_id in self.released
        self._prove_levels()
        assert not self.market.beyond, "no bid beyond what there was"
        assert not self.market.wrong, "every notice is answered as documented"
        for advertiser in ADVERTISERS:
            audit = money.proof(self._url, self._journal, advertiser)
            assert not audit.findings
            assert not any(audit.overspend.values())

    def _prove_levels(self) -> None:
        """Each balance is what the market owes, within its limit; absorbed money is nobody's."""
        spent: Counter[Account] = Counter()
        for bid_id, (entry,) in self.charges.items():
            for account in self.market.sales[bid_id].accounts if entry.verb is not Verb.ABSORB else ():
                spent[account] += self.market.sales[bid_id].owed
        for advertiser in ADVERTISERS:
            for name, balance in money.books(self._url, advertiser).accounts.items():
                assert balance.spent == spent[advertiser, name], name
                assert name == WALLET or balance.limit == BOUNDS.get(kind_of(name)), name
                assert balance.limit is None or balance.spent + balance.leased <= balance.limit

    def bound(self) -> set[str]:
        """Limits that were reached: not a bid's cost is left for each worker."""
        found = set()
        for advertiser in ADVERTISERS:
            for name, balance in money.books(self._url, advertiser).accounts.items():
                if balance.available is not None and balance.available < 20_000:
                    found.add(kind_of(name) if name != WALLET else advertiser)
        return found

    def verbs(self, advertiser: str) -> Counter[Verb]:
        """How its bills were charged."""
        return Counter(
            entries[0].verb
            for bid_id, entries in self.charges.items()
            if self.market.sales[bid_id].accounts[0][0] == advertiser
        )
