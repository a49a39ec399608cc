"""Large books for benchmarks: synthetic advertisers whose line items target as real ones do.

Place: `make bench` and the micro-benchmarks; seeded, so that every run has the same book.
Shapes: LINES_PER_ADVERTISER line items an advertiser; RETARGETING of them want a segment of the advertiser's own and
    are capped, the others are open and target places, devices, sites and content.
Units: budgets are wide enough never to be used up by a run; every campaign has one, and some line items.
"""

import random
from decimal import Decimal
from typing import Literal

from bidder.campaigns.model import (
    VECTOR_DIMENSIONS,
    Advertiser,
    Book,
    Budget,
    Campaign,
    Categories,
    Creative,
    Frequency,
    FrequencyCap,
    Goal,
    ItemBudget,
    ItemFrequency,
    LineItem,
    MediaFile,
    NativeAssets,
    Pacing,
    Segments,
    Targeting,
    Terms,
)

LINES_PER_ADVERTISER = 20
RETARGETING = 0.7
SEGMENTS = ("cart", "viewers", "searchers", "lapsed", "loyal", "newsletter", "app", "wishlist")
BUYERS = "buyers"
SIZES = ((300, 250), (728, 90), (320, 50), (970, 250), (160, 600), (300, 600), (320, 480))
_COUNTRIES = ("USA", "GBR", "DEU", "FRA", "POL", "ESP", "ITA", "NLD", "CAN", "AUS")
_DEVICES = ("phone", "tablet", "desktop", "tv")
_SYSTEMS = ("android", "ios", "windows", "macos")
_CATEGORIES = ("IAB1", "IAB2", "IAB3", "IAB9", "IAB12", "IAB17", "IAB18", "IAB19", "IAB20")
_GOALS: tuple[tuple[Literal["cpm", "cpc", "cpa"], float, float], ...] = (
    ("cpm", 1.0, 6.0),
    ("cpc", 0.2, 1.5),
    ("cpc", 0.2, 1.5),
    ("cpa", 8.0, 60.0),
)
_LANGUAGES = ("en", "de", "fr", "pl", "es")
_ZONES = ("Europe/Berlin", "America/New_York", "Europe/Warsaw", "UTC")
_PACING: tuple[Pacing, ...] = ("traffic", "traffic", "even", "front_loaded", "asap")
_ITEM_CAPS = (FrequencyCap(views=12, per="1d"), FrequencyCap(views=40, per="7d"))
_CAMPAIGN_CAPS = (FrequencyCap(views=60, per="7d"),)
_ADVERTISER_CAPS = (FrequencyCap(views=100, per="30d"),)


def synthetic(line_items: int, seed: int) -> Book:
    """A book of about that many line items; equal seeds give equal books."""
    rng = random.Random(seed)
    count = max(1, round(line_items / LINES_PER_ADVERTISER))
    return Book(advertisers=tuple([_advertiser(rng, number) for number in range(count)]))


def _advertiser(rng: random.Random, number: int) -> Advertiser:
    name = f"shop{number}"
    creatives = _creatives(name, rng.choice(_CATEGORIES))
    ids = tuple([creative.id for creative in creatives])
    lines = tuple([_line_item(rng, f"{name}-{i}", i, ids) for i in range(LINES_PER_ADVERTISER)])
    return Advertiser(
        id=name,
        name=name,
        domain=f"{name}.example",
        currency=rng.choice(("USD", "USD", "EUR", "PLN")),
        time_zone=_ZONES[number % len(_ZONES)],
        frequency=None if number % 5 else Frequency(caps=_ADVERTISER_CAPS),
        creatives=creatives,
        campaigns=(_campaign(name, number, lines),),
    )


def _campaign(name: str, number: int, lines: tuple[LineItem, ...]) -> Campaign:
    return Campaign(
        id=f"{name}-all",
        name="Everything",
        line_items=lines,
        budget=Budget(total=Decimal(10_000_000), daily=Decimal(500_000)),
        pacing=_PACING[number % len(_PACING)],
        frequency=None if number % 2 else Frequency(caps=_CAMPAIGN_CAPS),
    )


def _creatives(name: str, category: str) -> tuple[Creative, ...]:
    landing, cdn = f"https://{name}.example/", f"https://cdn.{name}.example"
    banners = [
        Creative(
            id=f"{name}-{w}x{h}",
            kind="image",
            landing_url=landing,
            w=w,
            h=h,
            image_url=f"{cdn}/{w}x{h}.webp",
            alt="What you looked at",
            categories=(category,),
        )
        for w, h in SIZES
    ]
    assets = NativeAssets(
        title="What you looked at", sponsored_by=name, description="Still there for you", call_to_action="See it",
        image_url=f"{cdn}/main.webp", image_w=1200, image_h=627, icon_url=f"{cdn}/icon.webp", icon_w=80, icon_h=80,
    )  # fmt: skip
    film = MediaFile(url=f"{cdn}/film.mp4", mime="video/mp4", bitrate_kbps=1_500, w=640, h=360)
    native = Creative(
        id=f"{name}-native", kind="native", landing_url=landing, native=assets, categories=(category,)
    )
    video = Creative(
        id=f"{name}-video", kind="video", landing_url=landing, media_files=(film,), duration_s=15,
        categories=(category,),
    )  # fmt: skip
    return (*banners, native, video)


def _line_item(rng: random.Random, name: str, number: int, creatives: tuple[str, ...]) -> LineItem:
    kind, low, high = rng.choice(_GOALS)
    vector = [rng.gauss(0, 1) for _ in range(VECTOR_DIMENSIONS)]
    length = sum(x * x for x in vector) ** 0.5
    goal = Goal(kind=kind, value=_amount(rng.uniform(low, high)))
    max_bid_cpm = _amount(rng.uniform(3.0, 15.0))
    targeting = _retargeting(rng) if rng.random() < RETARGETING else _open(rng)
    return LineItem(
        id=name,
        goal=goal,
        max_bid_cpm=max_bid_cpm,
        creatives=creatives,
        targeting=targeting,
        vector=tuple([round(x / length, 4) for x in vector]),
        budget=ItemBudget(
            daily=None if number % 3 else Decimal(100_000), hourly=None if number % 9 else Decimal(20_000)
        ),
        frequency=ItemFrequency(caps=_ITEM_CAPS) if targeting.segments else None,
    )


def _retargeting(rng: random.Random) -> Targeting:
    return Targeting(
        segments=Segments(any=tuple(rng.sample(SEGMENTS, rng.randint(1, 3))), none=(BUYERS,)),
        countries=_some(rng, 0.5, _COUNTRIES, 4),
        device_types=_some(rng, 0.2, _DEVICES, 2),
    )


def _open(rng: random.Random) -> Targeting:
    categories = tuple(rng.sample(_CATEGORIES, 3)) if rng.random() < 0.3 else ()
    return Targeting(
        countries=_some(rng, 0.8, _COUNTRIES, 3),
        device_types=_some(rng, 0.3, _DEVICES, 2),
        os=_some(rng, 0.2, _SYSTEMS, 2),
        browser_languages=_some(rng, 0.2, _LANGUAGES, 2),
        domains=_some(rng, 0.2, tuple([f"site{n}.example" for n in range(500)]), 20),
        categories=Categories(include=categories) if categories else None,
    )


def _some(rng: random.Random, share: float, values: tuple[str, ...], most: int) -> Terms | None:
    return Terms(include=tuple(rng.sample(values, rng.randint(1, most)))) if rng.random() < share else None


def _amount(value: float) -> Decimal:
    return Decimal(f"{value:.2f}")
