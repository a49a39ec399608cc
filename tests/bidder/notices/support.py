"""A directory of one shop's line item, tokens for it, and a queue that shows what it was given."""

from zoneinfo import ZoneInfo

from bidder.keys import key32, key64
from bidder.notices.apply import Entry
from bidder.notices.keys import Keyring
from bidder.notices.orders import Order
from bidder.notices.token import LATE_S, Claim, Sealed, seal
from budget.accounts import Limits
from budget.money import Micros

RING = Keyring(((1, b"s" * 32),))
NOW_S = 1_790_000_000
LANDING = "https://shop.example/boots?from=ad"
ZONE = ZoneInfo("Europe/Berlin")
ENTRY = Entry(
    campaign_id="campaign-1",
    line_item_id="line-1",
    currency="EUR",
    landing_urls={key64("creative-1"): LANDING},
    advertiser_id="shop-1",
    limits=Limits("campaign-1", "line-1", ZONE, line_daily=Micros(50_000_000)),
    campaign_key=11,
    line_key=12,
    creative_keys={key64("creative-1"): 13},
    window_s=86_400,
)
PERSON = b"0123456789abcdef"


class Kept:
    """A queue with so much room."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.orders: list[Order] = []
        self.room = room

    def accept(self, order: Order) -> bool:
        if len(self.orders) >= self.room:
            return False
        self.orders.append(order)
        return True


class OneLineItem:
    """Knows line-1 of shop-1 and nothing else."""

    def line_item(self, key: int) -> Entry | None:
        return ENTRY if key == key64("shop-1/line-1") else None

    def advertiser(self, key: int) -> str | None:
        return "shop-1" if key == key64("shop-1") else None


def claim(**changes: object) -> Claim:
    """A claim of line-1's bid of 2.50 USD CPM at 0.9 EUR per USD."""
    fields: dict[str, object] = {
        "bid_id": b"bid-00000001",
        "exchange": key32("generic"),
        "advertiser": key64("shop-1"),
        "line_item": key64("shop-1/line-1"),
        "creative": key64("creative-1"),
        "bid_cpm_micros": 2_500_000,
        "currency": "USD",
        "rate_ppm": 900_000,
        "imp": 0,
        "flags": 0,
        "issued_s": NOW_S,
        "expires_s": NOW_S + 900 + LATE_S,
    }
    return Claim(**{**fields, **changes})  # type: ignore[arg-type]  # a table of fields for tests


def sealed(**changes: object) -> Sealed:
    """Both tokens of such a claim."""
    return seal(claim(**changes), RING.signing)
