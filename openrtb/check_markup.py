"""The thorough part of the last look: markup is parsed and compared with what the slot asks for.

Place: called by `check` in tests and by the simulated exchange; too slow for every bid.
Shapes: VAST is read by expat, which resolves nothing: a document that declares an entity is refused.
Source: OpenRTB Dynamic Native Ads 1.2; IAB VAST 2.0-4.2; OpenRTB 2.6 section 4.4.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

import msgspec
from msgspec import Struct

from openrtb.check_media import AUDIO, NATIVE, VIDEO, Note
from openrtb.macros import CLICK_URL, CLICK_URL_ESC
from openrtb.media import Audio, Video
from openrtb.native import Asset, NativeRequest, parse_native
from openrtb.native_answer import Picture, picture_fits
from openrtb.request import BidRequest
from openrtb.response import Bid
from openrtb.vast import INLINE, MediaFile, choose_media
from openrtb.violation import Violation


def markup_faults(request: BidRequest, bid: Bid, note: Note) -> None:
    """Note what is wrong inside `adm`; the bid's other fields have been found good."""
    imp = next(imp for imp in request.imp if imp.id == bid.impid)
    if not bid.adm:
        return
    if CLICK_URL in bid.adm or CLICK_URL_ESC in bid.adm:
        note(("adm", "holds a macro of ours that nobody will expand"))
    slot = imp.video if bid.mtype == VIDEO else imp.audio if bid.mtype == AUDIO else None
    if slot is not None:
        rule = vast_fault(bid.adm, slot, bid)
        if rule is not None:
            note(("adm", rule))
    elif bid.mtype == NATIVE and imp.native is not None:
        asked = parse_native(imp.native.request)
        fault = str(asked) if isinstance(asked, Violation) else native_fault(asked, bid.adm)
        if fault is not None:
            note(("adm", fault))


class Vast(Struct):
    """What the rules read of a VAST document."""

    version: str = ""
    impressions: int = 0
    wrapper: bool = False
    duration: str = ""
    media: list[MediaFile] = []
    path: list[str] = []
    text: str = ""


class _EntityError(Exception):
    """The document declares an entity."""


def read_vast(text: str) -> Vast | None:
    """Read a VAST document; None if it is not well formed, or declares entities."""
    vast = Vast(media=[], path=[])
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        vast.path.append(tag)
        vast.text = ""
        if tag == "VAST":
            vast.version = attributes.get("version", "")
        elif tag == "Wrapper":
            vast.wrapper = True
        elif tag == "MediaFile":
            vast.media.append(_media(attributes))

    def end(tag: str) -> None:
        vast.path.pop()
        if tag == "Impression" and vast.text.strip():
            vast.impressions += 1
        elif tag == "Duration":
            vast.duration = vast.text.strip()

    def characters(data: str) -> None:
        vast.text += data

    def entity(*_: object) -> None:
        raise _EntityError

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, _EntityError, ValueError):
        return None
    return vast


def _media(attributes: dict[str, str]) -> MediaFile:
    return MediaFile(
        "",
        attributes.get("type", ""),
        int(attributes.get("width") or 0),
        int(attributes.get("height") or 0),
        int(attributes.get("bitrate") or 0),
        attributes.get("delivery") == "streaming",
    )


def seconds_of(duration: str) -> float | None:
    """Return HH:MM:SS(.mmm) in seconds, or None."""
    try:
        hours, minutes, seconds = duration.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def vast_fault(text: str, slot: Video | Audio, bid: Bid) -> str | None:
    """Return the first rule that the VAST of a bid breaks in its slot, or None."""
    vast = read_vast(text)
    if vast is None or not vast.version:
        return "is no well-formed VAST"
    expected = INLINE.get(bid.protocol or 0)
    if expected is not None and vast.version != expected:
        return "is not of the version that protocol says"
    if not vast.impressions:
        return "holds no Impression"
    if vast.wrapper:  # its files are elsewhere
        return None
    length = seconds_of(vast.duration)
    if length is None or (bid.dur is not None and abs(length - bid.dur) >= 1):
        return "holds another Duration than dur says"
    if not vast.media or len(choose_media(vast.media, slot)) != len(vast.media):
        return "holds a MediaFile that the slot cannot play"
    return None


class _Answer(Struct, frozen=True):
    """What the rules say of one answered asset."""

    id: int
    title: dict[str, Any] | None = None
    img: dict[str, Any] | None = None
    video: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


class _Markup(Struct, frozen=True):
    """What the rules say of a markup."""

    link: dict[str, Any]
    assets: list[_Answer] = []


def native_fault(request: NativeRequest, text: str) -> str | None:
    """Return the first rule that a markup breaks against its request, or None."""
    try:
        found = msgspec.json.decode(text, type=_Markup)
    except msgspec.MsgspecError as error:
        return f"is no native markup: {error}"
    if not found.link.get("url"):
        return "link.url is required"
    asked = {asset.id: asset for asset in request.assets or ()}
    answered = {asset.id for asset in found.assets}
    if len(answered) != len(found.assets) or not answered <= asked.keys():
        return "answers an asset twice, or one that was not asked for"
    if any(asset.required and number not in answered for number, asset in asked.items()):
        return "leaves a required asset unanswered"
    return next((fault for part in found.assets if (fault := _answer_fault(asked[part.id], part))), None)


def _answer_fault(asset: Asset, part: _Answer) -> str | None:
    """Return what is wrong with the answer to one asset."""
    name = f"asset {part.id}"
    if asset.title is not None:
        text = (part.title or {}).get("text") or ""
        return None if 0 < len(text) <= (asset.title.len or 0) else f"{name}: title missing or too long"
    if asset.data is not None:
        value = (part.data or {}).get("value") or ""
        short = not asset.data.len or len(value) <= asset.data.len
        return None if value and short else f"{name}: data missing or too long"
    if asset.img is not None:
        img = part.img or {}
        shown = Picture(img.get("url") or "", img.get("w") or 0, img.get("h") or 0)
        fits = shown.url and picture_fits(asset.img, shown)
        return None if fits else f"{name}: img missing or of another size"
    return None if (part.video or {}).get("vasttag") else f"{name}: vasttag missing"
