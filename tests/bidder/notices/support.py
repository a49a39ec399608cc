"""A directory of one shop's line item, and tokens for it."""

from bidder.keys import key32, key64
from bidder.notices.apply import Entry
from bidder.notices.keys import Keyring
from bidder.notices.token import LATE_S, Claim, Sealed, seal

RING = Keyring(((1, b"s" * 32),))
NOW_S = 1_790_000_000
LANDING = "https://shop.example/boots?from=ad"
ENTRY = Entry("campaign-1", "line-1", "EUR", {key64("creative-1"): LANDING})


class OneLineItem:
    """Knows line-1 and nothing else."""

    def line_item(self, key: int) -> Entry | None:
        return ENTRY if key == key64("line-1") else None


def claim(**changes: object) -> Claim:
    """A claim of line-1's bid of 2.50 USD CPM at 0.9 EUR per USD."""
    fields: dict[str, object] = {
        "bid_id": b"bid-00000001",
        "exchange": key32("generic"),
        "line_item": key64("line-1"),
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
