"""A matcher so plain that it is obviously right: one line item, one impression, JSON as it came.

Place: what the compiled index is compared with. Knows nothing of the index, Context or Opportunity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bidder.campaigns.model import Advertiser, Campaign, Categories, Creative, LineItem, Targeting, Terms

Json = dict[str, Any]
DEVICE_TYPES = {
    1: {"phone", "mobile"},
    2: {"desktop"},
    3: {"tv"},
    4: {"phone", "mobile"},
    5: {"tablet", "mobile"},
    6: {"connected"},
    7: {"set_top_box"},
    8: {"ooh"},
}
CONNECTIONS = {
    1: {"ethernet"},
    2: {"wifi"},
    3: {"cellular"},
    4: {"cellular", "2g"},
    5: {"cellular", "3g"},
    6: {"cellular", "4g"},
    7: {"cellular", "5g"},
}
POSITIONS = ("unknown", "above_fold", "locked", "below_fold", "header", "footer", "sidebar", "full_screen")
SYSTEMS = {
    "iOS": "ios",
    "Android": "android",
    "Windows": "windows",
    "macOS": "macos",
    "Chrome OS": "chromeos",
    "Linux": "linux",
}
ZONES = {"DEU": "Europe/Berlin", "FRA": "Europe/Paris", "POL": "Europe/Warsaw"}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def accepts(terms: Terms | Categories | None, values: Iterable[str]) -> bool:
    """Nothing excluded is there; and where something is included, some of it is there."""
    if terms is None:
        return True
    values = set(values)
    if values & set(terms.exclude):
        return False
    return not terms.include or bool(values & set(terms.include))


def wants_request(
    item: LineItem, campaign: Campaign, request: Json, now: datetime, *, exchange: str, child: bool
) -> bool:
    """Targeting that is the same for all impressions; segments apart."""
    if not item.active or not campaign.active:
        return False
    for flight in (campaign, item):
        if (flight.start and now < flight.start) or (flight.end and now >= flight.end):
            return False
    wish = item.targeting
    if child and not wish.child_directed:
        return False
    kind, source = next((name, request[name]) for name in ("site", "app", "dooh") if name in request)
    device = request["device"]
    geo = device.get("geo", {})
    country = geo.get("country", "").upper()
    content = source.get("content", {})
    return (
        accepts(wish.exchanges, {exchange})
        and accepts(wish.inventory, {kind})
        and accepts(wish.countries, {country})
        and accepts(
            wish.regions, _in_country(country, geo.get("region", "").upper().removeprefix(f"{country}-"))
        )
        and accepts(_lower(wish.cities), _in_country(country.lower(), geo.get("city", "").lower()))
        and accepts(wish.zips, _in_country(country, geo.get("zip", "")) if not child else ())
        and (not wish.near or (not child and _near(wish, geo)))
        and accepts(wish.device_types, DEVICE_TYPES.get(device.get("devicetype"), ()))
        and accepts(wish.os, {SYSTEMS.get(device["os"], "other")} if "os" in device else ())
        and accepts(wish.connections, CONNECTIONS.get(device.get("connectiontype"), ()))
        and accepts(wish.browser_languages, {device.get("language", "")[:2].lower()})
        and accepts(wish.content_languages, {content.get("language", "")[:2].lower()})
        and accepts(_lower(wish.domains), _domains(source.get("domain", "")))
        and accepts(wish.bundles, {source["bundle"]} - {""} if "bundle" in source else ())
        and accepts(wish.sites, {source.get("id", "")})
        and accepts(wish.publishers, {source.get("publisher", {}).get("id", "")})
        and _categories(wish, source if kind != "dooh" else {}, content)
        and accepts(_lower(wish.keywords), _keywords(source if kind != "dooh" else {}, content))
        and accepts(wish.exchange_segments, _data(request) if not child else ())
        and (not wish.hours or _in_hours(wish.hours, geo.get("utcoffset"), country, now))
    )


def wants_slot(item: LineItem, ads: list[Creative], imp: Json) -> bool:
    """A creative for the slot, and what the line item asks of slots."""
    wish = item.targeting
    slot: Json = next((imp[name] for name in ("banner", "video", "audio") if name in imp), {})
    sizes = _sizes(imp.get("banner", {}))
    fits = any((ad.w, ad.h) in sizes if ad.kind == "image" else ad.kind in imp for ad in ads)
    secure = imp.get("secure") == 0 or any(is_secure(ad) for ad in ads)
    viewable = [m["value"] for m in imp.get("metric", ()) if m["type"] == "viewability"]
    return (
        fits
        and secure
        and accepts(wish.positions, {POSITIONS[slot.get("pos", 0)]})
        and (wish.viewability_min is None or bool(viewable and viewable[0] >= wish.viewability_min))
        and wish.rewarded in (None, imp.get("rwdd", 0) == 1)
        and wish.interstitial in (None, imp.get("instl", 0) == 1)
    )


def in_audience(item: LineItem, held: set[str]) -> bool:
    """At least one of `any`, none of `none`."""
    segments = item.targeting.segments
    if segments is None:
        return True
    return not held & set(segments.none) and (not segments.any or bool(held & set(segments.any)))


def blocked(advertiser: Advertiser, ads: list[Creative], request: Json) -> str:
    """Why the whole line item is blocked, or ""."""
    parents = {".".join(advertiser.domain.split(".")[i:]) for i in range(advertiser.domain.count("."))}
    if parents & {domain.lower() for domain in request.get("badv", ())}:
        return "advertiser_blocked"
    if advertiser.bundle in request.get("bapp", ()):
        return "advertiser_blocked"
    if request.get("cattax", 1) == 1 and all(_is_blocked(ad, request.get("bcat", ())) for ad in ads):
        # a line item falls as a whole only where one blocked category is on every one of its ads
        shared = set.intersection(*[_with_parents(ad.categories) for ad in ads])
        return "category_blocked" if shared & set(request.get("bcat", ())) else ""
    return ""


def is_secure(ad: Creative) -> bool:
    """Nothing of it is fetched without encryption."""
    urls = [ad.image_url, ad.native.image_url if ad.native else None, *(file.url for file in ad.media_files)]
    return not any(url and url.startswith("http:") for url in urls)


def _is_blocked(ad: Creative, bcat: Iterable[str]) -> bool:
    return bool(_with_parents(ad.categories) & set(bcat))


def _with_parents(categories: Iterable[str]) -> set[str]:
    return {name for category in categories for name in (category, category.split("-")[0])}


def _in_country(country: str, name: str) -> set[str]:
    return {f"{country}-{name}"} if name else set()


def _lower(terms: Terms | None) -> Terms | None:
    if terms is None:
        return None
    return Terms(
        include=tuple(v.lower().removeprefix("www.") for v in terms.include),
        exclude=tuple(v.lower().removeprefix("www.") for v in terms.exclude),
    )


def _near(wish: Targeting, geo: Json) -> bool:
    if "lat" not in geo or (geo["lat"] == 0 and geo["lon"] == 0):
        return False
    return any(_distance_km((geo["lat"], geo["lon"]), (c.lat, c.lon)) <= c.radius_km for c in wish.near)


def _distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """By the angle between two vectors from the middle of the earth."""
    one, two = (_vector(*place) for place in (a, b))
    cosine = sum(x * y for x, y in zip(one, two, strict=True))
    cross = math.dist(one, two)
    return 6371 * 2 * math.asin(min(1.0, cross / 2)) if cosine > -1 else 6371 * math.pi


def _vector(lat: float, lon: float) -> tuple[float, float, float]:
    lat, lon = math.radians(lat), math.radians(lon)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def _domains(domain: str) -> set[str]:
    labels = domain.lower().removeprefix("www.").split(".")
    return {".".join(labels[i:]) for i in range(max(1, len(labels) - 1))} - {""}


def _categories(wish: Targeting, source: Json, content: Json) -> bool:
    wanted = wish.categories
    if wanted is None:
        return True
    found: set[str] = set()
    for holder, names in ((source, ("cat", "sectioncat", "pagecat")), (content, ("cat",))):
        if holder.get("cattax", 1) == wanted.taxonomy:
            for name in names:
                held = set(holder.get(name, ()))
                found |= _with_parents(held) if wanted.taxonomy == 1 else held
    return accepts(wanted, found)


def _keywords(source: Json, content: Json) -> set[str]:
    words = [*source.get("keywords", "").split(","), *content.get("kwarray", ())]
    return {word.strip().lower() for word in words}


def _data(request: Json) -> set[str]:
    return {
        f"{data[name]}/{segment['id']}"
        for data in request["user"].get("data", ())
        for segment in data.get("segment", ())
        for name in ("name", "id")
        if name in data and "id" in segment
    }


def _in_hours(hours: tuple[str, ...], utcoffset: int | None, country: str, now: datetime) -> bool:
    if utcoffset is not None:
        local = now.astimezone(UTC).replace(tzinfo=None) + timedelta(minutes=utcoffset)
    elif country in ZONES:
        local = now.astimezone(ZoneInfo(ZONES[country])).replace(tzinfo=None)
    else:
        return False
    return any(_in_item(item, local) for item in hours)


def _in_item(item: str, local: datetime) -> bool:
    words = item.split()
    days, spans = (words[0], words[1]) if len(words) == 2 else (words[0], "00-24")
    if days[0].isdigit():
        days, spans = "mon-sun", days
    named = [_days(part) for part in days.split(",")]
    listed = {day for part in named for day in part}
    for span in spans.split(","):
        start, end = (int(hour) for hour in span.split("-"))
        today, yesterday = local.weekday(), (local.weekday() - 1) % 7
        if start < end and today in listed and start <= local.hour < end:
            return True
        if start > end and (
            (today in listed and local.hour >= start) or (yesterday in listed and local.hour < end)
        ):
            return True
    return False


def _days(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    start = DAYS.index(first)
    return [(start + i) % 7 for i in range((DAYS.index(last) - start) % 7 + 1)] if dash else [start]


def _sizes(banner: Json) -> set[tuple[int, int]]:
    return {(f["w"], f["h"]) for f in [*banner.get("format", ()), *([banner] if "w" in banner else [])]}
