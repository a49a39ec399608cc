"""Native assets that are fetched when the ad is shown: what a slot asked for, in a URL, and the answer to it.

Place: `native_answer.markup` names the URL as `assetsurl` where the slot supports it; whoever answers it has never
    seen the request, so the URL says what was asked.
Shapes: asked text is one word per asset, joined by full stops: `1t90` a title of 90 characters, `2i3w300h250`
    an image of type 3 and exactly that size, `2i3W300H250` of at least that size, `4d6l25` data of type 6.
    The answer is a JSON object whose one member `assets` mirrors that of the bid.
Limits: MAX_ASSETS, MAX_ASKED characters; whatever is no such text is refused whole.
Source: OpenRTB Dynamic Native Ads 1.2, sections 5.1 to 5.6: of fetched assets, title.len, img.type, data.type and
    data.len are said again.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from openrtb.limits import MAX_ASSETS
from openrtb.native import ICON, LOGO, MAIN, Asset, DataText, Image, NativeRequest, Title
from openrtb.native_answer import NativeCreative, Picture, picture_fits, texts_of

MAX_ASKED: Final = 1_024
_WORD: Final = re.compile(
    r"(\d{1,9})(?:t(\d{1,4})|i(\d{1,4})(?:([wW])(\d{1,5}))?(?:([hH])(\d{1,5}))?|d(\d{1,4})(?:l(\d{1,4}))?)"
)
_ELLIPSIS: Final = "\u2026"
_encode: Final = msgspec.json.Encoder().encode


def asked_text(request: NativeRequest) -> str:
    """What a request asks for, without its videos; "" where it asks for too much to be told."""
    words = [word for asset in request.assets or () if (word := _word(asset))]
    text = ".".join(words)
    return text if len(text) <= MAX_ASKED else ""


def read_asked(text: str) -> tuple[Asset, ...] | None:
    """The assets that such a text asks for; None where it is none."""
    words = text.split(".") if 0 < len(text) <= MAX_ASKED and text.isascii() else []
    found = [_WORD.fullmatch(word) for word in words[: MAX_ASSETS + 1]]
    if not 0 < len(found) <= MAX_ASSETS:
        return None
    assets = [_asset(match) for match in found if match is not None]
    return tuple(assets) if len(assets) == len(found) else None


def assets_json(asked: Sequence[Asset], creative: NativeCreative, link_url: str) -> bytes:
    """The answer: every asset that the creative has; titles and pictures lead to `link_url`. A title is cut where it
    is too long, other texts are left out; a picture without a size is one whose size nobody knows."""
    parts: list[dict[str, Any]] = []
    link = {"url": link_url}
    for asset in asked:
        if asset.title is not None:
            limit = asset.title.len or 0
            text = cut_text(creative.title, limit)
            if text:
                parts.append({"id": asset.id, "title": {"text": text, "len": limit}, "link": link})
        elif asset.img is not None:
            picture = _picture(asset.img, creative)
            if picture is not None:
                size = {"w": picture.w, "h": picture.h} if picture.w else {}
                img = {"type": asset.img.type or MAIN, "url": picture.url, **size}
                parts.append({"id": asset.id, "img": img, "link": link})
        elif asset.data is not None:
            limit = asset.data.len or 0
            fitting = [t for t in texts_of(asset.data.type, creative) if t and (not limit or len(t) <= limit)]
            if fitting:
                data = {"type": asset.data.type, "value": fitting[0], "len": limit or len(fitting[0])}
                parts.append({"id": asset.id, "data": data})
    return _encode({"assets": parts})


def cut_text(text: str, limit: int) -> str:
    """A text of at most `limit` characters (0: any number), cut between words where there is one to cut at."""
    if not limit or len(text) <= limit:
        return text
    kept = text[: limit - 1]
    at = kept.rfind(" ")
    return (kept[:at] if at > limit // 2 else kept).rstrip(" ,;:-") + _ELLIPSIS if limit > 1 else ""


def _word(asset: Asset) -> str:
    if asset.title is not None:
        return f"{asset.id}t{asset.title.len or 0}"
    if asset.img is not None:
        img = asset.img
        wide = f"W{img.wmin}" if img.wmin else f"w{img.w}" if img.w else ""
        high = f"H{img.hmin}" if img.hmin else f"h{img.h}" if img.h else ""
        return f"{asset.id}i{img.type or 0}{wide}{high}"
    if asset.data is not None:
        return f"{asset.id}d{asset.data.type or 0}" + (f"l{asset.data.len}" if asset.data.len else "")
    return ""


def _asset(match: re.Match[str]) -> Asset:
    number, title, img, wide, w, high, h, data, length = match.groups()
    if title is not None:
        return Asset(int(number), title=Title(int(title)))
    if data is not None:
        return Asset(int(number), data=DataText(int(data), int(length) if length else None))
    width, height = int(w) if w else None, int(h) if h else None
    image = Image(
        type=int(img) or None,
        w=width if wide == "w" else None,
        wmin=width if wide == "W" else None,
        h=height if high == "h" else None,
        hmin=height if high == "H" else None,
    )
    return Asset(int(number), img=image)


def _picture(image: Image, creative: NativeCreative) -> Picture | None:
    if image.type == ICON:
        choice = creative.icons
    elif image.type == LOGO:
        choice = creative.logos or creative.icons
    else:
        choice = creative.mains
    return next((each for each in choice if not each.w or picture_fits(image, each)), None)
