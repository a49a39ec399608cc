"""A book that bids on almost anything: three shops, three currencies, every kind of ad, visitors and deals.

Place: real requests are decided with it, so that most of the path is walked.
"""

from __future__ import annotations

from decimal import Decimal

from bidder.audience.identity import Lookup
from bidder.audience.person import Person
from bidder.campaigns.model import (
    Advertiser,
    Book,
    Campaign,
    Creative,
    Deals,
    Goal,
    LineItem,
    MediaFile,
    NativeAssets,
    Segments,
    Targeting,
    Terms,
    Transparency,
)
from tests.bidder.auction.support import Known, person_of

SIZES = (
    (300, 600),
    (300, 250),
    (160, 600),
    (120, 600),
    (320, 50),
    (728, 90),
    (970, 250),
    (468, 60),
    (320, 480),
)
SHOPS = (("shoes", "USD"), ("bikes", "EUR"), ("lamps", "JPY"))
UNIT = {"USD": 1, "EUR": 1, "JPY": 150}


def market() -> Book:
    """The book."""
    return Book(advertisers=tuple(_shop(name, currency) for name, currency in SHOPS))


def visitor() -> Person:
    """Somebody whom two of the shops know, and like to a different degree."""
    return person_of(
        7,
        segments={"shoes": ["visited"], "bikes": ["visited", "bought"]},
        affinity={"shoes": [1.0, 0.5], "bikes": [0.25]},
    )


class Everybody(Known):
    """Whoever is looked up is the same visitor."""

    def __init__(self) -> None:
        super().__init__()
        self.visitor = visitor()

    def _find(self, lookup: Lookup | None) -> Person | None:
        return None if lookup is None else self.visitor


class Matched(Known):
    """The visitor is known by exchange ids, eids and ifa, not by a buyeruid."""

    def __init__(self) -> None:
        super().__init__()
        self.visitor = visitor()

    def _find(self, lookup: Lookup | None) -> Person | None:
        return self.visitor if lookup is not None and lookup.matches else None


def _shop(name: str, currency: str) -> Advertiser:
    base = f"https://cdn.{name}.example"
    landing = f"https://{name}.example/"
    pictures = [
        Creative(
            id=f"{name}-{w}x{h}",
            kind="image",
            landing_url=landing,
            w=w,
            h=h,
            image_url=f"{base}/{w}x{h}.png",
            categories=("IAB18-3",),
            language="en",
        )
        for w, h in SIZES
    ]
    rich = Creative(
        id=f"{name}-rich",
        kind="html",
        landing_url=landing,
        w=300,
        h=250,
        html='<script src="https://cdn.example/r.js"></script><a href="${CLICK_URL}">${CACHEBUSTER}</a>',
        attributes=(13,),
    )
    card = Creative(
        id=f"{name}-card",
        kind="native",
        landing_url=landing,
        native=NativeAssets(
            title="Boots",
            sponsored_by="Shop",
            description="Warm & dry",
            call_to_action="Buy",
            price="12",
            rating="4",
            image_url=f"{base}/n.png",
            image_w=1200,
            image_h=627,
            icon_url=f"{base}/i.png",
            icon_w=300,
            icon_h=300,
        ),
    )
    films = [
        Creative(
            id=f"{name}-film{length}",
            kind="video",
            landing_url=landing,
            duration_s=length,
            media_files=(
                MediaFile(url=f"{base}/{length}.mp4", mime="video/mp4", bitrate_kbps=1200, w=1280, h=720),
                MediaFile(url=f"{base}/{length}.webm", mime="video/webm", bitrate_kbps=800, w=640, h=360),
            ),
        )
        for length in (6, 15, 30)
    ]
    song = Creative(
        id=f"{name}-song",
        kind="audio",
        landing_url=landing,
        duration_s=20,
        media_files=(MediaFile(url=f"{base}/s.mp3", mime="audio/mpeg", bitrate_kbps=128),),
    )
    ads = (*pictures, rich, card, *films, song)
    campaign = Campaign(id=f"{name}-c", name="All", line_items=tuple(_items(name, currency, ads)))
    return Advertiser(
        id=name,
        name=name,
        domain=f"{name}.example",
        bundle=f"com.{name}",
        currency=currency,
        transparency=Transparency(behalf=name, paid=name),
        creatives=ads,
        campaigns=(campaign,),
    )


def _items(name: str, currency: str, ads: tuple[Creative, ...]) -> list[LineItem]:
    unit = UNIT[currency]
    every = tuple(ad.id for ad in ads)

    def item(
        kind: str, goal: Goal, targeting: Targeting | None = None, deals: Deals | None = None
    ) -> LineItem:
        return LineItem(
            id=f"{name}-{kind}",
            goal=goal,
            max_bid_cpm=Decimal(40 * unit),
            creatives=every,
            targeting=targeting or Targeting(),
            deals=deals,
            vector=(0.5, -0.25),
        )

    cpm = Goal(kind="cpm", value=Decimal("2.5") * unit)
    click = Goal(kind="cpc", value=Decimal("1.25") * unit)
    order = Goal(kind="cpa", value=Decimal(40) * unit)
    return [
        item("all", cpm),
        item("clicks", click),
        item("orders", order, Targeting(segments=Segments(any=("visited",), none=("bought",)))),
        item("children", cpm, Targeting(child_directed=True)),
        item("rewarded", Goal(kind="cpm", value=Decimal(9) * unit), Targeting(rewarded=True)),
        item(
            "phones",
            Goal(kind="cpm", value=Decimal(7) * unit),
            Targeting(os=Terms(include=("android", "ios"))),
        ),
        item(
            "deals",
            Goal(kind="cpm", value=Decimal(8) * unit),
            None,
            Deals(ids=("deal-1", "deal-2", "some-deal-id")),
        ),
    ]
