"""Supply chains against what publishers and exchanges say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bidder.fraud import supply
from bidder.fraud.sellers import AdsTxt, Sellers, read_ads_txt, read_sellers_json
from bidder.fraud.supply import SCHAIN, SELLER, Supply, read_folder
from tests.bidder.fraud.support import context, judged, screen

DOMAINS = {"xandr": "appnexus.com", "google": "google.com"}


def _ads(text: str) -> AdsTxt:
    read = read_ads_txt(text.encode())
    assert read is not None
    return read


def _sellers(*entries: dict[str, Any]) -> Sellers:
    read = read_sellers_json(json.dumps({"sellers": entries}).encode())
    assert read is not None
    return read


ADS = {
    "news.example": _ads("owner.example, 1, DIRECT\nappnexus.com, 456, RESELLER\nsubdomain=own.news.example")
}
APP_ADS = {"maker.example": _ads("owner.example, 1, DIRECT")}
SELLERS = {
    "owner.example": _sellers({"seller_id": "1"}, {"seller_id": "x", "domain": "middle.example"}),
    "middle.example": _sellers({"seller_id": "m1"}),
}
SUBJECT = Supply(ADS, APP_ADS, SELLERS, DOMAINS)


def _judge(nodes: list[dict[str, Any]] | None, exchange: str = "generic", **changes: Any) -> int:
    chain = {"complete": changes.pop("complete", 1), "ver": "1.0", "nodes": nodes}
    if nodes is not None:
        changes["source"] = {"schain": chain}
    return SUBJECT.judge(context(exchange, **changes)[0])


OWNER = {"asi": "owner.example", "sid": "1", "hp": 1}


def test_sound_chains() -> None:
    """Chains whose sellers the publisher or their exchanges name are sound."""
    assert _judge([OWNER]) == 0
    assert _judge([OWNER, {"asi": "AppNexus.com", "sid": "456"}], "xandr") == 0
    assert _judge([OWNER, {"asi": "middle.example", "sid": "m1", "hp": 1}]) == 0
    assert (
        _judge([OWNER, {"asi": "unheard-of.example", "sid": "9"}], site={"domain": "unheard-of.example"}) == 0
    )


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [{"asi": "owner.example"}],
        [{"sid": "1"}],
        [{"asi": "owner.example", "sid": "1", "hp": 0}],
        [{"asi": "owner.example", "sid": "1", "hp": 7}],
    ],
)
def test_impossible_chains(nodes: list[dict[str, Any]]) -> None:
    """A chain of nobody, nodes without a name and payments that go nowhere cannot be."""
    assert _judge(nodes) & SCHAIN


def test_incomplete() -> None:
    """A chain that is not complete is told; its first node need not be the owner's."""
    assert _judge([{"asi": "stranger.example", "sid": "9"}], complete=0) == SCHAIN


def test_the_last_node_sent_it() -> None:
    """The last node of a chain is the exchange itself, where it is known what that is called."""
    assert _judge([OWNER], "xandr") == SCHAIN
    assert _judge([OWNER, {"asi": "appnexus.com", "sid": "456", "hp": 1}], "xandr") == 0


def test_strangers() -> None:
    """An owner, or a reseller, whom nobody names is not authorised."""
    assert _judge([{"asi": "owner.example", "sid": "2"}]) == SELLER
    assert _judge([{"asi": "stranger.example", "sid": "1"}]) == SELLER
    assert (
        _judge([OWNER, {"asi": "middle.example", "sid": "x9"}]) == 0
    )  # the one before it resells through it
    assert _judge([OWNER, {"asi": "stranger.example", "sid": "9"}]) == SELLER


def test_without_a_chain() -> None:
    """Then the exchange sells itself, under the publisher's id."""
    assert _judge(None, "xandr", site={"publisher": {"id": "456"}}) == 0
    assert _judge(None, "xandr", site={"publisher": {"id": "457"}}) == SELLER
    assert _judge(None, "generic", site={"publisher": {"id": "457"}}) == 0
    assert _judge(None, "xandr", site={"publisher": None}) == 0


def test_unknown_is_neutral() -> None:
    """Who has no file that we know, and what is neither site nor app, is believed."""
    elsewhere = {"domain": "other.example"}
    assert _judge([{"asi": "stranger.example", "sid": "1"}], site=elsewhere) == 0
    assert _judge(None, "xandr", site=elsewhere) == 0
    assert _judge([{"asi": "stranger.example", "sid": "1"}], site=None, dooh={"id": "1"}) == 0
    assert Supply({}, {}, {}, DOMAINS).judge(context("xandr")[0]) == 0


def test_hosts_below() -> None:
    """A host below a domain is spoken for by it, unless it says that the host has a file of its own."""
    stranger = [{"asi": "stranger.example", "sid": "1"}]
    assert _judge(stranger, site={"domain": "sport.news.example"}) == SELLER
    assert _judge(stranger, site={"domain": "own.news.example"}) == 0


def test_apps() -> None:
    """Apps are spoken for by the app-ads.txt of their developer, never by an ads.txt."""
    stranger = [{"asi": "stranger.example", "sid": "1"}]
    app = {"bundle": "com.maker.game", "domain": "maker.example"}
    assert _judge(stranger, site=None, app=app) == SELLER
    assert _judge([OWNER], site=None, app=app) == 0
    assert _judge(stranger, site=None, app=app | {"domain": "news.example"}) == 0


def test_folder(tmp_path: Path) -> None:
    """Cached files are known by their names; what is not what its name says is counted and passed over."""
    (tmp_path / "news.example.ads.txt").write_text("owner.example, 1, DIRECT")
    (tmp_path / "maker.example.app-ads.txt").write_text("owner.example, 1, DIRECT")
    (tmp_path / "owner.example.sellers.json").write_text('{"sellers": []}')
    (tmp_path / "page.example.ads.txt").write_text("<html>")
    (tmp_path / "no domain.ads.txt").write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "gone.example.ads.txt.absent").write_text("")
    read = read_folder(tmp_path, DOMAINS)
    assert (read.ads, read.sellers, read.problems) == (2, 1, 2)
    made, _ = context(source={"schain": {"complete": 1, "nodes": [{"asi": "x.example", "sid": "1"}]}})
    assert read.supply.judge(made) == SELLER
    assert read_folder(tmp_path / "absent", DOMAINS).ads == 0


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more files are kept than the limit says."""
    monkeypatch.setattr(supply, "MAX_FILES", 2)
    for number in range(5):
        (tmp_path / f"n{number}.example.ads.txt").write_text("")
    read = read_folder(tmp_path, DOMAINS)
    assert (read.ads, read.problems) == (2, 3)


def test_the_screen_asks() -> None:
    """A screen with a chain's judge passes its reasons on."""
    subject = screen()
    subject.chain = SUBJECT
    chain = {"complete": 1, "nodes": [{"asi": "stranger.example", "sid": "1"}]}
    assert judged(subject, source={"schain": chain}) == SELLER
    assert judged(subject, source={"ext": {"schain": chain}}) == SELLER
