"""The demo's shops: they load without a word, and their ads stand on their own feet."""

import re
from html.parser import HTMLParser

import pytest

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.index import Index
from bidder.campaigns.load import load
from bidder.campaigns.model import Advertiser, Creative
from bidder.campaigns.rates import load_rates

LOADED = load(demo_book_path(), load_rates())
SHOPS = LOADED.book.advertisers
SIZES = {(300, 250), (728, 90), (320, 50), (970, 250), (160, 600), (300, 600), (320, 480)}
BANNERS = [
    pytest.param(shop, creative, id=creative.id)
    for shop in SHOPS
    for creative in shop.creatives
    if creative.kind == "html"
]
VOID = {"img", "br", "hr", "input", "link", "meta", "source"}
FETCHING = {"src", "srcset", "data", "poster", "background", "xlink:href", "action", "formaction", "style"}
"""Attributes by which a page loads something by itself; `href` does so only on other elements than `a`."""
OF_SHOPS = pytest.mark.parametrize("shop", SHOPS, ids=[shop.id for shop in SHOPS])


class Page(HTMLParser):
    """What a banner's markup holds; fails on tags that do not balance."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[dict[str, str]] = []
        self.fetched: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), "an attribute stands twice"
        if tag == "a":
            assert "a" not in self.open, "a link inside a link"
            self.links.append(given)
        for name, value in given.items():
            if name in FETCHING or (name == "href" and tag != "a"):
                self.fetched.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes what is not open"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_no_problems_and_no_advice() -> None:
    """Three shops load and compile without anything to tell."""
    assert LOADED.advice == ()
    assert [shop.id for shop in SHOPS] == ["fernhill", "solepath", "voltaro"]
    lines = sum(len(campaign.line_items) for shop in SHOPS for campaign in shop.campaigns)
    assert len(Index(LOADED.book, load_rates()).lines) == lines


def test_each_shop_has_its_own_currency_and_reserved_domain() -> None:
    """Currencies differ, so that conversion is always at work; the domains can never be anybody's."""
    assert len({shop.currency for shop in SHOPS}) == len(SHOPS) == 3
    assert all(shop.domain.endswith(".example") for shop in SHOPS)
    assert all(shop.transparency for shop in SHOPS)


@OF_SHOPS
def test_all_kinds_and_sizes(shop: Advertiser) -> None:
    """Each shop has creatives of every kind, banners of HTML and of products in all sizes, and line items of every
    goal and for deals."""
    assert {creative.kind for creative in shop.creatives} == {
        "image",
        "html",
        "iframe",
        "native",
        "video",
        "audio",
        "products",
    }
    for kind in ("html", "products"):
        assert {(c.w, c.h) for c in shop.creatives if c.kind == kind} == SIZES
    items = [item for campaign in shop.campaigns for item in campaign.line_items]
    assert {item.goal.kind for item in items} == {"cpm", "cpc", "cpa"}
    assert any(item.deals for item in items)
    assert any(item.targeting.segments for item in items)
    assert any(item.targeting.segments is None for item in items)
    assert all(campaign.budget.total for campaign in shop.campaigns)


@OF_SHOPS
def test_all_addresses_are_the_shops_own(shop: Advertiser) -> None:
    """Whatever leads anywhere leads to the shop's domain, by https."""
    text = str(shop.creatives)
    hosts = set(re.findall(r"https?://[^/'\" ]+", text))
    assert hosts
    assert {
        host for host in hosts if not re.fullmatch(rf"https://([a-z]+\.)?{re.escape(shop.domain)}", host)
    } == set()


@pytest.mark.parametrize(("shop", "creative"), BANNERS)
def test_banners(shop: Advertiser, creative: Creative) -> None:
    """A banner is whole HTML in its own size, loads nothing but the impression beacon, runs no script, leads to the
    click URL, and says why it is shown."""
    assert creative.html is not None
    page = Page(creative.html)
    assert page.fetched.count("${IMPRESSION_URL}") == 1
    assert not [value for value in page.fetched if "//" in value or "url(" in value or "@import" in value]
    assert page.tags <= {
        "div",
        "a",
        "span",
        "b",
        "img",
        "svg",
        "path",
        "rect",
        "circle",
        "ellipse",
        "g",
        "line",
        "polygon",
    }
    assert f"width:{creative.w}px;height:{creative.h}px" in creative.html
    click, choices = page.links
    assert click["href"] == "${CLICK_URL}"
    assert choices["href"] == f"https://{shop.domain}/why-this-ad"
    assert choices["aria-label"] == "Why this ad?"
    assert all(link["target"] == "_blank" and "noopener" in link["rel"] for link in page.links)
    assert "".join(page.texts).strip()
    assert "on" not in {name[:2] for link in page.links for name in link}


@pytest.mark.parametrize(("shop", "creative"), BANNERS)
def test_banners_use_known_macros_alone(shop: Advertiser, creative: Creative) -> None:
    """Nothing but the two URLs is to be filled in."""
    assert creative.html is not None
    assert set(re.findall(r"\$\{[^}]*\}?", creative.html)) == {"${CLICK_URL}", "${IMPRESSION_URL}"}


@OF_SHOPS
def test_media_files_come_in_what_players_take(shop: Advertiser) -> None:
    """Films in MP4 and WebM, spots in MP3 and MP4: one that every exchange's player takes."""
    for creative in shop.creatives:
        kinds = {file.mime for file in creative.media_files}
        if creative.kind == "video":
            assert kinds >= {"video/mp4", "video/webm"}
        elif creative.kind == "audio":
            assert kinds >= {"audio/mpeg", "audio/mp4"}


def test_money_time_and_patience_are_bounded() -> None:
    """Every campaign has a budget, every shop a time zone of its own and capped retargeting; each kind of pacing, caps
    of campaigns, line items and creatives, visitors, a budget by the hour and one guaranteed deal are there."""
    campaigns = [campaign for shop in SHOPS for campaign in shop.campaigns]
    items = [item for campaign in campaigns for item in campaign.line_items]
    assert len({shop.time_zone for shop in SHOPS}) == len(SHOPS)
    assert {item.pacing or campaign.pacing for campaign in campaigns for item in campaign.line_items} == {
        "even",
        "traffic",
        "asap",
        "front_loaded",
    }
    assert any(item.budget.hourly for item in items)
    assert sum(item.deals is not None and item.deals.guaranteed for item in items) == 1
    assert any(campaign.frequency for campaign in campaigns)
    assert all(any(creative.frequency for creative in shop.creatives) for shop in SHOPS)
    assert any(item.frequency is not None and item.frequency.visitors for item in items)
    wanted = [item for item in items if item.targeting.segments and item.targeting.segments.any]
    lines = {line.id: line for line in Index(LOADED.book, load_rates()).lines}
    assert all(lines[item.id].capped for item in wanted)
