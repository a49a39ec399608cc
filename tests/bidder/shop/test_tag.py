"""The tag as it is served: small, for our vendor id, cached, and the same under its version."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bidder.shop.tag import MAX_BYTES, snippet, tag
from tests.bidder.privacy.signals import VENDOR
from tests.bidder.shop.support import AMERICA, EUROPE, Stand


def test_it_is_small_and_runs_under_strict_policies() -> None:
    """Below MAX_BYTES with the longest vendor id, plain ASCII, without eval, without a place to write HTML."""
    body = tag(65_535).body
    assert len(body) < MAX_BYTES
    text = body.decode("ascii")
    assert "VENDOR = 65535," in text
    assert not [
        word
        for word in ("eval(", "Function(", "innerHTML", "document.write", "insertAdjacent")
        if word in text
    ]


@pytest.mark.parametrize("path", ["/tag.js", "/tag-1.js"])
async def test_it_is_served_with_its_etag(stand: Stand, path: str) -> None:
    """As a script, cached for an hour and asked for again by its tag; readable by pages that pin it, without
    credentials; HEAD the same."""
    reply = await stand.call(path)
    assert (reply.status, reply.body) == (200, tag(VENDOR).body)
    assert reply.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert reply.headers["Cache-Control"] == "public, max-age=3600"
    assert reply.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in reply.headers
    again = await stand.call(path, headers={"If-None-Match": reply.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    head = await stand.call(path, "HEAD")
    assert (head.status, head.headers["ETag"]) == (200, reply.headers["ETag"])


def test_another_vendor_is_another_tag() -> None:
    """So that no cache mixes them up."""
    assert tag(1).etag != tag(2).etag


def test_its_lines_of_html_escape_what_stands_in_it() -> None:
    """An address and an id of any shape stay inside their attributes; the law is said where it is known."""
    comment, stub, line = snippet('https://ads.example/"><script>', EUROPE).splitlines()
    assert (comment[:4], comment[4:].find("--"), comment[-3:]) == ("<!--", len(comment) - 7, "-->")
    assert stub.startswith("<script>")
    assert stub.count("<") == 2
    assert line.count("<script") == 1
    assert 'data-advertiser="boots"' in line
    assert "data-gdpr" not in line
    assert 'data-gdpr="0"' in snippet("https://ads.example", AMERICA)
    assert "data-gdpr" not in snippet("https://ads.example", replace(AMERICA, country=""))
