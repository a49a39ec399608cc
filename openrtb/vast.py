"""VAST: the markup of a video or audio ad, inline, of versions 2.0 to 4.2.

Place: a Template is made once per creative and version; `choose_media` and `render` run once per bid.
Shapes: `render` gives the text for `bid.adm`, with the exchange's macros in its URLs left for the exchange.
Units: durations in milliseconds (`duration_ms`) or whole seconds (OpenRTB), bitrates in kilobits per second.
Source: IAB VAST 2.0.1, 3.0, 4.0, 4.1 and 4.2 (their schemas fix the order of elements); OpenRTB 2.6 sections
    3.2.7 and 3.2.8; AdCOM lists "Creative Subtypes - Audio/Video" and "Delivery Methods".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct

from openrtb.enums import Delivery, Protocol
from openrtb.media import Audio, Video

INLINE: Final = {
    int(Protocol.VAST_4_2): "4.2",
    int(Protocol.VAST_4_1): "4.1",
    int(Protocol.VAST_4_0): "4.0",
    int(Protocol.VAST_3_0): "3.0",
    int(Protocol.VAST_2_0): "2.0",
}
"""Protocol codes of inline VAST that we write, best first; 4.3 has no schema to check against."""
DEFAULT_PROTOCOL: Final = int(Protocol.VAST_3_0)
"""For a slot that lists no protocols: VAST 3.0 is what every player in the field reads."""
ERROR_CODE: Final = "%5BERRORCODE%5D"
"""The macro for an error URL: players replace it bare or encoded, the schemas accept it encoded alone."""
EVENTS: Final = ("start", "firstQuartile", "midpoint", "thirdQuartile", "complete")

_STREAMING: Final = int(Delivery.STREAMING)
_PROGRESSIVE: Final = frozenset((int(Delivery.PROGRESSIVE), int(Delivery.DOWNLOAD)))
_SHAPE_TOLERANCE: Final = 0.03  # 640x360 and 854x480 are one shape to every player
_ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class MediaFile(Struct, frozen=True, gc=False):
    """One file of a creative; audio files have width and height 0."""

    url: str
    mime: str
    width: int = 0
    height: int = 0
    bitrate_kbps: int = 0
    streaming: bool = False
    codec: str = ""
    api_framework: str = ""


class Icon(Struct, frozen=True, gc=False):
    """The AdChoices icon, in a corner of the picture."""

    url: str
    mime: str
    width: int
    height: int
    click_url: str
    program: str = "AdChoices"


class VastCreative(Struct, frozen=True, gc=False):
    """A video or audio creative: everything that no bid changes."""

    id: str
    title: str
    duration_ms: int
    media: tuple[MediaFile, ...]
    advertiser: str = ""
    description: str = ""
    ad_system: str = "Paceline"
    universal_ad_id: str = ""  # empty: its registry is "unknown", as VAST 4 prescribes
    universal_registry: str = "ad-id.org"
    categories: tuple[str, ...] = ()
    category_authority: str = "https://iabtechlab.com"
    skip_offset_ms: int | None = None
    icon: Icon | None = None

    @property
    def audio(self) -> bool:
        """Whether every file is sound alone."""
        return all(file.mime.startswith("audio/") for file in self.media)


class VastUrls(Struct, frozen=True, gc=False):
    """The URLs of one bid; the name of a tracked event is put behind `tracking_base`."""

    impression: str
    click: str
    tracking_base: str
    error: str = ""
    click_tracking: str = ""


def choose_protocol(protocols: Iterable[int] | None) -> int | None:
    """Return the best protocol code that a slot accepts and we write; None if there is none."""
    offered = tuple(protocols or ())
    if not offered:
        return DEFAULT_PROTOCOL
    return next((code for code in INLINE if code in offered), None)


def duration_fits(duration_ms: int, slot: Video | Audio) -> bool:
    """Whether a creative's length is allowed: one of `rqddurs`, or from minduration to maxduration.

    `maxextended` lengthens the maximum by that many seconds, or without end if it is -1.
    """
    seconds = -(-duration_ms // 1000)
    if slot.rqddurs:
        return seconds in slot.rqddurs
    if slot.minduration and duration_ms < 1000 * slot.minduration:
        return False
    if not slot.maxduration or slot.maxextended == -1:
        return True
    return duration_ms <= 1000 * (slot.maxduration + max(slot.maxextended or 0, 0))


def choose_media(files: Sequence[MediaFile], slot: Video | Audio) -> tuple[MediaFile, ...]:
    """Return the files that a slot can play, the one nearest to its size first; empty if there is none."""
    mimes = slot.mimes
    if not mimes:
        return ()
    playable = [file for file in files if file.mime in mimes and _deliverable(file, slot)]
    if not isinstance(slot, Video):
        return tuple(playable)
    w, h = slot.w or 0, slot.h or 0
    if slot.boxingallowed is not None and not slot.boxingallowed and w and h:
        playable = [file for file in playable if _same_shape(file, w, h)]
    if w and len(playable) > 1:
        playable.sort(key=lambda file: (abs(file.width - w), -file.bitrate_kbps))
    return tuple(playable)


def _deliverable(file: MediaFile, slot: Video | Audio) -> bool:
    """Whether bitrate (unknown passes), delivery and framework of a file are allowed."""
    rate = file.bitrate_kbps
    if rate and slot.minbitrate and rate < slot.minbitrate:
        return False
    if rate and slot.maxbitrate and rate > slot.maxbitrate:
        return False
    if not slot.delivery:
        return True
    return _STREAMING in slot.delivery if file.streaming else not _PROGRESSIVE.isdisjoint(slot.delivery)


def _same_shape(file: MediaFile, w: int, h: int) -> bool:
    return abs(file.width * h - w * file.height) <= _SHAPE_TOLERANCE * w * file.height


class Template:
    """A creative in one version of VAST: its text is built once, a bid fills in URLs and files."""

    __slots__ = ("_all", "_files", "_frame", "version")

    def __init__(self, creative: VastCreative, version: str = "4.2") -> None:
        """Build the text around the gaps; raises ValueError for a version that is not written."""
        if version not in INLINE.values():
            raise ValueError(f"VAST {version} is not written; there are {', '.join(INLINE.values())}")
        self.version = version
        self._files = {file: _media_file(file, version) for file in creative.media}
        self._all = "".join(self._files.values())
        text = _document(creative, version)
        self._frame = _GAP.sub(r"%(\1)s", text.replace("%", "%%"))

    def render(self, urls: VastUrls, serving_id: str, media: Sequence[MediaFile] | None = None) -> str:
        """Return the VAST of one bid with the files of `media` (None: all of the creative's).

        `serving_id` names this one impression, the same for us and for the player (VAST 4.1).
        """
        files = self._files
        tracking = urls.click_tracking
        return self._frame % {
            "error": f"<Error><![CDATA[{_safe(urls.error)}]]></Error>" if urls.error else "",
            "impression": _safe(urls.impression),
            "serving": _plain(serving_id),
            "base": _safe(urls.tracking_base),
            "click": _safe(urls.click),
            "clicks": f"<ClickTracking><![CDATA[{_safe(tracking)}]]></ClickTracking>" if tracking else "",
            "files": self._all if media is None else "".join([files[file] for file in media]),
        }


# Gaps are marked with characters that XML forbids, so that no text of a creative can look like one.
_GAP: Final = re.compile("\x01([a-z]+)\x02")
_ERROR: Final = "\x01error\x02"
_IMPRESSION: Final = "<Impression><![CDATA[\x01impression\x02]]></Impression>"
_CLICK_THROUGH: Final = "<ClickThrough><![CDATA[\x01click\x02]]></ClickThrough>"
_CLICKS: Final = "\x01clicks\x02"
_FILES: Final = "<MediaFiles>\x01files\x02</MediaFiles>"
_TRACKING: Final = (
    "<TrackingEvents>"
    + "".join(f'<Tracking event="{event}"><![CDATA[\x01base\x02{event}]]></Tracking>' for event in EVENTS)
    + "</TrackingEvents>"
)


def _safe(url: str) -> str:
    """Return text that may stand inside CDATA: nothing illegal, the end mark split over two sections."""
    if url.isprintable() and "]]>" not in url:  # every URL that we make; nothing printable is illegal
        return url
    return _ILLEGAL.sub("", url).replace("]]>", "]]]]><![CDATA[>")


def _plain(text: str) -> str:
    """Return text that may stand between tags."""
    if text.isalnum():
        return text
    return escape(_ILLEGAL.sub("", text))


def _attribute(value: str) -> str:
    """Return a value as a quoted attribute."""
    return quoteattr(_ILLEGAL.sub("", value))


def _element(name: str, text: str, attributes: str = "") -> str:
    """Return an element with text, or "" where there is no text."""
    return f"<{name}{attributes}>{_plain(text)}</{name}>" if text else ""


def _clock(milliseconds: int) -> str:
    """Return HH:MM:SS, with thousandths where they are not zero."""
    seconds, rest = divmod(milliseconds, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{rest:03}" if rest else text


def _media_file(file: MediaFile, version: str) -> str:
    attributes = (
        f' delivery="{"streaming" if file.streaming else "progressive"}" type={_attribute(file.mime)}'
        f' width="{file.width}" height="{file.height}"'
    )
    if file.bitrate_kbps:
        attributes += f' bitrate="{file.bitrate_kbps}"'
    if file.codec and version != "2.0":
        attributes += f" codec={_attribute(file.codec)}"
    if file.api_framework:
        attributes += f" apiFramework={_attribute(file.api_framework)}"
    return f"<MediaFile{attributes}><![CDATA[{_safe(file.url)}]]></MediaFile>"


def _document(creative: VastCreative, version: str) -> str:
    """Return the whole document with gaps; the schemas of 2.0/3.0 and of 4.x order elements differently."""
    modern = version >= "4"
    space = ' xmlns="http://www.iab.com/VAST"' if modern else ""
    kind = ' adType="audio"' if version >= "4.1" and creative.audio else ""
    body = _modern(creative, version) if modern else _classic(creative, version)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><VAST version="{version}"{space}>'
        f"<Ad id={_attribute(creative.id)}{kind}><InLine>{body}</InLine></Ad></VAST>"
    )


def _classic(creative: VastCreative, version: str) -> str:
    """Return what stands in InLine in 2.0 and 3.0."""
    newer = version != "2.0"
    skip = _skip(creative) if newer else ""
    icons = _icons(creative.icon) if newer else ""
    return (
        f"<AdSystem>{_plain(creative.ad_system)}</AdSystem><AdTitle>{_plain(creative.title)}</AdTitle>"
        f"{_element('Description', creative.description)}"
        f"{_element('Advertiser', creative.advertiser) if newer else ''}"
        f"{_ERROR}{_IMPRESSION}<Creatives><Creative id={_attribute(creative.id)}><Linear{skip}>{icons}"
        f"<Duration>{_clock(creative.duration_ms)}</Duration>{_TRACKING}"
        f"<VideoClicks>{_CLICK_THROUGH}{_CLICKS}</VideoClicks>{_FILES}</Linear></Creative></Creatives>"
    )


def _modern(creative: VastCreative, version: str) -> str:
    """Return what stands in InLine in 4.0, 4.1 and 4.2."""
    serving = "<AdServingId>\x01serving\x02</AdServingId>" if version != "4.0" else ""
    authority = f" authority={_attribute(creative.category_authority)}"
    categories = "".join(_element("Category", category, authority) for category in creative.categories)
    advertiser = _element("Advertiser", creative.advertiser)
    return (
        f"<AdSystem>{_plain(creative.ad_system)}</AdSystem>{_ERROR}{_IMPRESSION}{serving}"
        f"<AdTitle>{_plain(creative.title)}</AdTitle>{advertiser}{categories}"
        f"<Creatives><Creative id={_attribute(creative.id)}><Linear{_skip(creative)}>"
        f"{_icons(creative.icon)}{_TRACKING}<Duration>{_clock(creative.duration_ms)}</Duration>{_FILES}"
        f"<VideoClicks>{_CLICKS}{_CLICK_THROUGH}</VideoClicks></Linear>{_universal(creative, version)}"
        f"</Creative></Creatives>{_element('Description', creative.description)}"
    )


def _universal(creative: VastCreative, version: str) -> str:
    known = bool(creative.universal_ad_id)
    registry = _attribute(creative.universal_registry if known else "unknown")
    value = creative.universal_ad_id or "unknown"
    extra = f" idValue={_attribute(value)}" if version == "4.0" else ""
    return f"<UniversalAdId idRegistry={registry}{extra}>{_plain(value)}</UniversalAdId>"


def _skip(creative: VastCreative) -> str:
    offset = creative.skip_offset_ms
    return "" if offset is None else f' skipoffset="{_clock(offset)}"'


def _icons(icon: Icon | None) -> str:
    if icon is None:
        return ""
    return (
        f'<Icons><Icon program={_attribute(icon.program)} width="{icon.width}" height="{icon.height}"'
        f' xPosition="right" yPosition="top"><StaticResource creativeType={_attribute(icon.mime)}>'
        f"<![CDATA[{_safe(icon.url)}]]></StaticResource><IconClicks><IconClickThrough>"
        f"<![CDATA[{_safe(icon.click_url)}]]></IconClickThrough></IconClicks></Icon></Icons>"
    )
