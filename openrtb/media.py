"""The media of an impression: banner, video, audio, native and the things they are made of.

Place: part of `openrtb.request`, which re-exports everything here.
Source: OpenRTB 2.6-202606 sections 3.2.6-3.2.10 and 3.2.35; the removed 2.5 fields that still arrive.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from openrtb.limits import MAX_CODES, MAX_FORMATS, MAX_NATIVE_CHARS
from openrtb.wire import CodeNames, Codes, Flag, Float, Int, Size, Wire


class Format(Wire):
    """3.2.10: one allowed size, either w x h in device-independent pixels or a ratio for flex ads."""

    w: Size | None = None
    h: Size | None = None
    wratio: Size | None = None
    hratio: Size | None = None
    wmin: Size | None = None


class Banner(Wire):
    """3.2.6: a display slot, or a companion of a video or audio ad."""

    format: Annotated[list[Format], Meta(max_length=MAX_FORMATS)] | None = None
    w: Size | None = None
    h: Size | None = None
    btype: Codes | None = None
    battr: Codes | None = None
    pos: Int | None = None
    mimes: CodeNames | None = None
    topframe: Flag | None = None
    expdir: Codes | None = None
    api: Codes | None = None
    id: str | None = None
    vcm: Flag | None = None
    wmax: Size | None = None
    hmax: Size | None = None
    wmin: Size | None = None
    hmin: Size | None = None


class DurFloors(Wire):
    """3.2.35: a floor for creatives of mindur..maxdur seconds."""

    mindur: Int | None = None
    maxdur: Int | None = None
    bidfloor: Float | None = None


class VideoExt(Wire):
    """The vendor's place of `imp.rwdd`."""

    rewarded: Flag | None = None


class Video(Wire):
    """3.2.7: a video slot, alone or in a pod."""

    mimes: CodeNames | None = None
    minduration: Int | None = None
    maxduration: Int | None = None
    startdelay: Int | None = None
    maxseq: Size | None = None
    poddur: Int | None = None
    protocols: Codes | None = None
    w: Size | None = None
    h: Size | None = None
    podid: str | None = None
    podseq: Int | None = None
    rqddurs: Codes | None = None
    placement: Int | None = None
    plcmt: Int | None = None
    linearity: Int | None = None
    skip: Flag | None = None
    skipmin: Int | None = None
    skipafter: Int | None = None
    sequence: Size | None = None
    slotinpod: Int | None = None
    mincpmpersec: Float | None = None
    battr: Codes | None = None
    maxextended: Int | None = None
    minbitrate: Size | None = None
    maxbitrate: Size | None = None
    boxingallowed: Flag | None = None
    playbackmethod: Codes | None = None
    playbackend: Int | None = None
    delivery: Codes | None = None
    pos: Int | None = None
    companionad: Annotated[list[Banner], Meta(max_length=MAX_FORMATS)] | None = None
    api: Codes | None = None
    companiontype: Codes | None = None
    poddedupe: Codes | None = None
    durfloors: Annotated[list[DurFloors], Meta(max_length=MAX_CODES)] | None = None
    protocol: Int | None = None
    ext: VideoExt | None = None


class Audio(Wire):
    """3.2.8: an audio slot, alone or in a pod."""

    mimes: CodeNames | None = None
    minduration: Int | None = None
    maxduration: Int | None = None
    poddur: Int | None = None
    protocols: Codes | None = None
    startdelay: Int | None = None
    rqddurs: Codes | None = None
    podid: str | None = None
    podseq: Int | None = None
    sequence: Size | None = None
    slotinpod: Int | None = None
    mincpmpersec: Float | None = None
    battr: Codes | None = None
    maxextended: Int | None = None
    minbitrate: Size | None = None
    maxbitrate: Size | None = None
    delivery: Codes | None = None
    companionad: Annotated[list[Banner], Meta(max_length=MAX_FORMATS)] | None = None
    api: Codes | None = None
    companiontype: Codes | None = None
    maxseq: Size | None = None
    feed: Int | None = None
    stitched: Flag | None = None
    nvol: Int | None = None
    durfloors: Annotated[list[DurFloors], Meta(max_length=MAX_CODES)] | None = None


class Native(Wire):
    """3.2.9: a native slot.

    `request` arrives as JSON text (the rule), as an object (seen), or as an object in `request_native` (some
    adapters of Prebid.js); after `upgrade` it is text or None.
    """

    request: Annotated[str, Meta(max_length=MAX_NATIVE_CHARS)] | dict[str, Any] | None = None
    request_native: Annotated[str, Meta(max_length=MAX_NATIVE_CHARS)] | dict[str, Any] | None = None
    ver: str | None = None
    api: Codes | None = None
    battr: Codes | None = None
