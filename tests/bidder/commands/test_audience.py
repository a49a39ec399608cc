"""`paceline audience sizes`, and the segments that `paceline campaigns list` shows."""

from __future__ import annotations

import asyncio
import json
import os
import time
from decimal import Decimal
from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.audience.known import Seen, ShopRules
from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.load import load_book
from bidder.campaigns.model import EventRule
from bidder.commands.audience import rule_words
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores.embedded import free_port
from bidder.stores.people_writer import open_client
from bidder.stores.visitors import VisitorStore
from tests.bidder.campaigns.written import BOOK, change, write
from tests.servers import RealServer

SEGMENTS = """\
    currency: EUR
    segments:
      - {id: carts, when: [{event: cart, within: 7d}], unless: [{event: purchase}], keep: 5d}
      - {id: buyers, when: [{event: purchase}]}
"""
TEXT = change(
    "targeting: {}",
    "targeting: {segments: {any: [carts], none: [buyers]}}",
    change("    currency: EUR\n", SEGMENTS),
)


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("PACELINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(write(tmp_path, TEXT)))


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command in this process: exit code, stdout, stderr."""
    status = main([*map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


async def _fill(url: str, book: Path) -> None:
    client = open_client(Stores(redis_url=url))
    rules = compile_rules(load_book(book).advertisers[0])
    store, now_s = VisitorStore(client, Tally()), int(time.time())
    for n in range(3):
        visit = Seen(Visit(EventKind.CART, now_s, event=1))
        await store.observe(n.to_bytes(16, "big"), ShopRules("shop", rules), [visit], now_s)
    await client.aclose()


def test_sizes(capsys: pytest.CaptureFixture[str], redis_server: RealServer, tmp_path: Path) -> None:
    """Of the service that runs here: each segment with its people, its line items and its rules."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "redis.url").write_text(redis_server.url)
    asyncio.run(_fill(redis_server.url, tmp_path / "book.yaml"))
    status, out, err = told(capsys, "audience", "sizes")
    assert (status, err) == (0, "")
    assert out.split()[:8] == ["ADVERTISER", "SEGMENT", "PEOPLE", "LINE", "ITEMS", "WHEN", "UNLESS", "KEEP"]
    carts, buyers = (line.split() for line in out.splitlines()[1:])
    assert carts == ["shop", "carts", "3", "1", "cart", "within", "7d", "purchase", "within", "30d", "5d"]
    assert buyers == ["shop", "buyers", "0", "1", "purchase", "within", "30d", "-", "30d"]
    assert told(capsys, "audience", "sizes", "shop") == (0, out, "")
    status, out, err = told(capsys, "audience", "sizes", "--json")
    assert json.loads(out) == {"shop": {"carts": 3, "buyers": 0}}


def test_a_configured_store_is_asked(
    capsys: pytest.CaptureFixture[str], redis_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PACELINE_REDIS_URL goes before what runs in the data directory."""
    monkeypatch.setenv("PACELINE_REDIS_URL", redis_server.url)
    status, out, _ = told(capsys, "audience", "sizes", "shop", "--json")
    assert (status, json.loads(out)) == (0, {"shop": {"carts": 0, "buyers": 0}})


def test_who_defines_nothing(
    capsys: pytest.CaptureFixture[str],
    redis_server: RealServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Without segments there is a line that says so."""
    monkeypatch.setenv("PACELINE_REDIS_URL", redis_server.url)
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(write(tmp_path, BOOK, "plain.yaml")))
    assert told(capsys, "audience", "sizes") == (0, "no segments are defined\n", "")


@pytest.mark.parametrize(
    ("arguments", "url", "words"),
    [
        ((), "", "no people: no service runs in"),
        ((), f"redis://:secret@127.0.0.1:{free_port()}", "cannot be reached"),
        ((), "http://127.0.0.1", "the people's address: "),
        (("other",), "", "no campaign file names other; known: shop"),
    ],
    ids=["no service", "nobody answers", "no address", "no advertiser"],
)
def test_what_cannot_be_told(
    arguments: tuple[str, ...],
    url: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line on stderr, exit code 1, no password."""
    if url:
        monkeypatch.setenv("PACELINE_REDIS_URL", url)
    status, out, err = told(capsys, "audience", "sizes", *arguments)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert words in err
    assert "secret" not in err


def test_a_book_with_mistakes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The mistakes are told, as when campaigns are checked."""
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(write(tmp_path, change("w: 300", "w: wide"))))
    status, _, err = told(capsys, "audience", "sizes")
    assert status == 1
    assert "creatives[0].w: expected a whole number" in err


def test_campaigns_list_shows_segments(capsys: pytest.CaptureFixture[str]) -> None:
    """Behind the line items, each with its rules."""
    status, out, _ = told(capsys, "campaigns", "list")
    _, segments = out.split("\n\n")
    assert status == 0
    assert [line.split() for line in segments.splitlines()[1:]] == [
        ["shop", "carts", "1", "cart", "within", "7d", "purchase", "within", "30d", "5d"],
        ["shop", "buyers", "1", "purchase", "within", "30d", "-", "30d"],
    ]


def test_rules_in_words() -> None:
    """How often, what, of what, when and worth how much; long lists are cut."""
    many = tuple("abcde")
    assert rule_words(EventRule(event="cart")) == "cart within 30d"
    assert rule_words(EventRule(event="custom", custom="quiz", at_least=2)) == "2 quiz within 30d"
    rule = EventRule(event="cart", categories=many, products=("x",), within="1d", min_value=Decimal(5))
    assert rule_words(rule) == "cart of a, b, c and 2 more of x within 1d, worth 5"
