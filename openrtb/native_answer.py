"""The native markup: a creative's texts and images put where a native slot asks for them.

Place: `fit` is a filter and may be cached by (request text, creative); `markup` runs once per bid.
Shapes: the markup is bare JSON of version 1.2, for `bid.adm`.
Units: lengths in characters, sizes in pixels, durations in seconds.
Source: OpenRTB Dynamic Native Ads 1.2, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from openrtb.native import (
    EVENT_IMPRESSION,
    ICON,
    LOGO,
    MAIN,
    METHOD_IMG,
    Asset,
    Image,
    NativeRequest,
    NativeVideo,
)

VERSION: Final = "1.2"
_JPEG: Final = frozenset(("image/jpeg", "image/jpg"))


class Picture(Struct, frozen=True, gc=False):
    """An image file: where it is, its size in pixels and its type."""

    url: str
    w: int
    h: int
    mime: str = ""


class VideoFacts(Struct, frozen=True, gc=False):
    """What must be known of a video to answer a video asset; its VAST comes with the bid."""

    duration_s: int
    mimes: tuple[str, ...]
    protocols: tuple[int, ...]


class NativeCreative(Struct, frozen=True, gc=False):
    """A creative for native slots; an empty text is an asset that it does not have.

    The short texts serve slots for which the long ones are too long: no text is ever cut.
    """

    title: str
    short_title: str = ""
    sponsored: str = ""
    description: str = ""
    short_description: str = ""
    rating: str = ""
    likes: str = ""
    downloads: str = ""
    price: str = ""
    sale_price: str = ""
    phone: str = ""
    address: str = ""
    description2: str = ""
    display_url: str = ""
    cta: str = ""
    icons: tuple[Picture, ...] = ()
    logos: tuple[Picture, ...] = ()
    mains: tuple[Picture, ...] = ()
    video: VideoFacts | None = None


class NativeUrls(Struct, frozen=True, gc=False):
    """The URLs of one bid; `vast` is the VAST text of a video asset."""

    click: str
    click_trackers: tuple[str, ...] = ()
    impressions: tuple[str, ...] = ()
    privacy: str = ""
    vast: str = ""
    assets: str = ""
    """Where the assets can be fetched when the ad is shown; what was asked is put behind it."""


class Fit(Struct, frozen=True, gc=False):
    """A creative that answers a request: everything of the markup that no bid changes."""

    assets: str  # JSON, without its brackets
    event_trackers: bool
    privacy: bool
    video_id: int | None = None
    asked: str = ""
    """What was asked, for `assetsurl`; "": the slot takes none."""


_quote: Final = msgspec.json.Encoder().encode
_TEXTS: Final[dict[int, tuple[str, ...]]] = {
    1: ("sponsored",),
    2: ("description", "short_description"),
    3: ("rating",),
    4: ("likes",),
    5: ("downloads",),
    6: ("price",),
    7: ("sale_price",),
    8: ("phone",),
    9: ("address",),
    10: ("description2", "short_description"),
    11: ("display_url",),
    12: ("cta",),
}


def fit(request: NativeRequest, creative: NativeCreative, asked: str = "") -> Fit | None:
    """Match a creative to a parsed request; None if a required asset has no answer, or no asset has one.

    `asked` is native_assets.asked_text, where the assets shall be fetched."""
    parts: list[str] = []
    used: set[str] = set()
    video_id: int | None = None
    for asset in request.assets or ():
        if asset.video is not None and video_id is None and _video_fits(asset.video, creative.video):
            video_id = asset.id
            continue
        value = _value(asset, creative, used)
        if value is not None:
            parts.append(f'{{"id":{asset.id},{value}}}')
        elif asset.required:
            return None
    if not parts and video_id is None:
        return None
    tracked = request.tracks(EVENT_IMPRESSION, METHOD_IMG)
    return Fit(",".join(parts), tracked, bool(request.privacy), video_id, asked)


def markup(matched: Fit, urls: NativeUrls) -> str:
    """Return the native markup of one bid as compact JSON.

    Impressions go to event trackers where the request allows them as images, else to `imptrackers`: never to
    both, which would count twice.
    """
    assets = matched.assets
    if matched.video_id is not None:
        tag = f'{{"id":{matched.video_id},"video":{{"vasttag":{_text(urls.vast)}}}}}'
        assets = f"{assets},{tag}" if assets else tag
    link = f'{{"url":{_text(urls.click)}'
    if urls.click_trackers:
        link += f',"clicktrackers":{_text(urls.click_trackers)}'
    ending = ""
    if urls.impressions and matched.event_trackers:
        trackers = ",".join([f'{{"event":1,"method":1,"url":{_text(url)}}}' for url in urls.impressions])
        ending = f',"eventtrackers":[{trackers}]'
    elif urls.impressions:
        ending = f',"imptrackers":{_text(urls.impressions)}'
    if matched.privacy and urls.privacy:
        ending += f',"privacy":{_text(urls.privacy)}'
    if matched.asked and urls.assets:
        ending += f',"assetsurl":{_text(urls.assets + matched.asked)}'
    return f'{{"ver":"{VERSION}","link":{link}}},"assets":[{assets}]{ending}}}'


def answer(request: NativeRequest, creative: NativeCreative, urls: NativeUrls) -> str | None:
    """Return the markup of a creative, or None if it cannot answer: `fit` and `markup` in one."""
    matched = fit(request, creative)
    return None if matched is None else markup(matched, urls)


def _text(value: str | tuple[str, ...]) -> str:
    return _quote(value).decode()


def _value(asset: Asset, creative: NativeCreative, used: set[str]) -> str | None:
    """Return the JSON member that answers a title, image or data asset; None if the creative has none."""
    if asset.title is not None:
        title = _first_within((creative.title, creative.short_title), asset.title.len)
        return f'"title":{{"text":{_text(title)}}}' if title else None
    if asset.data is not None:
        text = _first_within(texts_of(asset.data.type, creative), asset.data.len)
        return f'"data":{{"value":{_text(text)}}}' if text else None
    if asset.img is not None:
        picture = _picture(asset.img, creative, used)
        if picture is not None:
            used.add(picture.url)
            return f'"img":{{"url":{_text(picture.url)},"w":{picture.w},"h":{picture.h}}}'
    return None


def texts_of(kind: int | None, creative: NativeCreative) -> list[str]:
    """A creative's texts of a data type, the longest first; they may be empty."""
    return [getattr(creative, name) for name in _TEXTS.get(kind or 0, ())]


def _first_within(texts: Sequence[str], limit: int | None) -> str:
    """Return the first text that is not empty and not longer than the limit (None or 0: no limit), or ""."""
    return next((text for text in texts if text and (not limit or len(text) <= limit)), "")


def _pictures(kind: int | None, creative: NativeCreative) -> tuple[Picture, ...]:
    """Return the pictures of a type; a slot that names none takes any, the main images first."""
    if kind == ICON:
        return creative.icons
    if kind == LOGO:
        return creative.logos or creative.icons
    if kind == MAIN:
        return creative.mains
    return () if kind else creative.mains + creative.icons + creative.logos


def _picture(image: Image, creative: NativeCreative, used: set[str]) -> Picture | None:
    """Return the best picture: one not used yet, nearest in shape, then the smallest that is enough."""
    fitting = [picture for picture in _pictures(image.type, creative) if picture_fits(image, picture)]
    if not fitting:
        return None
    w, h = image.w or image.wmin or 0, image.h or image.hmin or 0

    def rank(picture: Picture) -> tuple[bool, int, int]:
        skew = round(10 * abs(picture.w * h - w * picture.h) / (picture.h * h)) if w and h else 0
        return picture.url in used, skew, picture.w * picture.h

    return min(fitting, key=rank)


def picture_fits(image: Image, picture: Picture) -> bool:
    """Whether a picture has an allowed type and size: at least wmin, hmin where given, else exactly w, h."""
    wide = picture.w >= image.wmin if image.wmin else not image.w or picture.w == image.w
    high = picture.h >= image.hmin if image.hmin else not image.h or picture.h == image.h
    if not wide or not high:
        return False
    return not image.mimes or not picture.mime or _mime_listed(picture.mime, image.mimes)


def _mime_listed(mime: str, mimes: tuple[str, ...]) -> bool:
    """Whether a type is listed; image/jpg is what many call image/jpeg."""
    return mime in mimes or (mime in _JPEG and not _JPEG.isdisjoint(mimes))


def _video_fits(asset: NativeVideo, video: VideoFacts | None) -> bool:
    return (
        video is not None
        and (asset.minduration or 0) <= video.duration_s <= (asset.maxduration or 0)
        and not set(video.mimes).isdisjoint(asset.mimes or ())
        and not set(video.protocols).isdisjoint(asset.protocols or ())
    )
