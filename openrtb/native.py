"""The native request: what a native slot asks for, from `imp.native.request`.

Place: intake parses each distinct text once and keeps the result; `native_answer` fills it.
Shapes: the text (or object) may be bare or wrapped in `{"native": ...}`, of versions 1.0 to 1.2; the result
    is immutable and depends on nothing but the input, so it may be cached by its text.
Units: lengths in characters, sizes in pixels, durations in seconds.
Limits: MAX_ASSETS of anything; enumerated fields hold published values, or the exchange's own from 500 on.
Source: OpenRTB Dynamic Native Ads 1.2, sections 4 and 7; Prebid Server's rules for native requests.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from openrtb.enums import VENDOR_SPECIFIC
from openrtb.limits import MAX_ASSETS
from openrtb.violation import Violation
from openrtb.wire import Flag, Int

ICON: Final = 1
LOGO: Final = 2  # deprecated in 1.2, still asked for
MAIN: Final = 3
EVENT_IMPRESSION: Final = 1
METHOD_IMG: Final = 1

_CONTEXTS: Final = frozenset((1, 2, 3))
_SUBTYPES: Final = {1: range(10, 16), 2: range(20, 23), 3: range(30, 33)}
_ALL_SUBTYPES: Final = frozenset(number for numbers in _SUBTYPES.values() for number in numbers)
_PLACEMENTS: Final = frozenset((1, 2, 3, 4))
_DATA_TYPES: Final = frozenset(range(1, 13))
_EVENTS: Final = frozenset((1, 2, 3, 4))
_METHODS: Final = frozenset((1, 2))


class Title(Struct, frozen=True, gc=False):
    """A title of at most `len` characters."""

    len: Int | None = None


class Image(Struct, frozen=True, gc=False):
    """An image: exactly w x h, or at least wmin x hmin; `type` is ICON, LOGO or MAIN."""

    type: Int | None = None
    w: Int | None = None
    wmin: Int | None = None
    h: Int | None = None
    hmin: Int | None = None
    mimes: Annotated[tuple[str, ...], Meta(max_length=MAX_ASSETS)] | None = None


class NativeVideo(Struct, frozen=True, gc=False):
    """A video of minduration to maxduration seconds, answered with a VAST tag."""

    mimes: Annotated[tuple[str, ...], Meta(max_length=MAX_ASSETS)] | None = None
    minduration: Int | None = None
    maxduration: Int | None = None
    protocols: Annotated[tuple[Int, ...], Meta(max_length=MAX_ASSETS)] | None = None


class DataText(Struct, frozen=True, gc=False):
    """A text of a published type (1 sponsored ... 12 call to action) of at most `len` characters."""

    type: Int | None = None
    len: Int | None = None


class Asset(Struct, frozen=True, gc=False):
    """One thing asked for: exactly one of title, img, video and data."""

    id: Int | None = None
    required: Flag | None = None
    title: Title | None = None
    img: Image | None = None
    video: NativeVideo | None = None
    data: DataText | None = None


class EventTracker(Struct, frozen=True, gc=False):
    """An event that may be tracked, and by which methods."""

    event: Int | None = None
    methods: Annotated[tuple[Int, ...], Meta(max_length=MAX_ASSETS)] | None = None


class NativeRequest(Struct, frozen=True, gc=False):
    """What a native slot asks for; after `parse_native` every asset has an id."""

    assets: Annotated[tuple[Asset, ...], Meta(max_length=MAX_ASSETS)] | None = None
    context: Int | None = None
    contextsubtype: Int | None = None
    plcmttype: Int | None = None
    eventtrackers: Annotated[tuple[EventTracker, ...], Meta(max_length=MAX_ASSETS)] | None = None
    privacy: Flag | None = None
    aurlsupport: Flag | None = None
    """Assets may be fetched from a URL of ours."""
    native: NativeRequest | None = None  # the wrapper of 1.0, which later versions still carry at times

    def tracks(self, event: int, method: int) -> bool:
        """Whether the exchange fires this event by this method."""
        return any(
            tracker.event == event and method in (tracker.methods or ())
            for tracker in self.eventtrackers or ()
        )


_decode: Final = msgspec.json.Decoder(NativeRequest, strict=False).decode


def parse_native(request: str | bytes | dict[str, Any] | None) -> NativeRequest | Violation:
    """Parse and judge `imp.native.request`; a Violation's path is relative to that field."""
    if not request:
        return Violation("", "is required")
    try:
        if isinstance(request, dict):
            parsed = msgspec.convert(request, NativeRequest, strict=False)
        else:
            parsed = _decode(request)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return Violation("", str(error))
    parsed = parsed.native or parsed
    return _judge(parsed) or _with_ids(parsed)


def _judge(request: NativeRequest) -> Violation | None:
    return _context(request) or _assets(request) or _trackers(request)


def _unknown(value: int | None, known: frozenset[int]) -> bool:
    """Whether an enumerated value is there (0 is not), yet neither published nor the exchange's own."""
    return value is not None and value != 0 and value not in known and value < VENDOR_SPECIFIC


def _context(request: NativeRequest) -> Violation | None:
    context, subtype = request.context, request.contextsubtype
    if _unknown(context, _CONTEXTS):
        return Violation("context", "must be 1 to 3, or 500 and more")
    if _unknown(subtype, _ALL_SUBTYPES):
        return Violation("contextsubtype", "must be a published subtype, or 500 and more")
    if context in _CONTEXTS and subtype and subtype < VENDOR_SPECIFIC and subtype not in _SUBTYPES[context]:
        return Violation("contextsubtype", "must belong to the context")
    if _unknown(request.plcmttype, _PLACEMENTS):
        return Violation("plcmttype", "must be 1 to 4, or 500 and more")
    return None


def _assets(request: NativeRequest) -> Violation | None:
    if not request.assets:
        return Violation("assets", "must hold at least one asset")
    ids: set[int] = set()
    for place, asset in enumerate(request.assets):
        path = f"assets[{place}]"
        if asset.id is not None and asset.id in ids:
            return Violation(f"{path}.id", "must be unique")
        if asset.id is not None:
            ids.add(asset.id)
        fault = _asset(asset, path)
        if fault is not None:
            return fault
    return None


def _asset(asset: Asset, path: str) -> Violation | None:
    kinds = sum(kind is not None for kind in (asset.title, asset.img, asset.video, asset.data))
    if kinds != 1:
        return Violation(path, "must hold exactly one of title, img, video and data")
    if asset.title is not None and (asset.title.len or 0) < 1:
        return Violation(f"{path}.title.len", "must be a positive number")
    if asset.data is not None and (not asset.data.type or _unknown(asset.data.type, _DATA_TYPES)):
        return Violation(f"{path}.data.type", "must be 1 to 12, or 500 and more")
    if asset.img is not None and any(
        (size or 0) < 0 for size in (asset.img.w, asset.img.wmin, asset.img.h, asset.img.hmin)
    ):
        return Violation(f"{path}.img", "must have no negative size")
    if asset.video is not None:
        return _video(asset.video, f"{path}.video")
    return None


def _video(video: NativeVideo, path: str) -> Violation | None:
    if not video.mimes:
        return Violation(f"{path}.mimes", "must hold at least one type")
    if not video.protocols:
        return Violation(f"{path}.protocols", "must hold at least one protocol")
    if video.minduration is None or video.minduration < 0:
        return Violation(f"{path}.minduration", "is required and must not be negative")
    if video.maxduration is None or video.maxduration < max(video.minduration, 1):
        return Violation(f"{path}.maxduration", "is required and must not be below minduration")
    return None


def _trackers(request: NativeRequest) -> Violation | None:
    for place, tracker in enumerate(request.eventtrackers or ()):
        path = f"eventtrackers[{place}]"
        if not tracker.event or _unknown(tracker.event, _EVENTS):
            return Violation(f"{path}.event", "must be 1 to 4, or 500 and more")
        if not tracker.methods:
            return Violation(f"{path}.methods", "must hold at least one method")
        if any(not method or _unknown(method, _METHODS) for method in tracker.methods):
            return Violation(f"{path}.methods", "must be 1 or 2, or 500 and more")
    return None


def _with_ids(request: NativeRequest) -> NativeRequest:
    """Give assets without an id the lowest free one, as Prebid Server does before it asks its bidders."""
    assets = request.assets or ()
    taken = {asset.id for asset in assets if asset.id is not None}
    if len(taken) == len(assets):
        return request
    free = (number for number in range(2 * len(assets)) if number not in taken)
    numbered = (
        asset if asset.id is not None else msgspec.structs.replace(asset, id=next(free)) for asset in assets
    )
    return msgspec.structs.replace(request, assets=tuple(numbered))
