"""Pixels of people who do not agree, have opted out, or are children: nothing is kept, and nothing of them is read."""

from __future__ import annotations

import pytest

from bidder.privacy.gpp_sections import LAYOUTS
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter
from bidder.web.public import GIF
from tests.bidder.privacy.signals import GPP_CLEAN
from tests.bidder.privacy.test_gpp import core_of, header, single
from tests.bidder.shop.support import AGREED, FP, NOW_S, OWN, STORING, Stand, cookie

US_NATIONAL = LAYOUTS[7]
KNOWN_CHILD = f"{header([single(7)])}~{core_of(US_NATIONAL, KnownChildSensitiveDataConsents=1)}"
"""A GPP string whose section knows that the person is a child."""


@pytest.mark.parametrize(
    ("advertiser", "query", "headers"),
    [
        ("boots", {}, {}),
        ("boots", {"gdpr": "1"}, {}),
        ("boots", {"gdpr": "1", "gdpr_consent": "garbage"}, {}),
        ("boots", AGREED, {"Sec-GPC": "1"}),
        ("boots", {**AGREED, "gpc": "1"}, {}),
        ("boots", AGREED, {"DNT": "1"}),
        ("hats", {"us_privacy": "1YYN"}, {}),
        ("hats", {"gdpr": "1"}, {}),
        ("hats", {"gpp": "junk", "gpp_sid": "7"}, {}),
    ],
)
async def test_without_consent_nobody_is_kept(
    stand: Stand, advertiser: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    """No cookie, no key in the store, a record without a person; the browser's id is not read either."""
    reply = await stand.pixel(advertiser, **query, headers=headers, cookies=cookie(OWN), fp=FP)
    assert (reply.status, reply.cookies) == (200, {})
    assert await stand.stored() == {}
    (record,) = stand.recorder.records
    assert record.person == b""
    assert stand.count("paceline_shop_people_total", advertiser, "unconsented") == 1


async def test_where_no_law_is_presumed_silence_allows(stand: Stand) -> None:
    """A shop outside the presumed countries may keep a visitor of whom no signal speaks."""
    reply = await stand.pixel("hats", gpp=GPP_CLEAN)
    assert len(reply.person) == 32


async def test_consent_to_storing_alone_sets_the_cookie_and_keeps_nothing(stand: Stand) -> None:
    """Purpose 1 without 3 and 4: an id may be set, nothing is profiled or recorded with it."""
    reply = await stand.pixel(**STORING)
    assert len(reply.person) == 32
    assert await stand.stored() == {}
    assert stand.recorder.records[0].person == b""


async def test_who_opted_out_leaves_no_trace(stand: Stand) -> None:
    """With the opt-out cookie the event has no person, our ids are taken back, and nothing is written."""
    reply = await stand.pixel(**AGREED, fp=FP, cookies={"pl_optout": "1", "pl_id": OWN})
    assert await stand.stored() == {}
    assert stand.recorder.records[0].person == b""
    assert set(reply.cookies) == {"pl_id"}
    assert "Max-Age=0" in reply.cookies["pl_id"]


@pytest.mark.parametrize("query", [{}, {"fp": FP}])
async def test_a_tombstone_is_told_to_the_browser(stand: Stand, query: dict[str, str]) -> None:
    """A person whom the store knows to have opted out is not recorded, and this browser's jar gets the choice, too."""
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    before = await stand.stored()
    reply = await stand.pixel(**AGREED, **query, cookies=cookie(OWN))
    assert await stand.stored() == before
    assert stand.recorder.records[0].person == b""
    assert reply.cookies["pl_optout"].startswith("1; Max-Age=33696000")
    assert "Max-Age=0" in reply.cookies["pl_id"]


async def test_a_first_party_id_that_was_opted_out_is_nobody(stand: Stand) -> None:
    """The row of the match table says so; nobody new is made of it."""
    await stand.pixel(**AGREED, fp=FP, cookies=cookie(OWN))
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    before = await stand.stored()
    reply = await stand.pixel(**AGREED, fp=FP)
    assert await stand.stored() == before
    assert "pl_id" not in reply.cookies
    assert stand.recorder.records[-1].person == b""


async def test_an_id_that_was_opted_out_opts_no_other_browser_out(stand: Stand) -> None:
    """Any page can make a browser send it: the browser keeps its number, nothing is kept of the call, and both cookies
    and store stay as they were. Who has opted out themselves is told as ever."""
    await stand.pixel(**AGREED, fp=FP, cookies=cookie(OWN))
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    victim = "ab" * 16
    await stand.pixel(**AGREED, cookies=cookie(victim))
    before = await stand.stored()
    reply = await stand.pixel(**AGREED, fp=FP, cookies=cookie(victim))
    assert (reply.cookies, await stand.stored()) == ({}, before)
    assert stand.recorder.records[-1].person == b""
    reply = await stand.pixel(**AGREED, fp=FP, cookies=cookie(OWN))
    assert reply.cookies["pl_optout"].startswith("1;")


async def test_who_takes_part_again_is_somebody_new(stand: Stand) -> None:
    """After opting in again a browser gets a number in spite of ids that were opted out; those stay out, since anybody
    can opt in and send them."""
    query = {**AGREED, "uid": "q"}
    await stand.pixel(**AGREED, fp=FP, cookies=cookie(OWN))
    await stand.call("/sync/quiet", params=query, cookies=cookie(OWN))
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    again = await stand.pixel(**AGREED, fp=FP, cookies={"pl_optin": "1"})
    assert "pl_optout" not in again.cookies
    assert again.person != OWN
    assert stand.recorder.records[-1].person == bytes.fromhex(again.person)
    await stand.call("/sync/quiet", params=query, cookies={"pl_optin": "1", "pl_id": again.person})
    for match in (f"shop.boots/{FP}", "quiet/q"):
        assert await stand.visitors.resolve([match]) == keys.OPTED_OUT
    both = await stand.pixel(**AGREED, cookies={"pl_optin": "1", "pl_optout": "1", "pl_id": again.person})
    assert "Max-Age=0" in both.cookies["pl_id"]


@pytest.mark.parametrize(
    ("advertiser", "query"), [("toys", {}), ("hats", {"coppa": "1"}), ("hats", {"gpp": KNOWN_CHILD})]
)
async def test_of_children_nothing_is_kept_or_read(
    stand: Stand, advertiser: str, query: dict[str, str]
) -> None:
    """A shop meant for children, or a child: no cookie, no key, no record; the page gets its GIF."""
    reply = await stand.pixel(advertiser, **query, cookies=cookie(OWN))
    assert (reply.status, reply.body, reply.cookies) == (200, GIF, {})
    assert await stand.stored() == {}
    assert stand.recorder.records == []
    assert stand.count("paceline_shop_events_refused_total", advertiser, "child") == 1
