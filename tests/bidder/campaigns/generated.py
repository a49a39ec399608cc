"""Books as hypothesis makes them, over the whole schema, and as they look written out.

Shapes: `books` are Books that load; `written_out` is one as plain values, amounts as text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import strategies as st

from bidder.campaigns import model, rules

# What the YAML writer escapes and reads back; the rest of Unicode is no YAML.
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\ufffe\uffff"), min_size=1
)
IDS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")
URLS = st.from_regex(r"\Ahttps://[a-z0-9]{1,9}\.example/[A-Za-z0-9?&=#%._-]{0,20}\Z")
AMOUNTS = st.decimals(Decimal("0.000001"), 1_000_000_000, places=6)
PIXELS = st.integers(1, 10_000)
RATES = st.floats(0, 1, exclude_min=True, exclude_max=True)
MOMENTS = st.integers(946_684_800, 4_102_444_800).map(lambda second: datetime.fromtimestamp(second, UTC))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIME_ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "EST5EDT"))
PACING = st.sampled_from(("even", "traffic", "asap", "front_loaded"))
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
HOURS = st.sampled_from(("mon-fri 08-20", "sat,sun 10-24", "22-06", "fri-mon", "mon 8-12,14-18"))
EXAMPLES = {
    "exchanges": r"[a-z0-9][a-z0-9_-]{0,31}",
    "browser_languages": "[a-z]{2}",
    "cities": r"[A-Z]{3}-[a-zäöü][a-zäöü .'-]{0,20}",
    "keywords": r"[a-zß0-9][a-z0-9 ]{0,30}",
}


def terms(values: st.SearchStrategy[str]) -> st.SearchStrategy[model.Terms]:
    """Some to include and others to exclude."""
    return st.lists(values, min_size=1, max_size=6, unique=True).flatmap(
        lambda some: st.integers(0, len(some)).map(
            lambda cut: model.Terms(include=tuple(some[:cut]), exclude=tuple(some[cut:]))
        )
    )


def _dimension(name: str) -> st.SearchStrategy[str]:
    if name in rules.KNOWN_VALUES:
        return st.sampled_from(rules.KNOWN_VALUES[name])
    pattern = EXAMPLES.get(name, rules.FORMS[name][0])
    return st.from_regex(
        pattern, fullmatch=True, alphabet=st.characters(max_codepoint=0x17F, exclude_categories=("Cc", "Zs"))
    )


CATEGORIES = terms(st.from_regex(r"\AIAB[1-9](-[1-9])?\Z")).map(
    lambda both: model.Categories(include=both.include, exclude=both.exclude)
)
SEGMENTS = terms(IDS).map(lambda both: model.Segments(any=both.include, none=both.exclude))
CIRCLES = st.builds(
    model.Circle, lat=st.floats(-90, 90), lon=st.floats(-180, 180), radius_km=st.floats(0.001, 500)
)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


TARGETING = st.fixed_dictionaries(
    {},
    optional={
        **{name: _maybe(terms(_dimension(name))) for name in (*rules.KNOWN_VALUES, *rules.FORMS)},
        "categories": CATEGORIES,
        "segments": SEGMENTS,
        "near": st.lists(CIRCLES, max_size=3).map(tuple),
        "hours": st.lists(HOURS, max_size=3).map(tuple),
        "viewability_min": st.floats(0, 1),
        "rewarded": st.booleans(),
        "interstitial": st.booleans(),
        "child_directed": st.booleans(),
    },
).map(lambda fields: model.Targeting(**fields))


def durations(least_s: int) -> st.SearchStrategy[str]:
    """From so many seconds to 30 days, in any unit."""
    return st.sampled_from("smhd").flatmap(
        lambda unit: (
            st.integers(-(-least_s // UNITS[unit]), 30 * 86_400 // UNITS[unit])
            .filter(bool)
            .map(lambda count: f"{count}{unit}")
        )
    )


def length_s(duration: str) -> int:
    """The seconds of a duration."""
    return int(duration[:-1]) * UNITS[duration[-1]]


CAPS = st.lists(
    st.builds(model.FrequencyCap, views=st.integers(1, model.MAX_VIEWS), per=durations(60)),
    max_size=model.MAX_CAPS,
    unique_by=lambda cap: length_s(cap.per),
).map(tuple)


def frequencies(cls: type[model.Frequency]) -> st.SearchStrategy[Any]:
    """Caps, a gap or both; None as well."""
    return _maybe(
        st.builds(cls, caps=CAPS, min_gap=_maybe(durations(1))).filter(lambda f: bool(f.caps or f.min_gap))
    )


def _item_frequencies() -> st.SearchStrategy[Any]:
    return st.tuples(frequencies(model.ItemFrequency), st.booleans()).map(
        lambda both: both[0] and msgspec.structs.replace(both[0], visitors=both[1])
    )


@st.composite
def _budget(draw: st.DrawFn, cls: type[model.Budget]) -> model.Budget:
    """Each amount at most that of the longer time."""
    names = [name for name in ("total", "daily", "hourly") if name in cls.__struct_fields__]
    amounts = sorted([draw(AMOUNTS) for _ in names], reverse=True)
    return cls(**{name: amount for name, amount in zip(names, amounts, strict=True) if draw(st.booleans())})


@st.composite
def creatives(draw: st.DrawFn, name: str) -> model.Creative:
    """One creative of any kind."""
    kind = draw(st.sampled_from(("image", "html", "iframe", "native", "video", "audio")))
    fields: dict[str, Any] = {"id": name, "kind": kind, "landing_url": draw(URLS), "title": draw(TEXTS)[:200]}
    for field in rules.NEEDED[kind]:
        fields[field] = draw(_needed(field, kind))
    fields["attributes"] = tuple(draw(st.lists(st.integers(1, 63), max_size=3)))
    fields["language"] = draw(_maybe(st.from_regex(r"\A[a-z]{2}\Z")))
    fields["frequency"] = draw(frequencies(model.Frequency))
    return model.Creative(**fields)


def _needed(field: str, kind: str) -> st.SearchStrategy[Any]:
    size = {"w": PIXELS, "h": PIXELS} if kind == "video" else {}
    files = st.builds(model.MediaFile, url=URLS, mime=st.just(f"{kind}/mp4"), bitrate_kbps=PIXELS, **size)
    assets = st.builds(
        model.NativeAssets, title=TEXTS, sponsored_by=TEXTS, image_url=URLS, image_w=PIXELS, image_h=PIXELS
    )
    return {
        "w": PIXELS,
        "h": PIXELS,
        "image_url": URLS,
        "iframe_url": URLS,
        "html": TEXTS,
        "native": assets,
        "media_files": st.lists(files, min_size=1, max_size=3).map(tuple),
        "duration_s": st.integers(1, 600),
    }[field]


@st.composite
def _deals(draw: st.DrawFn) -> model.Deals:
    ids = draw(st.lists(TEXTS.map(lambda text: text[:128]), min_size=1, max_size=4, unique=True))
    kind = draw(st.sampled_from(("private", "open", "guaranteed")))
    return model.Deals(ids=tuple(ids), open=kind == "open", guaranteed=kind == "guaranteed")


@st.composite
def _line_item(draw: st.DrawFn, name: str, ads: list[str], flight: list[datetime]) -> model.LineItem:
    own = draw(st.lists(st.sampled_from(ads), min_size=1, unique=True))
    start, end = sorted(draw(st.lists(st.sampled_from(flight), min_size=2, max_size=2, unique=True)))
    return model.LineItem(
        id=name,
        goal=model.Goal(kind=draw(st.sampled_from(("cpm", "cpc", "cpa"))), value=draw(AMOUNTS)),
        max_bid_cpm=draw(AMOUNTS),
        creatives=tuple(own),
        targeting=draw(TARGETING),
        deals=draw(_maybe(_deals())),
        vector=tuple(draw(st.lists(st.floats(-1e6, 1e6), max_size=32))),
        click_rate=draw(_maybe(RATES)),
        budget=draw(_budget(model.ItemBudget)),
        pacing=draw(_maybe(PACING)),
        frequency=draw(_item_frequencies()),
        start=draw(st.sampled_from((None, start.astimezone(draw(ZONES))))),
        end=draw(st.sampled_from((None, end))),
        active=draw(st.booleans()),
    )


@st.composite
def _campaign(draw: st.DrawFn, name: str, ads: list[str]) -> model.Campaign:
    moments = sorted(draw(st.lists(MOMENTS, min_size=2, max_size=5, unique=True)))
    start, end = moments[0], moments[-1]
    return model.Campaign(
        id=name,
        name=draw(TEXTS),
        line_items=tuple(
            [draw(_line_item(f"{name}-{i}", ads, moments)) for i in range(draw(st.integers(1, 2)))]
        ),
        budget=draw(_budget(model.Budget)),
        pacing=draw(PACING),
        frequency=draw(frequencies(model.Frequency)),
        start=draw(st.sampled_from((None, start.astimezone(draw(ZONES))))),
        end=draw(st.sampled_from((None, end.astimezone(draw(ZONES))))),
    )


@st.composite
def _advertiser(draw: st.DrawFn, name: str) -> model.Advertiser:
    ads = [f"ad-{i}" for i in range(draw(st.integers(1, 4)))]
    return model.Advertiser(
        id=name,
        name=draw(TEXTS),
        domain=f"{name}.example",
        currency=draw(st.from_regex(r"\A[A-Z]{3}\Z")),
        creatives=tuple([draw(creatives(ad)) for ad in ads]),
        campaigns=tuple([draw(_campaign(f"{name}-c{i}", ads)) for i in range(draw(st.integers(1, 2)))]),
        time_zone=draw(TIME_ZONES),
        frequency=draw(frequencies(model.Frequency)),
        transparency=draw(_maybe(st.just(model.Transparency(behalf="A", paid="B")))),
    )


@st.composite
def books(draw: st.DrawFn) -> model.Book:
    """Books that load, of up to two advertisers."""
    count = draw(st.integers(0, 2))
    return model.Book(advertisers=tuple([draw(_advertiser(f"shop{i}")) for i in range(count)]))


def written_out(book: model.Book) -> Any:
    """A book as plain values."""
    return msgspec.to_builtins(book)
