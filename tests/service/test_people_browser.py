"""The story of a person in a real browser, against the real service: seen, recognised, shown, let go, forgotten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder.notices.token import NOBODY
from tests.bidder.supervisor.serving import until
from tests.browser import needs_browser
from tests.service.shop_site import FJELL, KRUS
from tests.service.story import BEST, Story, told
from tests.service.visitor import Visitor, somebody

PICTURES = os.environ.get("PEOPLE_PICTURES", "")
"""A folder for pictures of the pages; empty: none are kept."""

pytestmark = [
    pytest.mark.process,
    needs_browser,
]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The shops, the newspaper and the service."""
    with told(tmp_path_factory.mktemp("people")) as begun:
        yield begun


def kept(name: str) -> Path:
    """Where a picture goes."""
    return Path(PICTURES or os.devnull) / name


def proven(story: Story, person: bytes) -> bool:
    """Whether `paceline erase` proves that nothing is left of somebody."""
    status, said = story.command("erase", "--id", person.hex(), "--verify")
    return status == 0 and "nothing is left" in said


async def test_what_a_person_looked_at_is_shown_until_it_is_bought(story: Story) -> None:
    """A stranger gets the brand. Who looked at a tent sees it first, and beside it the lamp that others looked at next;
    one redirect leads to the tent's page. Once it is bought the line item is silent, and no ad shows the tent."""
    async with somebody(story.street, story.base) as person:
        before = await person.read_news()
        assert before["300x250"]["bid"]["crid"] == "brand-300x250"
        assert before["160x600"]["adm"] == ""
        tent, lamp = FJELL["tent-1"], FJELL["lamp-2"]
        await person.come(FJELL, FJELL["mug-2"], choose="Accept")
        await person.visit(FJELL, tent)
        id_ = await person.id()
        if PICTURES:
            await person.photograph(kept("shop.png"))
        sold = await person.read_until("300x250", tent.title)
        assert sold["300x250"]["asked"]["user"]["buyeruid"] == story.handle(id_)
        assert sold["300x250"]["bid"]["crid"] == "products-300x250"
        assert {claim.person for claim in story.claims(sold["300x250"])} == {id_}
        titles = await person.titles("300x250")
        assert lamp.title in titles
        assert len(titles) == len(set(titles)) == 4
        if PICTURES:
            await person.photograph(kept("news.png"))
        page, way = await person.follow("300x250")
        assert (page.url, way) == (FJELL.url(tent), [302, 200])
        person.page = page
        await person.buy(FJELL, tent)
        after = await person.read_until("728x90", FJELL["mug-2"].title)
        assert after["300x250"]["bid"]["crid"] == "brand-300x250"
        assert tent.title not in await person.titles("728x90")


async def test_what_one_shop_learns_serves_that_shop_alone(story: Story) -> None:
    """A person of both shops: each shop's line item bids for its own visitors, and each ad has that shop's products."""
    async with somebody(story.street, story.base) as person:
        await person.come(FJELL, FJELL["boot-1"], choose="Accept")
        only = await person.read_news()
        assert only["300x250"]["bid"]["crid"] == "products-300x250"
        assert only["160x600"]["adm"] == ""
        await person.visit(KRUS, KRUS["shade-2"], choose="Accept")
        both = await person.read_until("160x600", KRUS["shade-2"].title)
        assert both["160x600"]["bid"]["crid"] == "products-160x600"
        krus = await person.titles("160x600")
        await person.read_until("300x250", FJELL["boot-1"].title)
        fjell = await person.titles("300x250")
        assert set(krus) <= {goods.title for goods in KRUS.goods}
        assert set(fjell) <= {goods.title for goods in FJELL.goods}


async def test_who_opts_out_is_nobody_and_who_comes_back_may_look_and_erase(story: Story) -> None:
    """A button takes everything away and leaves a word that names nobody: afterwards nothing is written, and ads have
    no person in them. Who takes part again sees what is held, erases it by a button, and no store has a trace."""
    async with somebody(story.street, story.base) as person:
        boot, coat = FJELL["boot-1"], FJELL[BEST]
        await person.come(FJELL, boot, choose="Accept")
        first = await person.id()
        assert "We recognise this browser" in await person.privacy()
        if PICTURES:
            await person.photograph(kept("privacy.png"))
        assert "you have opted out" in await person.press("Opt out")
        assert await person.id() == b""
        assert story.traces(first)
        before = story.stored()
        await person.visit(FJELL, FJELL["tent-2"])
        sold = await person.read_news()
        assert sold["300x250"]["asked"]["user"]["buyeruid"] == story.handle(first)
        assert sold["300x250"]["bid"]["crid"] == "brand-300x250"
        for bought in (sold["300x250"], sold["728x90"]):
            assert {claim.person for claim in story.claims(bought)} == {NOBODY}
            assert not any(claim.personal for claim in story.claims(bought))
        assert (await person.titles("728x90"))[0] == coat.title
        assert story.stored() == before
        assert await person.id() == b""
        until(lambda: all(story.is_tombstone(each, first) for each in story.traces(first)), "clean files")
        await person.privacy()
        assert "you have opted back in" in await person.press("Opt back in")
        await person.come(FJELL, boot)
        await person.visit(FJELL, coat)
        second = await person.id()
        assert second not in (b"", first)
        await person.read_until("300x250", coat.title)
        await _looks_and_erases(story, person, (first, second))


async def _looks_and_erases(story: Story, person: Visitor, ids: tuple[bytes, bytes]) -> None:
    await person.privacy()
    held = await person.press("See everything we hold")
    assert FJELL["boot-1"].title in held
    assert FJELL["coat-1"].title in held
    assert ids[1].hex() in held
    if PICTURES:
        await person.photograph(kept("data.png"))
    assert story.traces(ids[1])
    until(lambda: ids[1] in {row.person for row in story.recorded(FJELL)}, "what was recorded")
    await person.privacy()
    await person.press("Erase everything we hold")
    assert "is erased" in await person.press("Yes, erase it now")
    assert await person.id() == b""
    until(lambda: not story.traces(ids[1]), "the files to be cleaned")
    compacted = story.compactions()
    until(lambda: story.compactions() > compacted, "another compaction")
    for id_ in ids:
        assert [place for place in story.traces(id_) if not story.is_tombstone(place, id_)] == []
        until(lambda id_=id_: proven(story, id_), "spools to let go of what was applied")
    assert "We do not recognise this browser" in await person.privacy()
    await person.visit(FJELL, FJELL["tent-1"])
    assert await person.id() not in (b"", *ids)


@pytest.mark.parametrize("choose", ["Decline", ""])
async def test_who_does_not_agree_is_never_written(story: Story, choose: str) -> None:
    """GDPR applies and nobody agreed: visits, a purchase and ads leave no key, no cookie and no person in any event."""
    async with somebody(story.street, story.base) as person:
        before = story.stored()
        count = len(story.recorded(FJELL))
        await person.visit(FJELL, FJELL["pack-2"], choose=choose)
        await person.visit(FJELL, FJELL["pack-2"])
        await person.buy(FJELL, FJELL["pack-2"])
        sold = await person.read_news(consent="no")
        assert sold["300x250"]["bid"]["crid"] == "brand-300x250"
        assert {claim.person for claim in story.claims(sold["300x250"])} == {NOBODY}
        assert story.stored() == before
        assert await person.cookies() == set()
        until(lambda: len(story.recorded(FJELL)) >= count + 4, "the events")
        views = [row for row in story.recorded(FJELL) if row.product == "pack-2"]
        assert {row.person for row in views} == {b""}


async def test_a_browser_that_keeps_third_parties_apart_is_known_to_the_shop_alone(story: Story) -> None:
    """In a private window our number is another on each site: the shop's visits are one person's, the publisher's page
    has ads for everybody, and our own page sees no number."""
    async with somebody(story.street, story.base, strict=True) as person:
        await person.visit(FJELL, FJELL["lamp-1"], choose="Accept")
        await person.visit(FJELL, FJELL["coat-2"])
        sold = await person.read_news()
        assert sold["300x250"]["bid"]["crid"] == "brand-300x250"
        assert {claim.person for claim in story.claims(sold["300x250"])} == {NOBODY}
        assert "We do not recognise this browser" in await person.privacy()
        until(lambda: len(_viewers(story, "lamp-1", "coat-2")) == 1, "both visits")


def _viewers(story: Story, *products: str) -> set[bytes]:
    """Who looked at all of these."""
    rows = [row for row in story.recorded(FJELL) if row.person]
    return set.intersection(*({row.person for row in rows if row.product == each} for each in products))
