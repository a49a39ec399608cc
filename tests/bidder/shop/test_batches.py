"""Events of shops' servers: tokens, partial acceptance, idempotence, whose they are, and stores that fail."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from io import BytesIO
from typing import Any

import msgspec
import pytest

from bidder.keys import product_key
from bidder.rights.erase import Eraser
from bidder.shop.intake import STEP_TEXT
from bidder.shop.receive import MAX_BATCHES, MAX_BATCHES_OF_SHOP
from bidder.shop.slots import Share
from bidder.shop.tokens import shop_token
from bidder.shop.wire import MAX_BATCH, MAX_ITEMS
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter
from bidder.web.shop import EVENTS_BYTES
from tests.bidder.shop.support import AGREED, NOW_S, RING, STORING, Stand, event, standing
from tests.servers import RealServer

FP = "abcdefghijklmnop"
IFA = "6D92078A-8246-4BA4-AE5B-76104861E7DC"
LOGIN = "ab" * 32
OWN = bytes(range(16))


async def _known(stand: Stand, match: str, advertiser: str = "boots") -> Any:
    person = await stand.visitors.resolve([match])
    assert person is not None
    return await stand.visitors.known(person, advertiser)


async def test_a_batch_is_answered_event_by_event(stand: Stand) -> None:
    """What is fit is accepted, what is not is refused with its place, reason and field; nothing hides the other."""
    cart = event(
        "cart", id="e-2", items=[{"product": "a", "price": "9.90", "quantity": 2}], person={"fp": FP}
    )
    reply = await stand.send(
        event(), cart, event("party", id="e-3"), {"event": "page_view"}, event(id="e-5", x=1)
    )
    assert reply.status == 200
    told = reply.json
    assert (told["accepted"], told["repeated"], told["refused"]) == (2, 0, 3)
    assert [each["status"] for each in told["events"]] == ["accepted"] * 2 + ["refused"] * 3
    assert [each.get("reason") for each in told["events"][2:]] == ["undeclared", "fields", "fields"]
    assert [each["index"] for each in told["events"]] == [0, 1, 2, 3, 4]
    assert [each.get("person") for each in told["events"]] == ["unnamed", "kept", None, None, None]
    assert told["events"][3]["error"].startswith("id: ")
    assert [record.kind for record in stand.recorder.records] == ["page_view", "cart"]
    assert stand.recorder.records[1].value_micros == 19_800_000
    (visit,) = (await _known(stand, f"shop.boots/{FP}")).history.visits
    assert (visit.product, visit.value_micros) == (product_key("boots", "a"), 19_800_000)


async def test_a_batch_sent_again_changes_nothing(stand: Stand) -> None:
    """The same ids are one visit however often they come, and are told to be repeated; so within one batch, too."""
    sent = [event(id=f"e-{n}", person={"fp": FP}) for n in (1, 2, 2)]
    first, again = await stand.send(*sent), await stand.send(*sent)
    assert [each["status"] for each in first.json["events"]] == ["accepted", "accepted", "repeated"]
    assert [each["status"] for each in again.json["events"]] == ["repeated"] * 3
    assert [each["person"] for each in (*first.json["events"], *again.json["events"])] == ["kept"] * 6
    assert len((await _known(stand, f"shop.boots/{FP}")).history.visits) == 2
    assert {record.id for record in stand.recorder.records} == {"e-1", "e-2"}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "Bearer",
        "Bearer x",
        "Bearer boots",
        "Bearer boots.",
        f"Bearer hats.{shop_token(RING, 'boots').partition('.')[2]}",
        f"Bearer {shop_token(RING, 'boots')}x",
        f"Basic {shop_token(RING, 'boots')}",
        "Bearer " + "x" * 5_000,
    ],
)
async def test_without_the_shops_token_nothing_is_taken(stand: Stand, token: str) -> None:
    """401 with a challenge, and nothing kept."""
    reply = await stand.send(event(), headers={"Authorization": token})
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert stand.recorder.records == []


async def test_a_token_is_its_own_advertisers(stand: Stand) -> None:
    """Events go to the token's advertiser and nobody else's; one that is no more is told so."""
    await stand.send(event(), advertiser="hats")
    assert stand.recorder.records[0].advertiser == "hats"
    reply = await stand.send(event(), advertiser="gone")
    assert reply.status == 400
    assert reply.json["error"].startswith("the token's advertiser")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"events": []}',
        b'{"events": [{}], "more": 1}',
        b'{"events":' + b"[" * 50_000,
        msgspec.json.encode({"events": [{}] * (MAX_BATCH + 1)}),
        b'{"events": ["\xed\xa0\x80"]}',
    ],
)
async def test_a_batch_that_cannot_be_read_is_refused_whole(stand: Stand, body: bytes) -> None:
    """400 with what is wrong, counted once."""
    reply = await stand.send(data=body)
    assert reply.status == 400
    assert reply.json["error"]


async def test_a_batch_of_refused_events_alone_is_a_400(stand: Stand) -> None:
    """So that a sender who looks at the status alone sees that nothing was taken; each event is still told of."""
    reply = await stand.send(event("party"))
    assert reply.status == 400
    assert reply.json["events"][0]["reason"] == "undeclared"
    assert reply.json["error"] == reply.json["events"][0]["error"]


async def test_a_body_has_bounds(stand: Stand) -> None:
    """413 above EVENTS_BYTES, 415 for a coding."""
    assert (await stand.send(data=BytesIO(b" " * (EVENTS_BYTES + 1)))).status == 413
    assert (await stand.send(event(), headers={"Content-Encoding": "gzip"})).status == 415


@pytest.mark.parametrize(
    "consent",
    [
        None,
        {},
        {"gdpr": 1},
        {"gdpr": True, "gdpr_consent": "x"},
        STORING,
        {**AGREED, "gpc": 1},
        {"us_privacy": "1YYN", "country": "USA"},
        {"gpp": "junk", "gpp_sid": [7], "country": "USA"},
    ],
)
async def test_without_consent_an_event_has_nobody(stand: Stand, consent: dict[str, Any] | None) -> None:
    """It is accepted and recorded without a person; no id is read, made or kept."""
    told = event(
        person={"fp": FP, "ifa": IFA, "login": LOGIN, "exchanges": {"google": "g1"}}, consent=consent
    )
    reply = await stand.send(told)
    assert reply.json["accepted"] == 1
    assert reply.json["events"][0]["person"] == "unconsented"
    assert await stand.stored() == {}
    assert stand.recorder.records[0].person == b""


async def test_a_limited_device_is_nobody(stand: Stand) -> None:
    """lmt, or tracking that the operating system did not authorise, goes before every consent."""
    reply = await stand.send(event(person={"ifa": IFA, "lmt": 1}))
    assert reply.json["events"][0]["person"] == "unconsented"
    assert await stand.stored() == {}


async def test_a_country_of_the_visitor_goes_before_the_shops(stand: Stand) -> None:
    """A shop in Germany may know that a visitor is not under its law, and the other way."""
    await stand.send(event(person={"fp": FP}, consent={"country": "USA"}))
    assert stand.recorder.records[0].person
    await stand.send(event(person={"fp": FP}, consent={"country": "FRA"}), advertiser="hats")
    assert not stand.recorder.records[1].person


async def test_people_are_known_by_any_of_their_ids(stand: Stand) -> None:
    """A device's id in whatever case, an exchange's where the exchange gave it, the tag's; and no person is made of an
    exchange's id on a shop's word."""
    await PeopleWriter(stand.client).match("google", "g1", OWN, NOW_S)
    reply = await stand.send(
        event(id="1", person={"ifa": IFA}),
        event(id="2", person={"ifa": IFA.lower()}),
        event(id="3", person={"exchanges": {"google": "g1"}}),
        event(id="4", person={"exchanges": {"google": "unheard-of"}}),
        event(id="5", person={"ifa": "00000000-0000-0000-0000-000000000000"}),
    )
    assert [each["person"] for each in reply.json["events"]] == ["kept"] * 3 + ["unnamed"] * 2
    people = [record.person for record in stand.recorder.records]
    assert people[0] == people[1] != OWN
    assert people[2:] == [OWN, b"", b""]
    assert stand.count("paceline_shop_people_total", "boots", "unnamed") == 2
    assert await stand.visitors.resolve(["google/unheard-of"]) is None


async def test_a_late_batch_brings_nobody_back(stand: Stand) -> None:
    """An event of before an erasure leads to nobody, also once the id leads to somebody new; later ones are kept."""
    told = {"person": {"fp": FP}, "consent": {"gdpr": 0}}
    await stand.send(event(id="1", **told))
    old = await stand.visitors.resolve([f"shop.boots/{FP}"])
    assert old is not None
    await Eraser(stand.client).erase(old, NOW_S, "person")
    stand.clock.advance(60)
    reply = await stand.send(event("cart", id="2", at=NOW_S - 3_600, items=[{"product": "a"}], **told))
    assert [each["person"] for each in reply.json["events"]] == ["unnamed"]
    assert await stand.visitors.resolve([f"shop.boots/{FP}"]) is None
    reply = await stand.send(event(id="3", **told), event("cart", id="4", at=NOW_S - 3_600, **told))
    assert [each["person"] for each in reply.json["events"]] == ["kept", "unnamed"]
    assert len((await _known(stand, f"shop.boots/{FP}")).history.visits) == 1


async def test_a_consented_login_joins_devices(stand: Stand) -> None:
    """Two devices that show the same hashed login share what happens with this shop from then on; with another shop
    the same hash joins nobody."""
    await stand.send(event(id="1", person={"fp": FP, "login": LOGIN}))
    await stand.send(
        event("cart", id="2", items=[{"product": "a"}], person={"ifa": IFA, "login": LOGIN.upper()})
    )
    first = await _known(stand, f"shop.boots/{FP}")
    assert product_key("boots", "a") in [visit.product for visit in first.history.visits]
    await stand.send(event(id="1", person={"fp": FP, "login": LOGIN}, consent={}), advertiser="hats")
    assert (await _known(stand, f"shop.hats/{FP}", "hats")).history.visits[0].product == 0


@pytest.mark.parametrize("login", ["jane@mail.example", "jane", "ab" * 31, "zz" * 32, "+49 171 1234567"])
async def test_a_login_in_clear_is_refused(stand: Stand, login: str) -> None:
    """Only the digits of a SHA-256 are taken; the answer does not repeat what was sent."""
    reply = await stand.send(event(person={"fp": FP, "login": login}))
    assert reply.status == 400
    assert reply.json["events"][0]["error"].startswith("person.login: ")
    assert login.encode() not in reply.body
    assert await stand.stored() == {}


async def test_personal_data_is_dropped_and_told(stand: Stand) -> None:
    """The fields that went are named to the sender; ids that read as personal data refuse the event."""
    told = event(
        "purchase", order="jane@mail.example", items=[{"product": "+49 171 1234567"}, {"product": "b"}]
    )
    reply = await stand.send(told, event(id="jane%40mail.example"))
    assert reply.json["events"][0]["dropped"] == ["order", "product"]
    assert reply.json["events"][1]["reason"] == "personal"
    assert [item.product for item in stand.recorder.records[0].items] == ["b"]
    assert b"jane" not in reply.body


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (NOW_S - 86_400, "accepted"),
        ("2026-11-25T11:00:00+00:00", "accepted"),
        (NOW_S + 200, "accepted"),
        (NOW_S + 400, "refused"),
        (NOW_S - 8 * 86_400, "refused"),
        ("2026-11-25T11:00:00", "refused"),
        (1e300, "refused"),
    ],
)
async def test_events_are_of_the_last_days(stand: Stand, at: float | str, status: str) -> None:
    """A week back and five minutes ahead of our clock; what is ahead counts as now."""
    reply = await stand.send(event(at=at))
    assert reply.json["events"][0]["status"] == status
    assert all(record.at_ms <= NOW_S * 1_000 for record in stand.recorder.records)


async def test_of_children_nothing_is_kept(stand: Stand) -> None:
    """A shop for children, or an event about a child, is refused and leaves nothing."""
    assert (await stand.send(event(), advertiser="toys")).json["events"][0]["reason"] == "child"
    reply = await stand.send(event(consent={"coppa": True, "country": "USA"}))
    assert reply.json["events"][0]["reason"] == "child"
    assert (stand.recorder.records, await stand.stored()) == ([], {})


async def test_who_opted_out_is_recorded_as_nobody(stand: Stand) -> None:
    """Whatever id the shop sends: the rows of who opted out lead to nobody, and none is made anew."""
    await stand.send(event(person={"ifa": IFA}))
    person = stand.recorder.records[0].person
    await PeopleWriter(stand.client).opt_out(person, NOW_S)
    before = await stand.stored()
    reply = await stand.send(event(id="e-2", person={"ifa": IFA}))
    assert reply.json["accepted"] == 1
    assert reply.json["events"][0]["person"] == "opted_out"
    assert stand.recorder.records[1].person == b""
    assert await stand.stored() == before
    assert set(before[keys.person_key(keys.person_tag(person))]) == {keys.OPT_OUT_FIELD}


async def test_a_store_that_is_down_asks_for_it_again(outage: Stand) -> None:
    """429 with Retry-After, never a 5xx and never a silent loss."""
    reply = await outage.send(event(person={"fp": FP}))
    assert (reply.status, reply.headers["Retry-After"]) == (429, "5")
    assert outage.count("paceline_shop_events_refused_total", "boots", "busy") == 1


async def test_a_store_that_dies_and_comes_back(own_server: RealServer) -> None:
    """Killed: pages get their GIF, servers are asked to come again. Back: the same events are taken, once."""
    async with standing(own_server.url) as stand:
        sent = event(person={"fp": FP})
        await stand.send(sent)
        own_server.kill()
        assert (await stand.pixel(**AGREED, fp=FP)).status == 200
        assert (await stand.send(sent)).status == 429
        own_server.restart()
        assert (await stand.send(sent)).status == 200
        assert len((await _known(stand, f"shop.boots/{FP}")).history.visits) == 1


async def test_a_recorder_that_is_full_asks_for_it_again(stand: Stand) -> None:
    """What is not recorded was not taken; sent again it is one visit."""
    stand.recorder.room = 0
    assert (await stand.send(event(person={"fp": FP}))).status == 429
    stand.recorder.room = 10
    assert (await stand.send(event(person={"fp": FP}))).json["repeated"] == 1
    assert len(stand.recorder.records) == 1
    assert len((await _known(stand, f"shop.boots/{FP}")).history.visits) == 1


async def test_batches_beyond_the_limit_come_again(stand: Stand) -> None:
    """While MAX_BATCHES are read, the next is told to wait."""
    with ExitStack() as held:
        assert all(held.enter_context(stand.shops._batches.place()) for _ in range(MAX_BATCHES))
        assert (await stand.send(event())).status == 429
    assert stand.count("paceline_shop_events_refused_total", "boots", "busy") == 1
    assert (await stand.send(event())).status == 200


async def test_a_shop_with_many_batches_holds_up_itself_alone(stand: Stand) -> None:
    """While MAX_BATCHES_OF_SHOP of a shop are read, its next is told to wait, and another shop's is taken."""
    share = Share("boots", MAX_BATCHES_OF_SHOP)
    with ExitStack() as held:
        assert all(held.enter_context(stand.shops._batches.place(share)) for _ in range(share.most))
        assert (await stand.send(event())).status == 429
        assert (await stand.send(event(), advertiser="hats")).status == 200


async def test_a_full_batch_is_taken(stand: Stand) -> None:
    """MAX_BATCH events of one call, each answered."""
    reply = await stand.send(*[event(id=f"e-{n}", person={"fp": FP}) for n in range(MAX_BATCH)])
    assert reply.json["accepted"] == MAX_BATCH == len(stand.recorder.records)


async def test_others_go_on_while_a_long_event_is_read(stand: Stand) -> None:
    """One event of MAX_ITEMS long texts gives the loop a turn for each STEP_TEXT characters, with no store asked."""
    turned = 0

    async def turn() -> None:
        nonlocal turned
        while True:
            turned += 1
            await asyncio.sleep(0)

    items = [{"product": f"{n}-{'a' * 70}", "category": "(0 1" * 15} for n in range(MAX_ITEMS)]
    body = msgspec.json.encode({"events": [event("cart", consent={"gdpr": 1}, items=items)]})
    others = asyncio.create_task(turn())
    try:
        (result,) = await stand.shops.batch("boots", body)
    finally:
        others.cancel()
    assert (result.status, result.person) == ("accepted", "unconsented")
    assert turned >= MAX_ITEMS * 120 // STEP_TEXT
