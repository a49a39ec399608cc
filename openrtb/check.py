"""The last look at an answer: what an exchange would reject in a response to its request.

Place: after the response is built, before it is sent; also the oracle of tests and of the simulated exchange.
Shapes: the request has been through `upgrade`; the result lists every fault, empty for a good answer.
Units: prices are CPM in the response's currency; `convert` turns a floor's amount into it.
Limits: a banner bid without block lists costs 2-3 us; `thorough` parses native and VAST markup, for tests.
Source: OpenRTB 2.6 sections 3.2, 4.2, 7.3 and 7.11; Prebid Server's rules of acceptance; DSA transparency.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from openrtb.blocks import (
    CONTENT_1,
    category_listed,
    domain_listed,
    domains_covered,
    insecure,
    language_listed,
)
from openrtb.check_markup import markup_faults
from openrtb.check_media import Note, media_faults
from openrtb.floors import USD, applicable_floor
from openrtb.request import BidRequest, Deal, Imp
from openrtb.response import Bid, BidResponse, SeatBid

Convert = Callable[[float, str, str], float | None]
"""(amount, from currency, to currency) -> amount, or None where no rate is known."""

_ROUNDING = 1e-6  # one micro: what a rate's last digit may move a floor
_MAX_NAME = 100  # characters of dsa.behalf and dsa.paid


class Fault(Struct, frozen=True):
    """One broken rule; `path` is like `seatbid[0].bid[1].price`."""

    path: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}"


def faults(
    request: BidRequest, response: BidResponse, convert: Convert | None = None, *, thorough: bool = False
) -> list[Fault]:
    """Return every fault of a response, in the order of the response.

    Without `convert` a floor in another currency than the response's cannot be shown to be reached, and is a
    fault. A response without bids is faultless if it gives a reason (`nbr`) and has no seatbid.
    """
    found: list[Fault] = []
    currency = response.cur or USD
    if response.id != request.id:
        found.append(Fault("id", "must be the request's"))
    if currency not in (request.cur or (USD,)):
        found.append(Fault("cur", "must be one of the request's"))
    if response.seatbid is None and response.nbr is not None:
        return found
    if not response.seatbid:
        found.append(Fault("seatbid", "must hold a bid"))
        return found
    ids: set[str] = set()
    noted: list[tuple[str, str]] = []
    note = noted.append
    for place, seatbid in enumerate(response.seatbid):
        seat = seatbid.seat
        _seat(request, seatbid, note)
        if noted:
            found.extend([Fault(f"seatbid[{place}].{field}", rule) for field, rule in noted])
            noted.clear()
        for number, bid in enumerate(seatbid.bid):
            if not bid.id:
                note(("id", "is required"))
            elif bid.id in ids:
                note(("id", "must be unique"))
            ids.add(bid.id)
            _bid(request, bid, (seat, currency, convert), note)
            if thorough and not noted:
                markup_faults(request, bid, note)
            if noted:
                base = f"seatbid[{place}].bid[{number}]."
                found.extend([Fault(base + field, rule) for field, rule in noted])
                noted.clear()
    return found


def first_fault(request: BidRequest, response: BidResponse, convert: Convert | None = None) -> Fault | None:
    """Return the first fault of a response, or None."""
    found = faults(request, response, convert)
    return found[0] if found else None


_Terms = tuple[str | None, str, Convert | None]
"""The seat of a bid, the response's currency, and the rates."""


def _seat(request: BidRequest, seatbid: SeatBid, note: Note) -> None:
    """Note what is wrong with a seat, whatever it bids."""
    if request.wseat and seatbid.seat not in request.wseat:
        note(("seat", "must be in the request's wseat"))
    if request.bseat and seatbid.seat in request.bseat:
        note(("seat", "is in the request's bseat"))
    if not seatbid.bid:
        note(("bid", "must hold a bid"))


def _bid(request: BidRequest, bid: Bid, terms: _Terms, note: Note) -> None:
    """Note what is wrong with one bid, whatever its medium."""
    for imp in request.imp:
        if imp.id == bid.impid:
            break
    else:
        note(("impid", "must be an imp of the request"))
        return
    if not bid.crid:
        note(("crid", "is required"))
    if not bid.adm and not bid.nurl:
        note(("adm", "is required where nurl gives no markup"))
    if imp.secure and bid.adm and insecure(bid.adm):
        note(("adm", "must hold no http: address on a secure imp"))
    if bid.exp is not None and bid.exp <= 0:
        note(("exp", "must be positive"))
    deal = None
    if imp.pmp is not None or bid.dealid is not None:
        deal = _deal(imp, bid, terms[0], note)
    _price(imp, bid, deal, terms, note)
    media_faults(imp, bid, note)
    if request.badv or request.bapp:
        _advertiser(request, bid, note)
    if request.bcat or request.acat:
        _categories(request, bid, note)
    if request.wlang or request.wlangb:
        _language(request, bid, note)
    regs = request.regs
    if regs is not None and regs.ext is not None:
        _dsa(request, bid, note)


def _price(imp: Imp, bid: Bid, deal: Deal | None, terms: _Terms, note: Note) -> None:
    """A price is a positive number that reaches the floor that applies, in the floor's currency."""
    price = bid.price
    if not 0 < price < float("inf"):
        note(("price", "must be positive"))
        return
    floor, floor_currency = applicable_floor(imp, bid.mtype or 0, bid.dur, deal)
    if floor <= 0:
        return
    _, currency, convert = terms
    if floor_currency == currency:
        if price < floor:
            note(("price", f"must reach the floor of {floor} {currency}"))
        return
    converted = None if convert is None else convert(floor, floor_currency, currency)
    if converted is None:
        note(("price", f"cannot be compared with a floor in {floor_currency}"))
    elif price + _ROUNDING < converted:
        note(("price", f"must reach the floor of {converted} {currency}"))


def _deal(imp: Imp, bid: Bid, seat: str | None, note: Note) -> Deal | None:
    """Note what breaks the rules of the private marketplace; return the bid's deal."""
    pmp = imp.pmp
    if bid.dealid is None:
        if pmp is not None and pmp.private_auction:
            note(("dealid", "is required in a private auction"))
        return None
    deals = (pmp.deals if pmp is not None else None) or ()
    deal = next((deal for deal in deals if deal.id == bid.dealid), None)
    if deal is None:
        note(("dealid", "must be a deal of the imp"))
        return None
    if deal.wseat and seat not in deal.wseat:
        note(("dealid", "is not for this seat"))
    if deal.wadomain and not (bid.adomain and domains_covered(bid.adomain, deal.wadomain)):
        note(("adomain", "must be in the deal's wadomain"))
    return deal


def _advertiser(request: BidRequest, bid: Bid, note: Note) -> None:
    if request.badv:
        if not bid.adomain:
            note(("adomain", "is required where the request blocks domains"))
        elif domain_listed(bid.adomain, request.badv):
            note(("adomain", "is in the request's badv"))
    if request.bapp and bid.bundle is not None and bid.bundle in request.bapp:
        note(("bundle", "is in the request's bapp"))


def _categories(request: BidRequest, bid: Bid, note: Note) -> None:
    """Categories can be compared in one taxonomy only: one in another cannot be shown to be allowed."""
    taxonomy = request.cattax or CONTENT_1
    categories = bid.cat or ()
    if categories and (bid.cattax or CONTENT_1) != taxonomy:
        note(("cattax", "must be the request's"))
        return
    blocked, allowed = request.bcat, request.acat
    for category in categories if blocked else ():
        if category_listed(category, blocked or (), taxonomy):
            note(("cat", "is in the request's bcat"))
            break
    if not allowed:
        return
    if not categories or not all(category_listed(category, allowed, taxonomy) for category in categories):
        note(("cat", "must be in the request's acat"))


def _language(request: BidRequest, bid: Bid, note: Note) -> None:
    """A creative that names its language must be in the list; both spellings are compared with both lists."""
    listed = request.wlang or request.wlangb or ()
    language = bid.langb or bid.language
    if language is None or language_listed(language, listed):
        return
    if bid.langb is None and any(tag.partition("-")[0].lower() == language.lower() for tag in listed):
        return
    note(("langb" if bid.langb else "language", "must be in the request's wlang"))


def _dsa(request: BidRequest, bid: Bid, note: Note) -> None:
    """Transparency under the Digital Services Act, as far as the request demands it."""
    asked = request.regs.ext.dsa if request.regs is not None and request.regs.ext is not None else None
    if asked is None:
        return
    given = bid.ext.dsa if bid.ext is not None else None
    if given is None:
        if asked.dsarequired in (2, 3):
            note(("ext.dsa", "is required"))
        return
    if len(given.behalf or "") > _MAX_NAME or len(given.paid or "") > _MAX_NAME:
        note(("ext.dsa", f"must name behalf and paid in at most {_MAX_NAME} characters"))
    if asked.pubrender == 0 and given.adrender != 1:
        note(("ext.dsa.adrender", "must be 1 where the publisher cannot render"))
    if asked.pubrender == 2 and given.adrender == 1:
        note(("ext.dsa.adrender", "must not be 1 where the publisher renders"))
