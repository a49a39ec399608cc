"""Everything a decision reads besides the request and the person: one snapshot, swapped whole.

Place: app.py builds it and puts a new one in its place when campaigns, rates or keys change.
Never: changes while a batch is being decided; a batch keeps the snapshot that it began with.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from bidder.auction.price import Pricer
from bidder.audience.handles import Handles
from bidder.campaigns.index import Index
from bidder.notices.keys import Key
from bidder.notices.urls import UrlParts
from bidder.privacy.gate import Gate


class World(Struct, frozen=True):
    """What the auction knows."""

    index: Index
    pricer: Pricer
    factor: Callable[[str, str], float | None]
    """Exchange rate from one currency to another, or None."""
    convert: Callable[[float, str, str], float | None]
    """An amount in another currency, or None."""
    gate: Gate
    key: Key
    """Signs our tokens."""
    urls: Mapping[str, UrlParts]
    """Notice URLs by exchange."""
    privacy_url: str
    """Where a person learns why they see an ad."""
    max_candidates: int
    bid_currency: str
    check_answers: bool
    max_exp_s: int = 3_600
    """The longest that a bid of ours stands, whatever an exchange asks for."""
    handles: Handles | None = None
    """Opens the ids of people that exchanges were told; none: our own ids alone are known."""
    visitor_secret: bytes = b""
    """Makes visitors of addresses and user agents; empty: views of people without an id are not counted."""
