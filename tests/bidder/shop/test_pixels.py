"""Pixels of browsers: what is kept with whom, which cookies are set, and when nothing is."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from bidder.audience.visit import EventKind
from bidder.keys import category_key, name_key, product_key, segment_key
from bidder.rights.erase import Eraser
from bidder.shop.receive import MAX_WAITING, MAX_WAITING_OF_PERSON, MAX_WAITING_OF_SHOP
from bidder.shop.slots import Share
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter
from bidder.web.public import GIF
from tests.bidder.shop.support import AGREED, FP, NOW_S, OWN, Stand, cookie


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
    first = await stand.pixel(**AGREED, fp=FP, product="boot-1", cookies=cookie(OWN))
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
    await stand.pixel(**AGREED, fp=FP, cookies=cookie(OWN))
    assert (await stand.pixel(**AGREED, fp=FP, cookies=cookie(other))).person == other
    assert stand.recorder.records[-1].person.hex() == other
    assert await stand.visitors.resolve([f"shop.boots/{FP}"]) == bytes.fromhex(OWN)
    await stand.client.delete(keys.person_key(OWN.encode()))
    await stand.pixel(**AGREED, fp=FP, cookies=cookie(other))
    assert await stand.visitors.resolve([f"shop.boots/{FP}"]) == bytes.fromhex(other)


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
        await stand.pixel(**AGREED, id="e1", cookies=cookie(OWN))
        await stand.pixel(event="purchase", order="A-1", value="10", **AGREED, cookies=cookie(OWN))
    known = await stand.visitors.known(bytes.fromhex(OWN), "boots")
    assert len(known.history.visits) == 2
    assert len({(record.id, record.kind) for record in stand.recorder.records}) == 2
    assert stand.count("paceline_shop_events_repeated_total", "boots") == 2


async def test_values_are_in_the_advertisers_currency(stand: Stand) -> None:
    """A price in another currency is converted for the history; the record keeps what was sent."""
    await stand.pixel(**AGREED, price="100", currency="USD", cookies=cookie(OWN))
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
    await stand.pixel(event="purchase", order="jane%40mail.example", value="3", **AGREED, cookies=cookie(OWN))
    assert stand.recorder.records[0].order == ""
    assert b"jane" not in str(await stand.stored()).encode()
    assert stand.count("paceline_shop_fields_dropped_total", "boots", "order") == 1


async def test_a_store_that_is_down_never_stops_a_page(outage: Stand) -> None:
    """The GIF comes, the event is recorded without a person, and the failure is counted."""
    reply = await outage.pixel(**AGREED, cookies=cookie(OWN))
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
        assert not (await stand.pixel(**AGREED, cookies=cookie(OWN))).cookies
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
    await stand.pixel(**AGREED, cookies=cookie(OWN))
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
