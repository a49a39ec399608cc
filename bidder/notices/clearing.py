"""What a won impression costs: the clearing price of its notice, never more than the bid.

Place: apply.py asks when a notice moves money.
Units: CPM micros of the bid's currency in; micros of the advertiser's currency out.
Rule: no readable price (empty, unexpanded, invalid, in a currency that was not bid): the bid is charged, and
    counted `unreadable_price`. A price above the bid: the bid is charged, counted `above_bid`. So an exchange
    that tells nothing costs what was set aside, and none can cost more. A price that passed through a browser
    (the beacon's) is believed only if the exchange sealed it, not long ago: else the bid is charged, counted
    `unsealed`, for whoever sees a page can write another number.
"""

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Final

from msgspec import Struct

from bidder.exchanges import Exchange
from bidder.keys import key32
from bidder.notices.token import Claim
from budget.money import CpmMicros, Micros, cost_of_one, exchanged
from openrtb.prices import INVALID, Price, PriceDecoder, price_decoder

MAX_PRICE_AGE_S = 86_400
"""A sealed price that is older was kept by somebody."""
SEALED = frozenset({"google"})
"""Price decoders whose text cannot be made by who sees it."""

_log = logging.getLogger(__name__)


class Clearing(Enum):
    """How the charged price was found."""

    READ = "read"
    UNREADABLE_PRICE = "unreadable_price"
    ABOVE_BID = "above_bid"
    UNSEALED = "unsealed"


class Cost(Struct, frozen=True, gc=False):
    """What one impression costs its advertiser."""

    micros: Micros
    clearing: Clearing


def unsealed_cost(claim: Claim) -> Cost:
    """The cost where the notice's price cannot be trusted, whatever it says."""
    return Cost(_charge(CpmMicros(claim.bid_cpm_micros), claim), Clearing.UNSEALED)


def clearing_cost(claim: Claim, text: str, currency: str, decode: PriceDecoder, now_s: float) -> Cost:
    """The cost by the rule above; `text` and `currency` are what stood in the notice."""
    price = decode(text, now_s)
    bid = CpmMicros(claim.bid_cpm_micros)
    if not price.known or other_currency(currency, claim.currency):
        return Cost(_charge(bid, claim), Clearing.UNREADABLE_PRICE)
    if price.micros > bid:
        return Cost(_charge(bid, claim), Clearing.ABOVE_BID)
    return Cost(_charge(CpmMicros(price.micros), claim), Clearing.READ)


class Terms(Struct, frozen=True):
    """How one exchange bills."""

    name: str
    by_beacon: bool
    """The impression beacon moves money, not the billing notice."""
    decode: PriceDecoder
    sealed: bool
    """Its prices cannot be made by who sees them."""

    def cost(self, claim: Claim, text: str, currency: str, now_s: float) -> Cost:
        """What an impression costs by the notice that bills; a price that a browser could have written is not read."""
        if self.by_beacon and not self.sealed:
            return unsealed_cost(claim)
        return clearing_cost(claim, text, currency, self.decode, now_s)


def terms_of(
    profiles: tuple[Exchange, ...], price_keys: Mapping[str, Mapping[str, str]] | None = None
) -> dict[int, Terms]:
    """The terms of each exchange by `key32` of its name; `price_keys`: exchange name to the keys of its decoder.
    One whose keys are missing or wrong reads nothing, so its bids are charged as made, and the log says so."""
    keys = price_keys or {}
    return {
        key32(profile.name): Terms(
            profile.name,
            profile.billing == "beacon",
            _decoder(profile, keys.get(profile.name, {})),
            profile.price_decoder in SEALED,
        )
        for profile in profiles
    }


def _decoder(profile: Exchange, keys: Mapping[str, str]) -> PriceDecoder:
    try:
        return price_decoder(profile.price_decoder, keys, MAX_PRICE_AGE_S)
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


UNKNOWN: Final = Terms("unknown", False, unreadable, False)
"""An exchange that left the configuration: its bills charge the bid."""


def _charge(price: CpmMicros, claim: Claim) -> Micros:
    return cost_of_one(exchanged(price, claim.rate_ppm))


def other_currency(told: str, bid: str) -> bool:
    """Whether a notice names another currency than was bid; empty or the bare macro names none."""
    return len(told) == 3 and told.isalpha() and told.upper() != bid
