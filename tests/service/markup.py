"""What a browser would make of an answer: the markup of a page, and headers that an attacker may have had a hand in."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urlsplit

from tests.service.bazaar import DOMAIN
from tests.service.raw import Said

PERSON: Final = "5d" * 16
SCRIPT: Final = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
FORM: Final = "Content-Type: application/x-www-form-urlencoded"
HEADERS: Final = {
    "access-control-allow-credentials", "access-control-allow-origin", "allow", "cache-control", "connection",
    "content-disposition", "content-language", "content-length", "content-security-policy", "content-type",
    "cross-origin-opener-policy", "cross-origin-resource-policy", "date", "etag", "location", "permissions-policy",
    "referrer-policy", "server", "set-cookie", "vary", "x-content-type-options", "x-frame-options",
}  # fmt: skip


class Markup(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def inert(self) -> None:
        """Nothing in it runs, and no address has a scheme but http."""
        assert not {"script", "iframe", "object", "embed", "base", "template", "math"} & set(self.tags)
        for name, value in self.attributes:
            assert not name.startswith("on"), (name, value)
            assert name not in ("srcdoc", "formaction", "background", "ping"), (name, value)
            if name in ("href", "src", "action"):
                assert urlsplit(value).scheme in ("", "http", "https", "mailto"), value
                assert "evil.example" not in urlsplit(value).netloc


def clean(answer: Said, where: Any) -> None:
    """Every header is one that we write, and none holds what the attacker wants there."""
    assert answer.status in (200, 204, 302, 303, 304, 400, 401, 403, 404, 405, 414), where
    names = {name for name, _ in answer.fields}
    assert names <= HEADERS, (where, names - HEADERS)
    for name, value in answer.fields:
        if name == "set-cookie":
            assert value.startswith("pl_"), where
            assert "evil" not in value, where
    location = answer.one("location")
    if location:
        parts = urlsplit(location)
        assert (parts.scheme, parts.netloc) in (("https", "market.example"), ("https", DOMAIN), ("", "")), (
            where
        )
        assert location.startswith(("https://", "/privacy?")), where
        assert location.isprintable(), where
        assert location.isascii(), where
