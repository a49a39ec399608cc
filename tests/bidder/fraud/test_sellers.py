"""ads.txt, app-ads.txt and sellers.json as the world writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.fraud import sellers
from bidder.fraud.sellers import is_domain, read_ads_txt, read_sellers_json

ADS = b"""\xef\xbb\xbf# ads.txt of news.example
Google.com , pub-123 , direct , f08c47fec0942fa0 # comment
appnexus.com,456,RESELLER\r
appnexus.com, 456, DIRECT
rubiconproject.com, 789, RESELLER, abc;ext=1

subdomain=sport.news.example
OWNERDOMAIN=News.example
contact=mailto:ads@news.example
not a line
openx.com, 1, PARTNER
192.0.2.1, 5, DIRECT
exchange, 5, DIRECT
"""


def test_ads_txt() -> None:
    """Records and variables are read through case, blanks, comments, extensions and a byte order mark; the first word
    on a seller counts, and lines that are none are counted."""
    read = read_ads_txt(ADS)
    assert read is not None
    assert read.sellers == {
        ("google.com", "pub-123"): "DIRECT",
        ("appnexus.com", "456"): "RESELLER",
        ("rubiconproject.com", "789"): "RESELLER",
    }
    assert read.variables["subdomain"] == ("sport.news.example",)
    assert read.variables["ownerdomain"] == ("news.example",)
    assert read.bad_lines == 4


def test_nobody_is_authorised() -> None:
    """The standard's placeholder authorises nobody; an empty file, too."""
    for data in (b"placeholder.example.com, placeholder, DIRECT, placeholder", b"", b"# nothing\n"):
        read = read_ads_txt(data)
        assert read is not None
        assert (read.sellers, read.bad_lines) == ({}, 0)


@pytest.mark.parametrize(
    "data",
    [b"<!DOCTYPE html><p>404", b"  \n<html>", b"a.example, 1, DIRECT\0", b"x" * (sellers.MAX_BYTES + 1)],
)
def test_no_ads_txt(data: bytes) -> None:
    """Web pages, binaries and what is too large are no files of sellers."""
    assert read_ads_txt(data) is None


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more lines, no longer lines and no longer ids are read than the limits say."""
    monkeypatch.setattr(sellers, "MAX_LINES", 3)
    read = read_ads_txt(b"\n".join(b"a%d.example, 1, DIRECT" % number for number in range(9)))
    assert read is not None
    assert (len(read.sellers), read.bad_lines) == (3, 1)
    monkeypatch.setattr(sellers, "MAX_LINES", 20_000)
    long_line, long_id = (
        b"a.example, 1, DIRECT" + b" " * 2_000 + b"x",
        b"b.example, " + b"9" * 300 + b", DIRECT",
    )
    read = read_ads_txt(long_line + b"\n" + long_id)
    assert read is not None
    assert (read.sellers, read.bad_lines) == ({}, 2)


def test_sellers_json() -> None:
    """Sellers are known by their ids, numbers too; entries that are none are counted."""
    entries: list[Any] = [
        {"seller_id": "1", "seller_type": "publisher", "domain": "News.example"},
        {"seller_id": 22, "seller_type": "INTERMEDIARY", "domain": "reseller.example"},
        {"seller_id": "3", "is_confidential": 1},
        {"seller_id": "4", "seller_type": "ROBOT", "domain": "not a domain"},
        {"name": "nobody"},
        "what",
    ]
    read = read_sellers_json(json.dumps({"version": "1.0", "sellers": entries}).encode())
    assert read is not None
    assert {name: (seller.kind, seller.domain) for name, seller in read.by_id.items()} == {
        "1": ("PUBLISHER", "news.example"),
        "22": ("INTERMEDIARY", "reseller.example"),
        "3": ("", ""),
        "4": ("", ""),
    }
    assert (read.domains, read.bad_entries) == ({"news.example", "reseller.example"}, 2)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"sellers": 1}', b"<html>", b'{"sellers": [' + b"[" * 5_000]
)
def test_no_sellers_json(data: bytes) -> None:
    """What is no such object is none."""
    assert read_sellers_json(data) is None


def test_sellers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more entries are kept than the limit says, and a file above its limit is not read."""
    data = json.dumps({"sellers": [{"seller_id": str(number)} for number in range(9)]}).encode()
    monkeypatch.setattr(sellers, "MAX_SELLERS", 4)
    read = read_sellers_json(data)
    assert read is not None
    assert (len(read.by_id), read.bad_entries) == (4, 5)
    monkeypatch.setattr(sellers, "MAX_SELLERS_BYTES", 10)
    assert read_sellers_json(data) is None


@given(
    st.one_of(st.binary(max_size=400), st.text(alphabet="ab.,=#;\r\n DIRECT", max_size=400).map(str.encode))
)
def test_fuzzed(data: bytes) -> None:
    """Nothing that stands in a file raises."""
    read_ads_txt(data)
    read_sellers_json(data)
    read_sellers_json(b'{"sellers": [' + data + b"]}")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("news.example", True),
        ("a.b-c.co.uk", True),
        ("xn--bcher-kva.example", True),
        ("localhost", False),
        ("127.0.0.1", False),
        ("News.example", False),
        ("news.example/", False),
        ("news.example\n", False),
        ("-a.example", False),
        ("a..example", False),
        ("../etc/passwd", False),
        ("user@news.example", False),
        ("news.example:8080", False),
        ("x" * 250 + ".example", False),
    ],
)
def test_domains(text: str, is_one: bool) -> None:
    """Host names in lower case, nothing that leads elsewhere: they become addresses and names of files."""
    assert is_domain(text) is is_one
