"""What really happened, beside what the service says: who was shown what, and what each bill comes to.

Place: the simulation tells it of every ad on a screen and of every bill that was answered; the demo holds the sums
    against the ledger and the caps. The demo gives it the service's token keys, so that it knows whose a bid is.
Units: CPM micros of the bid's currency as told; Micros of the advertiser's currency as due.
Rule: a bill is due at the price that the exchange told; at the bid where a browser could have written that price (a
    beacon's that is not sealed), and never above the bid.
Raises: ValueError for a bid whose token does not open.
"""

from __future__ import annotations

from decimal import Decimal

from benchmarks.exchange.notices import MICROS, PriceKeys, Sale, macro_values
from benchmarks.exchange.population import Human
from benchmarks.exchange.report import Totals
from benchmarks.exchange.requests import Call
from benchmarks.exchange.viewings import Viewer, Viewings
from bidder.campaigns.model import Book
from bidder.keys import key64
from bidder.notices.keys import Keyring
from bidder.notices.token import Audience, Claim, TokenFault, open_token
from bidder.notices.urls import IN_SEAL
from budget.money import CpmMicros, Micros, cost_of_one, exchanged
from openrtb.response import Bid


class Witness:
    """Sees one run; writes what it saw into Totals."""

    def __init__(self, book: Book, keyring: Keyring, price_keys: PriceKeys) -> None:
        self._keyring, self._price_keys = keyring, price_keys
        self._viewings = Viewings(book)
        self._owners = {
            key64(f"{shop.id}/{line.id}"): shop.id
            for shop in book.advertisers
            for campaign in shop.campaigns
            for line in campaign.line_items
        }

    def saw(self, call: Call, bid: Bid, at_s: float, totals: Totals) -> None:
        """Somebody has an ad before their eyes; `at_s` may be of any one clock."""
        claim = self.claim(bid)
        caps, beyond = self._viewings.saw(viewer_of(call), claim.line_item, claim.creative, at_s)
        totals.capped_views += caps > 0
        for name in beyond:
            totals.cap_violations[name] = totals.cap_violations.get(name, 0) + 1

    def billed(self, sale: Sale, totals: Totals) -> None:
        """A bill was answered."""
        claim = self.claim(sale.bid)
        owner = self._owners[claim.line_item]
        totals.due_micros[owner] = totals.due_micros.get(owner, 0) + due(claim, sale, self._price_keys)

    def claim(self, bid: Bid) -> Claim:
        """What a bid's token says; raises ValueError."""
        token = (bid.nurl or "").rpartition(f"{IN_SEAL}=")[2]
        claim = open_token(token, self._keyring, Audience.EXCHANGE, 0.0)
        if isinstance(claim, TokenFault) or claim.line_item not in self._owners:
            raise ValueError(f"the token of bid {bid.id} is not of this service and book")
        return claim


def due(claim: Claim, sale: Sale, price_keys: PriceKeys) -> Micros:
    """What an impression costs its advertiser."""
    cpm = CpmMicros(claim.bid_cpm_micros)
    if sale.dialect.name in price_keys:
        cpm = CpmMicros(min(cpm, round(sale.verdict.price * MICROS)))
    elif sale.dialect.billing == "burl":
        told = Decimal(macro_values(sale, price_keys)["AUCTION_PRICE"])
        cpm = CpmMicros(min(cpm, int(told * MICROS)))
    return cost_of_one(exchanged(cpm, claim.rate_ppm))


def viewer_of(call: Call) -> Viewer:
    """Whom a view counts for: the person, or where no exchange tells who it is, the address and the browser."""
    human: Human = call.human
    if not human.anonymous:
        return Viewer(call.viewer or human.id)
    device = call.request["device"]
    return Viewer(f"{device['ip'].rpartition('.')[0]} {device['ua']}", visitor=True)
