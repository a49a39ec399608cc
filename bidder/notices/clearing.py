"""What a won impression costs: the clearing price of its notice, never more than the bid.

Place: apply.py asks when a notice moves money.
Units: CPM micros of the bid's currency in; micros of the advertiser's currency out.
Rule: no readable price (empty, unexpanded, invalid, in a currency that was not bid): the bid is charged, and
    counted `unreadable_price`. A price above the bid: the bid is charged, counted `above_bid`. So an exchange
    that tells nothing costs what was set aside, and none can cost more.
"""

import logging
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from bidder.exchanges import Exchange
from bidder.notices.token import Claim
from budget.money import CpmMicros, Micros, cost_of_one, exchanged
from openrtb.prices import INVALID, Price, PriceDecoder, price_decoder

_log = logging.getLogger(__name__)


class Clearing(Enum):
    """How the charged price was found."""

    READ = "read"
    UNREADABLE_PRICE = "unreadable_price"
    ABOVE_BID = "above_bid"


class Cost(Struct, frozen=True, gc=False):
    """What one impression costs its advertiser."""

    micros: Micros
    clearing: Clearing


def clearing_cost(claim: Claim, text: str, currency: str, decode: PriceDecoder) -> Cost:
    """The cost by the rule above; `text` and `currency` are what stood in the notice."""
    price = decode(text)
    bid = CpmMicros(claim.bid_cpm_micros)
    if not price.known or _other_currency(currency, claim.currency):
        return Cost(_charge(bid, claim), Clearing.UNREADABLE_PRICE)
    if price.micros > bid:
        return Cost(_charge(bid, claim), Clearing.ABOVE_BID)
    return Cost(_charge(CpmMicros(price.micros), claim), Clearing.READ)


def decoders(
    profiles: tuple[Exchange, ...], price_keys: Mapping[str, Mapping[str, str]]
) -> dict[str, PriceDecoder]:
    """The price decoder of each exchange by its name. One whose keys are missing or wrong reads nothing, so
    its bids are charged as they were made, and the log says so."""
    return {profile.name: _decoder(profile, price_keys.get(profile.name, {})) for profile in profiles}


def _decoder(profile: Exchange, keys: Mapping[str, str]) -> PriceDecoder:
    try:
        return price_decoder(profile.price_decoder, keys)
    except ValueError as error:
        _log.warning(
            "exchange %s: its prices cannot be read (%s): its bids are charged as they were made",
            profile.name,
            error if keys else "no keys for it in PACELINE_PRICE_KEYS",
        )
        return unreadable


def unreadable(text: str, now_s: float | None = None) -> Price:
    """A decoder that has no keys: a plain number is not believed where a sealed one is due."""
    return INVALID


def _charge(price: CpmMicros, claim: Claim) -> Micros:
    return cost_of_one(exchanged(price, claim.rate_ppm))


def _other_currency(told: str, bid: str) -> bool:
    """Whether a notice names another currency than was bid; empty or the bare macro names none."""
    return len(told) == 3 and told.isalpha() and told.upper() != bid
