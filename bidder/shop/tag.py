"""The tag that shops put into their pages: `tag.js`, for our id on the Global Vendor List.

Place: web/shop serves it; `paceline shop tag` prints the lines that load it.
Shapes: `/tag.js` is the newest, `/tag-1.js` stays as it behaves: VERSION is of what a shop may rely on.
Limits: MAX_BYTES as served; it reads no file of another host, and runs under a policy that names our host in
    script-src, connect-src and img-src.
"""

from hashlib import sha256
from html import escape
from importlib import resources
from typing import Final

from msgspec import Struct

from bidder.campaigns.model import Advertiser
from bidder.privacy.regimes import PRESUMED

VERSION: Final = 1
MAX_BYTES: Final = 6_656
"""6.5 KB before compression, comments included: the last half KB is data-debug, by which a shop sees its mistakes."""
_VENDOR: Final = "VENDOR = 0,"
_WAITING: Final = (
    "<!-- Keeps calls of paceline(...) until the tag is there. Where a policy forbids inline scripts leave the next"
    " line out: data-event attributes of the tag tell an event without one. -->\n"
    "<script>window.paceline=window.paceline||function(){(paceline.q=paceline.q||[]).push(arguments)}</script>"
)


class Tag(Struct, frozen=True):
    """The script as it is served."""

    body: bytes
    etag: str
    """With its quotation marks."""


def tag(vendor_id: int) -> Tag:
    """The script for a vendor id; 0: not registered, so no consent of the TCF lets it make an id."""
    text = resources.files("bidder.shop").joinpath("tag.js").read_text(encoding="utf-8")
    assert text.count(_VENDOR) == 1, "the vendor's number stands in tag.js once"
    body = text.replace(_VENDOR, f"VENDOR = {vendor_id:d},").encode()
    return Tag(body, f'"{sha256(body).hexdigest()[:24]}"')


def snippet(base_url: str, advertiser: Advertiser) -> str:
    """The lines of HTML that load it: a comment, what keeps calls until then, the tag."""
    law = ' data-gdpr="0"' if advertiser.country and advertiser.country not in PRESUMED else ""
    source = f"{base_url.rstrip('/')}/tag.js"
    loader = f'<script async src="{escape(source)}" data-advertiser="{escape(advertiser.id)}"{law}></script>'
    return f"{_WAITING}\n{loader}"
