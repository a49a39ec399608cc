"""The slots that publishers sell: banner, video, native and audio impressions in their usual shapes.

Place: requests.py puts one to four of them into a request.
Units: floors are CPM in the currency of the exchange; `per_usd` is what one US dollar costs in it.
"""

from __future__ import annotations

import random
from typing import Any, Final

import orjson

from benchmarks.exchange.inventory import Device
from openrtb.enums import DeviceType

Json = dict[str, Any]

_BANNERS: Final = (
    ((300, 250),),
    ((300, 250), (336, 280)),
    ((728, 90), (970, 90)),
    ((970, 250), (728, 90), (970, 90)),
    ((160, 600), (300, 600), (120, 600)),
    ((300, 600), (300, 250)),
)
_MOBILE_BANNERS: Final = (((320, 50),), ((300, 250),), ((320, 100), (320, 50)), ((300, 250), (320, 480)))
_MOBILE_TYPES: Final = frozenset((DeviceType.MOBILE_OR_TABLET, DeviceType.PHONE, DeviceType.TABLET))
_DEAL_SHARE: Final = 0.12
_PRIVATE_SHARE: Final = 0.25
_DEALS: Final = tuple(f"deal-{i}" for i in range(1, 9))
_FLOOR_MEDIAN_USD: Final = {"banner": 0.25, "native": 0.3, "video": 2.0, "audio": 1.2}

NATIVE_FEED: Final = {
    "ver": "1.2", "context": 1, "contextsubtype": 11, "plcmttype": 1, "plcmtcnt": 1,
    "assets": [
        {"id": 1, "required": 1, "title": {"len": 90}},
        {"id": 2, "required": 1, "img": {"type": 3, "wmin": 600, "hmin": 314}},
        {"id": 3, "required": 0, "img": {"type": 1, "wmin": 50, "hmin": 50}},
        {"id": 4, "required": 1, "data": {"type": 1, "len": 25}},
        {"id": 5, "required": 0, "data": {"type": 2, "len": 140}},
        {"id": 6, "required": 0, "data": {"type": 12, "len": 15}},
    ],
    "eventtrackers": [{"event": 1, "methods": [1, 2]}],
    "privacy": 1,
}  # fmt: skip
NATIVE_SMALL: Final = {
    "ver": "1.2", "context": 2, "plcmttype": 4, "plcmtcnt": 1,
    "assets": [
        {"id": 11, "required": 1, "title": {"len": 60}},
        {"id": 12, "required": 1, "img": {"type": 3, "w": 1200, "h": 627, "wmin": 300, "hmin": 157}},
        {"id": 13, "required": 1, "data": {"type": 1, "len": 30}},
    ],
    "eventtrackers": [{"event": 1, "methods": [1]}],
}  # fmt: skip
_NATIVES: Final = tuple(orjson.dumps(native).decode() for native in (NATIVE_FEED, NATIVE_SMALL))


def banner(rng: random.Random, device: Device) -> Json:
    """A display slot of several sizes."""
    sizes = rng.choice(_MOBILE_BANNERS if device.devicetype in _MOBILE_TYPES else _BANNERS)
    slot: Json = {
        "format": [{"w": w, "h": h} for w, h in sizes],
        "w": sizes[0][0],
        "h": sizes[0][1],
        "pos": rng.choice((0, 1, 1, 3, 4, 5)),
        "topframe": rng.randint(0, 1),
        "mimes": ["image/jpeg", "image/png", "image/gif", "text/html", "application/javascript"],
    }
    if rng.random() < 0.5:
        slot["battr"] = [1, 2, 3, 8, 9, 10, 14]
    if device.kind == "app":
        slot["api"] = [3, 5, 6, 7]
    return slot


def video(rng: random.Random, device: Device) -> Json:
    """An instream or outstream slot; on a television part of a break."""
    slot: Json = {
        "mimes": ["video/mp4", "video/webm"],
        "minduration": 5,
        "maxduration": rng.choice((15, 30, 30, 60)),
        "protocols": [2, 3, 5, 6, 7, 8, 11, 12, 13, 14],
        "w": 640,
        "h": 360,
        "startdelay": rng.choice((0, 0, -1, 15)),
        "plcmt": rng.choice((1, 2, 4)),
        "linearity": 1,
        "skip": rng.randint(0, 1),
        "playbackmethod": [rng.choice((1, 2, 5))],
        "delivery": [2],
        "minbitrate": 100,
        "maxbitrate": 8000,
        "boxingallowed": 1,
        "pos": 1,
    }
    if device.kind == "ctv":
        slot |= {"w": 1920, "h": 1080, "plcmt": 1, "skip": 0, "startdelay": -1, "maxbitrate": 20000}
        slot |= {"podid": f"break-{rng.randint(1, 4)}", "slotinpod": 0}
    else:
        slot["api"] = [7, 8]
        slot["battr"] = [13, 14]
    return slot


def audio(rng: random.Random) -> Json:
    """A slot in a stream or a podcast."""
    return {
        "mimes": ["audio/mpeg", "audio/mp4", "audio/ogg"],
        "minduration": 5,
        "maxduration": rng.choice((30, 60)),
        "protocols": [2, 3, 6, 7, 11, 13],
        "startdelay": rng.choice((0, -1)),
        "minbitrate": 32,
        "maxbitrate": 512,
        "delivery": [1, 2],
        "feed": rng.choice((2, 3)),
        "nvol": 2,
    }


def native(rng: random.Random) -> Json:
    """A native slot whose request is JSON text, as the specification wants it."""
    return {"request": rng.choice(_NATIVES), "ver": "1.2", "battr": [1, 2, 3]}


def deals(rng: random.Random, floor: float, currency: str) -> Json:
    """A private marketplace of one to three deals."""
    offers = [
        {
            "id": deal,
            "bidfloor": round(floor * rng.uniform(1.2, 3), 2),
            "bidfloorcur": currency,
            "at": rng.choice((1, 2, 3)),
        }
        for deal in rng.sample(_DEALS, rng.randint(1, 3))
    ]
    return {"private_auction": int(rng.random() < _PRIVATE_SHARE), "deals": offers}


def floor(rng: random.Random, medium: str, per_usd: float) -> float:
    """A floor price: log-normal around what the medium usually asks; some slots have none."""
    if rng.random() < 0.15:
        return 0.0
    return round(_FLOOR_MEDIAN_USD[medium] * rng.lognormvariate(0, 0.6) * per_usd, 2)


def imp(rng: random.Random, medium: str, device: Device, currency: str, per_usd: float) -> Json:
    """One impression of a medium, without its id."""
    price = floor(rng, medium, per_usd)
    slot = {"banner": banner, "video": video}.get(medium)
    body = slot(rng, device) if slot else audio(rng) if medium == "audio" else native(rng)
    tag = rng.randint(1, 60)
    offer: Json = {
        medium: body,
        "tagid": f"slot-{tag}",
        "bidfloor": price,
        "bidfloorcur": currency,
        "secure": 1,
        "exp": {"banner": 300, "native": 600, "video": 1800, "audio": 1800}[medium],
        "ext": {"gpid": f"/21700000/site/{medium}-{tag}"},
    }
    if rng.random() < 0.6:
        viewability = round(rng.betavariate(5, 3), 2)
        offer["metric"] = [{"type": "viewability", "value": viewability, "vendor": "EXCHANGE"}]
    if rng.random() < _DEAL_SHARE:
        offer["pmp"] = deals(rng, price or 0.5 * per_usd, currency)
    return offer
