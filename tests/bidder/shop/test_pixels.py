"""Pixels of browsers: what is kept with whom, which cookies are set, and when nothing is."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from bidder.audience.visit import EventKind
from bidder.keys import category_key, name_key, product_key, segment_key
from bidder.privacy.gpp_sections import LAYOUTS
from bidder.rights.erase import Eraser
from bidder.shop.receive import MAX_WAITING, MAX_WAITING_OF_PERSON, MAX_WAITING_OF_SHOP
from bidder.shop.slots import Share
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter
from bidder.web.public import GIF
from tests.bidder.privacy.signals import GPP_CLEAN
from tests.bidder.privacy.test_gpp import core_of, header, single
from tests.bidder.shop.support import AGREED, NOW_S, STORING, Stand

FP = "f" * 32
OWN = "0123456789abcdef0123456789abcdef"


US_NATIONAL = LAYOUTS[7]
KNOWN_CHILD = f"{header([single(7)])}~{core_of(US_NATIONAL, KnownChildSensitiveDataConsents=1)}"
"""A GPP string whose section knows that the person is a child."""


def _cookie(person: str) -> dict[str, str]:
    return {"pl_id": person}


async def test_a_view_is_kept_with_the_person_and_recorded(stand: Stand) -> None:
    """With consent a browser gets an id, and what it looked at stands in its history, its segments and the record."""
    reply = await stand.pixel(**AGREED, price="129.50", currency="EUR", id="e1")
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, GIF, "image/gif")
    person = bytes.fromhex(reply.person)
    known = await stand.visitors.known(person, "boots")
    (visit,) = known.history.visits
    assert (visit.kind, visit.product) == (EventKind.PRODUCT_VIEW, product_key("boots", "boot-1"))
    assert visit.category == category_key("boots", "Shoes > Boots")
    assert (visit.value_micros, visit.event, visit.at_s) == (129_500_000, name_key("boots", "e1"), NOW_S)
    assert known.profile is not None
    assert [key for key, _ in known.profile.segments] == [segment_key("boots", "viewers")]
    assert known.profile.affinity.any()
    (record,) = stand.recorder.records
    assert (record.person, record.advertiser, record.kind, record.id) == (
        person,
        "boots",
        "product_view",
        "e1",
    )
    assert (record.items[0].product, record.value_micros, record.source) == ("boot-1", 129_500_000, "pixel")
    assert stand.count("paceline_shop_people_total", "boots", "kept") == 1
    assert stand.count("paceline_shop_events_total", "boots", "product_view", "pixel") == 1


async def test_cookies_are_safe_and_end(stand: Stand) -> None:
    """Both cookies hold 32 digits, are Secure, HttpOnly, SameSite=None, live 30 days; one of them is partitioned."""
    lines = (await stand.pixel(**AGREED)).headers.getall("Set-Cookie")
    assert len(lines) == 2
    for line in lines:
        parts = line.split("; ")
        assert {"Max-Age=2592000", "Path=/", "Secure", "HttpOnly", "SameSite=None"} <= set(parts)
        assert len(parts[0].split("=")[1]) == 32
    assert [line.endswith("Partitioned") for line in lines] == [False, True]


@pytest.mark.parametrize("name", ["pl_id", "pl_pid"])
async def test_a_browser_that_returns_is_the_same_person(stand: Stand, name: str) -> None:
    """The id of either cookie is used and kept on; who proved to keep it lives 30 days."""
    reply = await stand.pixel(**AGREED, cookies={name: OWN})
    assert reply.person == OWN
    key = keys.person_key(OWN.encode())
    assert await stand.client.ttl(key) > 29 * 86_400


async def test_a_number_that_was_erased_is_not_used_again(stand: Stand) -> None:
    """A browser that brings it out of a cookie that it kept apart is somebody new, in both cookies; the number itself
    leads to nothing, and an opt-out under it still holds."""
    await stand.pixel(**AGREED, cookies={"pl_pid": OWN}, fp=FP)
    await Eraser(stand.client).erase(bytes.fromhex(OWN), NOW_S, "person")
    reply = await stand.pixel(**AGREED, cookies={"pl_pid": OWN}, fp=FP)
    assert reply.person not in ("", OWN)
    assert await stand.client.exists(keys.person_key(OWN.encode())) == 0
    assert stand.recorder.records[-1].person.hex() == reply.person
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    reply = await stand.pixel(**AGREED, cookies={"pl_pid": OWN})
    assert "pl_optout" in reply.cookies


async def test_a_browser_that_keeps_no_cookie_leaves_little(stand: Stand) -> None:
    """Somebody new who has not shown to keep our cookie is forgotten after a day."""
    reply = await stand.pixel(**AGREED)
    assert 0 < await stand.client.ttl(keys.person_key(reply.person.encode())) <= 86_400


@pytest.mark.parametrize("cookie", ["", "x", "0" * 32, "f" * 32, OWN + "0", "../../etc", "é" * 16])
async def test_a_cookie_that_we_did_not_make_is_none(stand: Stand, cookie: str) -> None:
    """Anything but 32 hexadecimal digits, or the numbers that stand for nobody, leads to somebody new."""
    headers = {"Cookie": f"pl_id={cookie}".encode().decode("latin-1")}
    reply = await stand.pixel(**AGREED, headers=headers)
    assert reply.status == 200
    assert reply.person != cookie


async def test_the_first_party_id_leads_back_without_telling_who(stand: Stand) -> None:
    """A browser without our cookie is recognised by the shop's own id, and is not told the person behind it; with
    another shop the same id is nobody."""
    first = await stand.pixel(**AGREED, fp=FP, product="boot-1", cookies=_cookie(OWN))
    again = await stand.pixel(**AGREED, fp=FP, product="boot-2")
    assert first.person == OWN
    assert again.cookies == {}
    known = await stand.visitors.known(bytes.fromhex(OWN), "boots")
    assert len(known.history.visits) == 2
    other = await stand.pixel("hats", fp=FP)
    assert other.person != OWN


async def test_our_cookie_goes_before_the_first_party_id(stand: Stand) -> None:
    """Where both are known the cookie's person counts for the call, and takes the shop's id from nobody: it leads to
    the other until that person is gone."""
    other = "ab" * 16
    await stand.pixel(**AGREED, fp=FP, cookies=_cookie(OWN))
    assert (await stand.pixel(**AGREED, fp=FP, cookies=_cookie(other))).person == other
    assert stand.recorder.records[-1].person.hex() == other
    assert await stand.visitors.resolve([f"shop.boots/{FP}"]) == bytes.fromhex(OWN)
    await stand.client.delete(keys.person_key(OWN.encode()))
    await stand.pixel(**AGREED, fp=FP, cookies=_cookie(other))
    assert await stand.visitors.resolve([f"shop.boots/{FP}"]) == bytes.fromhex(other)


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
    reply = await stand.pixel(advertiser, **query, headers=headers, cookies=_cookie(OWN), fp=FP)
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
    reply = await stand.pixel(**AGREED, **query, cookies=_cookie(OWN))
    assert await stand.stored() == before
    assert stand.recorder.records[0].person == b""
    assert reply.cookies["pl_optout"].startswith("1; Max-Age=33696000")
    assert "Max-Age=0" in reply.cookies["pl_id"]


async def test_a_first_party_id_that_was_opted_out_is_nobody(stand: Stand) -> None:
    """The row of the match table says so; nobody new is made of it."""
    await stand.pixel(**AGREED, fp=FP, cookies=_cookie(OWN))
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    before = await stand.stored()
    reply = await stand.pixel(**AGREED, fp=FP)
    assert await stand.stored() == before
    assert "pl_id" not in reply.cookies
    assert stand.recorder.records[-1].person == b""


async def test_an_id_that_was_opted_out_opts_no_other_browser_out(stand: Stand) -> None:
    """Any page can make a browser send it: the browser keeps its number, nothing is kept of the call, and both cookies
    and store stay as they were. Who has opted out themselves is told as ever."""
    await stand.pixel(**AGREED, fp=FP, cookies=_cookie(OWN))
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    victim = "ab" * 16
    await stand.pixel(**AGREED, cookies=_cookie(victim))
    before = await stand.stored()
    reply = await stand.pixel(**AGREED, fp=FP, cookies=_cookie(victim))
    assert (reply.cookies, await stand.stored()) == ({}, before)
    assert stand.recorder.records[-1].person == b""
    reply = await stand.pixel(**AGREED, fp=FP, cookies=_cookie(OWN))
    assert reply.cookies["pl_optout"].startswith("1;")


async def test_who_takes_part_again_is_somebody_new(stand: Stand) -> None:
    """After opting in again a browser gets a number in spite of ids that were opted out; those stay out, since anybody
    can opt in and send them."""
    query = {**AGREED, "uid": "q"}
    await stand.pixel(**AGREED, fp=FP, cookies=_cookie(OWN))
    await stand.call("/sync/quiet", params=query, cookies=_cookie(OWN))
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
    reply = await stand.pixel(advertiser, **query, cookies=_cookie(OWN))
    assert (reply.status, reply.body, reply.cookies) == (200, GIF, {})
    assert await stand.stored() == {}
    assert stand.recorder.records == []
    assert stand.count("paceline_shop_events_refused_total", advertiser, "child") == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://shop.test"}, 200),
        ({"Origin": "https://www.shop.test:8443"}, 200),
        ({"Referer": "https://shop.example/cart?x=1"}, 200),
        ({"Referer": "https://SHOP.TEST/"}, 200),
        ({}, 200),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evilshop.test"}, 403),
        ({"Origin": "https://shop.test.evil.test"}, 403),
        ({"Referer": "https://evil.test/shop.test"}, 403),
        ({"Referer": "https://shop.test@evil.test/"}, 403),
        ({"Referer": "nonsense:"}, 403),
        ({"Origin": "https://evil.test", "Referer": "https://shop.test/"}, 403),
    ],
)
async def test_another_page_writes_nothing(stand: Stand, headers: dict[str, str], status: int) -> None:
    """What tells where it comes from must be the advertiser's: else it is refused, counted, and nothing kept."""
    reply = await stand.pixel(**AGREED, headers=headers)
    assert reply.status == status
    assert stand.count("paceline_shop_events_refused_total", "boots", "origin") == (status == 403)
    assert len(stand.recorder.records) == (status == 200)


async def test_what_the_headers_tell_is_reduced(stand: Stand) -> None:
    """Of a user agent a word is kept, of a referrer its domain."""
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148"
    told: dict[str, Any] = {"referrer": "https://search.example/?q=jane%40mail.example"}
    await stand.pixel(**AGREED, **told, headers={"User-Agent": agent})
    (record,) = stand.recorder.records
    assert (record.device, record.referrer) == ("phone", "search.example")
    assert "Mozilla" not in str(await stand.stored())


async def test_the_same_event_counts_once(stand: Stand) -> None:
    """A pixel that is loaded again under its id is one visit; a page of thanks without an id is known by its order."""
    for _ in range(2):
        await stand.pixel(**AGREED, id="e1", cookies=_cookie(OWN))
        await stand.pixel(event="purchase", order="A-1", value="10", **AGREED, cookies=_cookie(OWN))
    known = await stand.visitors.known(bytes.fromhex(OWN), "boots")
    assert len(known.history.visits) == 2
    assert len({(record.id, record.kind) for record in stand.recorder.records}) == 2
    assert stand.count("paceline_shop_events_repeated_total", "boots") == 2


async def test_values_are_in_the_advertisers_currency(stand: Stand) -> None:
    """A price in another currency is converted for the history; the record keeps what was sent."""
    await stand.pixel(**AGREED, price="100", currency="USD", cookies=_cookie(OWN))
    (visit,) = (await stand.visitors.known(bytes.fromhex(OWN), "boots")).history.visits
    assert 0 < visit.value_micros != 100_000_000
    assert (stand.recorder.records[0].currency, stand.recorder.records[0].value_micros) == (
        "USD",
        100_000_000,
    )
    reply = await stand.pixel(**AGREED, price="1", currency="XXX")
    assert (reply.status, reply.json) == (400, {"error": "currency: there is no exchange rate for it"})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"advertiser": "nobody"}, "advertiser: unknown"),
        ({"event": "party"}, "event: "),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"product": "x" * 129}, "items[0].product: "),
        ({"price": "cheap"}, "items[0].price: "),
        ({"currency": "euro"}, "currency: "),
        ({"fp": "short"}, "person.fp: "),
        ({"event": "custom", "name": "dance"}, "name: "),
    ],
)
async def test_what_is_wrong_is_said_with_its_field(stand: Stand, query: dict[str, str], said: str) -> None:
    """A 400 whose JSON begins with the field's name; nothing is kept."""
    told = {"advertiser": "boots", "event": "cart", "product": "boot-1", **query}
    reply = await stand.call("/pixel", params=told)
    assert reply.status == 400
    assert reply.json["error"].startswith(said)
    assert stand.recorder.records == []


async def test_personal_data_is_dropped_and_counted(stand: Stand) -> None:
    """An address in an order goes, whatever its escapes; the event stays, and the field is counted."""
    await stand.pixel(
        event="purchase", order="jane%40mail.example", value="3", **AGREED, cookies=_cookie(OWN)
    )
    assert stand.recorder.records[0].order == ""
    assert b"jane" not in str(await stand.stored()).encode()
    assert stand.count("paceline_shop_fields_dropped_total", "boots", "order") == 1


async def test_a_store_that_is_down_never_stops_a_page(outage: Stand) -> None:
    """The GIF comes, the event is recorded without a person, and the failure is counted."""
    reply = await outage.pixel(**AGREED, cookies=_cookie(OWN))
    assert (reply.status, reply.body, reply.cookies) == (200, GIF, {})
    assert outage.recorder.records[0].person == b""
    assert outage.count("paceline_shop_people_total", "boots", "failed") == 1


async def test_pixels_beyond_the_limit_wait_for_no_store(stand: Stand) -> None:
    """While MAX_WAITING calls wait, the next is recorded without a person."""
    with ExitStack() as held:
        assert all(held.enter_context(stand.shops._waiting.place()) for _ in range(MAX_WAITING))
        reply = await stand.pixel(**AGREED)
    assert (reply.status, reply.cookies) == (200, {})
    assert stand.count("paceline_shop_people_total", "boots", "failed") == 1
    assert (await stand.pixel(**AGREED)).cookies


async def test_a_person_takes_no_place_of_others(stand: Stand) -> None:
    """While MAX_WAITING_OF_PERSON calls of one person wait, known by cookie or by the shop's id, its next has nobody;
    everybody else's has its person."""
    own = Share(bytes.fromhex(OWN), MAX_WAITING_OF_PERSON)
    with ExitStack() as held:
        for share in (own, Share(("boots", FP), MAX_WAITING_OF_PERSON)):
            assert all(held.enter_context(stand.shops._waiting.place(share)) for _ in range(share.most))
        assert not (await stand.pixel(**AGREED, cookies=_cookie(OWN))).cookies
        assert not (await stand.pixel(**AGREED, fp=FP)).cookies
        assert stand.count("paceline_shop_people_total", "boots", "failed") == 2
        assert (await stand.pixel(**AGREED)).cookies
        assert (await stand.pixel(**AGREED, fp="e" * 32)).cookies


async def test_a_shop_takes_no_place_of_others(stand: Stand) -> None:
    """While MAX_WAITING_OF_SHOP calls of one shop wait, its next has nobody; another shop's has its person."""
    share = Share("boots", MAX_WAITING_OF_SHOP)
    with ExitStack() as held:
        assert all(held.enter_context(stand.shops._waiting.place(share)) for _ in range(share.most))
        assert not (await stand.pixel(**AGREED)).cookies
        assert (await stand.pixel("hats", "page_view", **AGREED)).cookies


@pytest.mark.parametrize(
    "told",
    [
        {"gdpr": ("0", "1")},
        {"gdpr": ("1", "0")},
        {"gdpr": ("", "0")},
        {"gdpr": ("0",), "coppa": ("0", "1")},
        {"gdpr": ("0",), "gpc": ("0", "1")},
        {"gdpr": ("0",), "gpp": ("DBAA", "DBAB")},
        {"gdpr": ("0",), "gpp_sid": ("6", "7")},
        {"gdpr": ("0",), "us_privacy": ("1YNN", "1YYN")},
        {"gdpr": ("1",), "gdpr_consent": (AGREED["gdpr_consent"], "CP")},
    ],
)
async def test_consent_told_twice_in_different_words_denies(
    stand: Stand, told: dict[str, tuple[str, ...]]
) -> None:
    """Whichever comes first; the same words twice are those words."""
    query = [("advertiser", "boots"), ("event", "page_view")]
    doubled = [(name, value) for name, values in told.items() for value in values]
    assert not (await stand.call("/pixel", params=[*query, *doubled])).cookies
    assert await stand.stored() == {}
    again = [(name, values[-1]) for name, values in told.items() for _ in range(2) if name == "gdpr"]
    if again[-1] == ("gdpr", "0"):
        assert (await stand.call("/pixel", params=[*query, *again])).cookies


async def test_head_changes_nothing(stand: Stand) -> None:
    """HEAD of the pixel looks the same, sets no cookie and keeps nothing."""
    reply = await stand.call("/pixel", "HEAD", params={"advertiser": "boots", "event": "page_view", **AGREED})
    assert (reply.status, reply.cookies) == (200, {})
    assert stand.recorder.records == []


async def test_a_shop_learns_for_itself_alone(stand: Stand) -> None:
    """What one shop is told stands in its own fields: the other knows nothing of the same person."""
    await stand.pixel(**AGREED, cookies=_cookie(OWN))
    other = await stand.visitors.known(bytes.fromhex(OWN), "hats")
    assert (other.profile, other.history.visits) == (None, ())


@pytest.mark.parametrize("event", ["product_view", "party"])
async def test_the_shops_own_pages_may_read_the_answer(stand: Stand, event: str) -> None:
    """So that the tag can tell a shop what is wrong; no other page, and no page without an origin."""
    own = await stand.pixel(event=event, headers={"Origin": "https://www.shop.example"})
    assert own.headers["Access-Control-Allow-Origin"] == "https://www.shop.example"
    assert own.headers["Access-Control-Allow-Credentials"] == "true"
    for headers in ({"Origin": "https://evil.example"}, {"Referer": "https://www.shop.example/"}):
        other = await stand.pixel(event=event, headers=headers)
        assert "Access-Control-Allow-Origin" not in other.headers
        assert other.headers["Vary"] == "Origin"
