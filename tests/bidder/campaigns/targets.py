"""Random line items, requests and people over every dimension, from pools small enough to meet.

Place: the property tests of the index. A line item names a few dimensions, a request tells or leaves out each fact.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bidder.campaigns.model import (
    Advertiser,
    Book,
    Campaign,
    Categories,
    Circle,
    Creative,
    Deals,
    Goal,
    LineItem,
    MediaFile,
    NativeAssets,
    Segments,
    Targeting,
    Terms,
)
from tests.bidder.auction.support import NOW_S

NOW = datetime.fromtimestamp(NOW_S, UTC)
COUNTRIES = ("DEU", "USA", "FRA")
CATEGORIES = ("IAB1", "IAB1-1", "IAB1-2", "IAB2", "IAB2-3")
WORDS = ("boots", "winter sale", "skates")
POOLS: dict[str, tuple[str, ...]] = {
    "exchanges": ("generic", "xandr"),
    "inventory": ("site", "app", "dooh"),
    "countries": COUNTRIES,
    "regions": ("DEU-BE", "DEU-BY", "USA-CA"),
    "cities": ("DEU-berlin", "DEU-München", "USA-berlin"),
    "zips": ("DEU-10115", "USA-90210"),
    "device_types": ("phone", "tablet", "mobile", "desktop", "tv", "connected", "set_top_box", "ooh"),
    "os": ("android", "ios", "windows", "macos", "linux", "chromeos", "other"),
    "connections": ("ethernet", "wifi", "cellular", "2g", "3g", "4g", "5g"),
    "browser_languages": ("de", "en", "fr"),
    "content_languages": ("de", "en", "fr"),
    "domains": ("news.example", "a.news.example", "www.blog.example", "Shop.Example", "example"),
    "bundles": ("com.app", "123456"),
    "sites": ("s1", "s2"),
    "publishers": ("p1", "p2"),
    "keywords": ("boots", "Winter Sale", "skates"),
    "positions": (
        "unknown",
        "above_fold",
        "below_fold",
        "header",
        "footer",
        "sidebar",
        "full_screen",
        "locked",
    ),
    "exchange_segments": ("dmp.example/1", "dmp.example/2", "7/1"),
}
SIZES = ((300, 250), (728, 90))
DEALS = ("gold", "silver")
SEGMENTS = ("seen", "basket", "bought")
HOURS = ("mon-fri 08-20", "wed 12-13", "wed 13-14", "tue 22-02", "sat,sun", "22-06", "wed 11-12,17-18")


def _terms(pool: tuple[str, ...]) -> st.SearchStrategy[Terms]:
    sides = st.lists(st.sampled_from((0, 0, 1, 2)), min_size=len(pool), max_size=len(pool)).filter(any)
    return sides.map(
        lambda sides: Terms(
            include=tuple(value for value, side in zip(pool, sides, strict=True) if side == 1),
            exclude=tuple(value for value, side in zip(pool, sides, strict=True) if side == 2),
        )
    )


def _categories(taxonomy: int) -> st.SearchStrategy[Categories]:
    return _terms(CATEGORIES).map(
        lambda terms: Categories(taxonomy=taxonomy, include=terms.include, exclude=terms.exclude)
    )


_circle = st.builds(
    Circle,
    lat=st.sampled_from((52.5, 0.0, -89.5, 40.0)),
    lon=st.sampled_from((13.4, 179.9, -180.0, -0.1)),
    radius_km=st.sampled_from((5.0, 60.0, 500.0)),
)
_segments = st.lists(st.sampled_from(("any", "none", "")), min_size=3, max_size=3).map(
    lambda sides: Segments(
        any=tuple(s for s, side in zip(SEGMENTS, sides, strict=True) if side == "any"),
        none=tuple(s for s, side in zip(SEGMENTS, sides, strict=True) if side == "none"),
    )
)
DIMENSIONS: dict[str, st.SearchStrategy[Any]] = {name: _terms(pool) for name, pool in POOLS.items()} | {
    "categories": st.sampled_from((1, 1, 6)).flatmap(_categories),
    "near": st.lists(_circle, min_size=1, max_size=2).map(tuple),
    "hours": st.lists(st.sampled_from(HOURS), min_size=1, max_size=2).map(tuple),
    "segments": _segments,
    "viewability_min": st.sampled_from((0.0, 0.5, 0.7)),
    "rewarded": st.booleans(),
    "interstitial": st.booleans(),
    "child_directed": st.just(True),
}


def _creative(owner: str, kind: str, number: int, secure: bool) -> Creative:
    scheme = "https" if secure else "http"
    url = f"{scheme}://cdn.{owner}.example/{number}"
    landing = f"https://{owner}.example/"
    name = f"{owner}-{number}"
    categories = (("IAB1-1",), ("IAB2",), ())[number % 3]
    if kind == "native":
        assets = NativeAssets(title="Boots", sponsored_by="Shop", image_url=url, image_w=600, image_h=400)
        return Creative(id=name, kind="native", landing_url=landing, native=assets, categories=categories)
    if kind in ("video", "audio"):
        file = MediaFile(url=url, mime=f"{kind}/mp4", bitrate_kbps=500, w=640, h=360)
        return Creative(
            id=name,
            kind="video" if kind == "video" else "audio",
            landing_url=landing,
            media_files=(file,),
            duration_s=15,
            categories=categories,
        )
    w, h = SIZES[0 if kind == "big" else 1]
    return Creative(
        id=name, kind="image", landing_url=landing, w=w, h=h, image_url=url, categories=categories
    )


_ads = st.lists(
    st.tuples(st.sampled_from(("big", "big", "wide", "video", "audio", "native")), st.booleans()),
    min_size=1,
    max_size=3,
)


_moments = st.sampled_from((None, None, NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)))


@st.composite
def _line_item(draw: st.DrawFn, owner: str, number: int) -> tuple[tuple[Creative, ...], LineItem]:
    names = draw(st.lists(st.sampled_from(sorted(DIMENSIONS)), max_size=3, unique=True))
    targeting = Targeting(**{name: draw(DIMENSIONS[name]) for name in names})
    ads = tuple(
        _creative(owner, kind, 10 * number + i, secure) for i, (kind, secure) in enumerate(draw(_ads))
    )
    deals = draw(st.sampled_from((None, None, Deals(ids=("gold",)), Deals(ids=DEALS, open=True))))
    item = LineItem(
        id=f"{owner}-li{number}",
        goal=Goal(kind="cpm", value=Decimal(1)),
        max_bid_cpm=Decimal(draw(st.integers(1, 3))),
        creatives=tuple(ad.id for ad in ads),
        targeting=targeting,
        deals=deals,
        start=draw(_moments),
        end=draw(_moments),
        active=draw(st.sampled_from((True, True, True, False))),
    )
    return ads, item


@st.composite
def _advertiser(draw: st.DrawFn, owner: str) -> Advertiser:
    drawn = [draw(_line_item(owner, i)) for i in range(draw(st.integers(1, 3)))]
    campaigns = tuple(
        Campaign(id=f"{item.id}-c", name="c", line_items=(item,), start=draw(_moments), end=draw(_moments))
        for _, item in drawn
    )
    return Advertiser(
        id=owner,
        name=owner,
        domain=f"shop.{owner}.example",
        bundle=draw(st.sampled_from((None, f"com.{owner}"))),
        currency=draw(st.sampled_from(("USD", "EUR"))),
        creatives=tuple(ad for ads, _ in drawn for ad in ads),
        campaigns=campaigns,
    )


books = st.tuples(_advertiser("one"), _advertiser("two")).map(lambda pair: Book(advertisers=pair))


def books_by(dimension: str) -> st.SearchStrategy[Book]:
    """Books of line items that target by one dimension and have an ad for every slot."""
    owner = "one"
    ads = tuple(
        _creative(owner, kind, 3 * i, True)
        for i, kind in enumerate(("big", "wide", "video", "audio", "native"))
    )
    wishes = st.lists(DIMENSIONS[dimension], min_size=1, max_size=4)
    return wishes.map(
        lambda wishes: _book_by(owner, ads, [Targeting(**{dimension: wish}) for wish in wishes])
    )


def _book_by(owner: str, ads: tuple[Creative, ...], targetings: list[Targeting]) -> Book:
    items = tuple(
        LineItem(
            id=f"li{i}",
            goal=Goal(kind="cpm", value=Decimal(1)),
            max_bid_cpm=Decimal(1),
            creatives=tuple(ad.id for ad in ads),
            targeting=targeting,
        )
        for i, targeting in enumerate(targetings)
    )
    campaigns = (Campaign(id="c", name="c", line_items=items),)
    advertiser = Advertiser(
        id=owner, name=owner, domain="one.example", currency="USD", creatives=ads, campaigns=campaigns
    )
    return Book(advertisers=(advertiser,))


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object in which every field may be absent."""
    return st.fixed_dictionaries({}, optional=fields)


_text = st.sampled_from
_cats = st.lists(st.sampled_from((*CATEGORIES, "IAB9-9")), min_size=1, max_size=2)
_content = _some(
    language=_text(("de", "en-GB", "pt")),
    cat=_cats,
    cattax=st.sampled_from((1, 6)),
    kwarray=st.just(["skates"]),
)
_place = {
    "id": _text(("s1", "s2", "s3")),
    "publisher": _some(id=_text(("p1", "p2", "p3"))),
    "keywords": _text(("boots", "Skates, winter SALE", "other,,")),
}
_source = _some(
    **_place,
    domain=_text(("news.example", "www.a.news.example", "B.blog.example", "shop.example", "else.test")),
    cat=_cats,
    sectioncat=_cats,
    pagecat=_cats,
    cattax=st.sampled_from((1, 6)),
    content=_content,
)
_app = st.tuples(_source, _text(("com.app", "123456", ""))).map(lambda pair: pair[0] | {"bundle": pair[1]})
_inventory = st.one_of(
    st.tuples(st.just("site"), _source),
    st.tuples(
        st.just("app"),
        st.tuples(_source, _text(("com.app", "123456", ""))).map(lambda p: p[0] | {"bundle": p[1]}),
    ),
    st.tuples(st.just("dooh"), _some(id=_text(("s1", "s2")), content=_content)),
)
_PLACES: tuple[dict[str, float], ...] = (
    {},
    {"lat": 52.52, "lon": 13.37},
    {"lat": 0.3, "lon": -179.9},
    {"lat": -89.9, "lon": 100.0},
    {"lat": 0.0, "lon": 180.0},
)
_geo = _some(
    country=_text(("DEU", "usa", "FRA", "POL")),
    region=_text(("BE", "DEU-BE", "ca")),
    city=_text(("Berlin", "München")),
    zip=_text(("10115", "90210")),
    utcoffset=st.sampled_from((-480, 0, 60, 600)),
).flatmap(lambda geo: st.sampled_from(_PLACES).map(lambda place: geo | place))
_device = _some(
    geo=_geo,
    devicetype=st.integers(0, 9),
    os=_text(("iOS", "Android", "Windows", "macOS", "Tizen", "Chrome OS", "Linux")),
    connectiontype=st.integers(0, 7),
    language=_text(("de", "en-US", "FR")),
)
_user = _some(
    data=st.lists(
        _some(name=_text(("dmp.example",)), id=_text(("7",)), segment=st.just([{"id": "1"}, {}])), max_size=2
    )
)
_banner = st.sampled_from(
    ({"w": 300, "h": 250}, {"format": [{"w": 728, "h": 90}, {"w": 300, "h": 250}]}, {"w": 1, "h": 1})
).flatmap(lambda size: _some(pos=st.integers(0, 7)).map(lambda pos: size | pos))
_offers = st.lists(st.sampled_from((*DEALS, "lead")), unique=True).map(lambda ids: [{"id": i} for i in ids])
_imp = st.tuples(
    st.lists(
        st.sampled_from(("banner", "banner", "video", "audio", "native")), min_size=1, max_size=3, unique=True
    ),
    _banner,
    _some(
        secure=st.integers(0, 1),
        rwdd=st.integers(0, 1),
        instl=st.integers(0, 1),
        metric=st.sampled_from(
            ([{"type": "viewability", "value": 0.6}], [{"type": "viewability", "value": 0.7}], [])
        ),
        pmp=st.fixed_dictionaries(
            {
                "deals": st.lists(st.sampled_from((*DEALS, "lead")), unique=True).map(
                    lambda ids: [{"id": i} for i in ids]
                )
            },
            optional={"private_auction": st.integers(0, 1)},
        ),
    ),
).map(lambda drawn: _imp_of(*drawn))


def _imp_of(media: list[str], banner: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    slots: dict[str, Any] = {
        "banner": banner,
        "video": {"mimes": ["video/mp4"], "pos": banner.get("pos", 0)},
        "audio": {"mimes": ["audio/mp4"]},
        "native": {"request": '{"assets":[{"id":1,"title":{"len":90}}]}'},
    }
    return {name: slots[name] for name in media} | rest


@st.composite
def _requests(draw: st.DrawFn) -> dict[str, Any]:
    kind, source = draw(_inventory)
    imps = draw(st.lists(_imp, min_size=1, max_size=2))
    blocks = draw(
        _some(
            badv=_text((["ONE.example"], ["shop.two.example", "x"], ["example"])),
            bapp=st.just(["com.one"]),
            bcat=_text((["IAB1"], ["IAB2"], ["IAB1-1", "IAB2-3"])),
            cattax=st.sampled_from((1, 6)),
        )
        if draw(st.booleans())
        else st.just({})
    )
    return {
        "id": "r",
        "imp": [{"id": str(i), **imp} for i, imp in enumerate(imps)],
        kind: source,
        "device": draw(_device),
        "user": draw(_user),
        **blocks,
    }


requests = _requests()
people = st.dictionaries(
    st.sampled_from(("one", "two", "three")),
    st.dictionaries(st.sampled_from(SEGMENTS), st.sampled_from((-1, 60)), max_size=3),
    max_size=3,
)
"""Advertiser to segment to the seconds that it still lasts."""
