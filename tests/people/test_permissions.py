"""Property, over the whole worker: people are read, written, named and given ids only where the table says so.

Shapes: signals of all kinds, a choice (none, in the browser, in the store), a shop and an action are drawn; the store's
    MONITOR and the recorder's segments say what was done. What is allowed is asked of the table, by Gate.explain.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bidder.audience.handles import Handles
from bidder.events.records import ShopEvent
from bidder.privacy.permissions import Activity, Cause
from bidder.privacy.signals import Signals
from bidder.shop.tokens import exchange_secret, shop_token
from bidder.stores import keys
from tests.bidder.privacy.signals import SIGNALS
from tests.people.book import CHILD_DIRECTED, COUNTRY
from tests.people.calls import bid_request, consent, headers, parameters
from tests.people.house import EIDS, RING, START_S, Reply
from tests.people.monitor import Command
from tests.people.stage import (
    ANYBODY,
    CHOICES,
    EID,
    FP,
    FREE,
    GATE,
    IFA,
    LOGIN,
    NEW_UID,
    OWN,
    SHOPS,
    TOKENS,
    UID,
    Allowed,
    Stage,
)
from tests.servers import RealServer


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One worker and one store for all examples."""
    folder = tmp_path_factory.mktemp("people")
    server = RealServer(folder / "store")
    server.start()
    stage = Stage(folder / "worker", server)
    yield stage
    stage.close()
    server.close()


LIVELY: Final = settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _cookies(choice: str, known: bool) -> dict[str, str]:
    return ({"pl_id": OWN.hex()} if known else {}) | ({"pl_optout": "1"} if choice == "browser" else {})


def _named(records: list[Any]) -> list[Any]:
    return [record for record in records if record.person]


def _added(commands: list[Command]) -> list[Command]:
    return [command for command in commands if command.adds]


def _nothing_written(commands: list[Command], reply: Reply | None = None) -> None:
    assert _added(commands) == []
    if reply is not None:
        assert reply.ids == set()


@LIVELY
@given(
    SIGNALS,
    CHOICES,
    SHOPS,
    st.sampled_from(["buyeruid", "exchange", "ifa", "eid", "stranger", "nobody"]),
    st.booleans(),
)
def test_a_bid_and_what_comes_of_it(
    stage: Stage, signals: Signals, choice: str, shop: str, who: str, says_no: bool
) -> None:
    """A request reads a person where `read id` allows; its ad shows what the person looked at where `bid personalised`
    does and the browser says nothing against it; its bill, beacon and click name the person where `measure` does."""
    stage.runner.run(_bid(stage, signals, choice, (shop, who), says_no))


async def _bid(stage: Stage, signals: Signals, choice: str, what: tuple[str, str], says_no: bool) -> None:
    shop, who = what
    await stage.populate(choice)
    user: dict[str, Any] = {
        "buyeruid": {"buyeruid": OWN.hex()},
        "exchange": {"id": UID},
        "ifa": {"ifa": IFA},
        "eid": {"eids": [{"source": EIDS, "uids": [{"id": EID}]}]},
        "stranger": {"id": "somebody-else"},
        "nobody": {},
    }[who]
    allowed = Allowed(signals, opted_out=False)
    answer = await stage.house.ask(bid_request(shop, signals, **user))
    assert answer.status in (200, 204, 400)
    commands, _ = await stage.looked()
    out, known = choice == "store", who not in ("stranger", "nobody")
    may_read = Activity.READ_ID in allowed and who != "nobody"
    if not may_read:
        assert commands == []
    elif answer.status == 200:
        assert commands != []
    if not may_read or (out and known):
        _nothing_written(commands)
    if answer.status != 200:
        return
    tokens = dict(TOKENS.findall(answer.body.decode()))
    event(f"bid for {who}: {'read' if may_read else 'not read'}{', opted out' if out else ''}")
    named = may_read and known and not out and shop != CHILD_DIRECTED
    await _shown(stage, tokens, named and Activity.BID_PERSONALISED in allowed, says_no)
    for kind in ("bill", "imp", "click"):
        if kind in tokens:
            await stage.house.call(f"/{kind}?p=1.0&c=USD&t={tokens[kind]}")
    commands, records = await stage.looked()
    if not may_read or (out and known) or shop == CHILD_DIRECTED:
        assert _added(commands) == []
    assert len(records) >= 2
    expected = OWN if named and Activity.MEASURE in allowed else b""
    assert {record.person for record in records} == {expected}


async def _shown(stage: Stage, tokens: dict[str, str], personal: bool, says_no: bool) -> None:
    """The ad is drawn: who reads the person for it, and what is written."""
    if "render" not in tokens:
        return
    told = {"Sec-GPC": "1"} if says_no else {}
    reply = await stage.house.call(f"/render?t={tokens['render']}", headers=told)
    assert reply.status == 200
    commands, records = await stage.looked()
    assert bool(commands) == (personal and not says_no)
    _nothing_written(commands, reply)
    assert records == []


@LIVELY
@given(ANYBODY, CHOICES, SHOPS, st.booleans(), st.booleans())
def test_a_pixel(stage: Stage, signals: Signals, choice: str, shop: str, known: bool, fp: bool) -> None:
    """An event of a browser touches the store and names a person where `record` allows, sets an id where `write id`
    does; of a child, and in a shop for children, nothing is kept at all."""
    stage.runner.run(_pixel(stage, signals, choice, shop, (known, fp)))


async def _pixel(stage: Stage, signals: Signals, choice: str, shop: str, ids: tuple[bool, bool]) -> None:
    await stage.populate(choice)
    known, fp = ids
    said = replace(signals, country=COUNTRY[shop], home="", minor=False)
    allowed = Allowed(said, opted_out=choice == "browser", nothing=shop == CHILD_DIRECTED)
    query = {"advertiser": shop, "event": "product_view", "product": f"{shop}-2", **parameters(said)}
    if fp:
        query["fp"] = FP
    reply = await stage.house.call(
        "/pixel", params=query, headers=headers(said), cookies=_cookies(choice, known)
    )
    assert reply.status in (200, 414)
    commands, records = await stage.looked()
    out = choice == "store" and (known or fp)
    if reply.status == 414:
        assert (commands, records) == ([], [])
        return
    may = Activity.RECORD in allowed
    event(
        f"pixel: {'child' if allowed.child else 'recorded' if may else 'not allowed'}{', opted out' if out else ''}"
    )
    assert bool(commands) == may
    assert bool(_added(commands)) == (may and not out)
    assert len(records) == (not allowed.child)
    assert bool(_named(records)) == (may and not out)
    if known and not out:
        assert {record.person for record in _named(records)} <= {OWN}
    sets = Activity.WRITE_ID in allowed and not (out and may)
    first_party = may and fp and not known  # who sends one is not told who is behind it
    assert bool(reply.ids) == (sets and not first_party)


@LIVELY
@given(ANYBODY, CHOICES, SHOPS, st.sampled_from(["fp", "ifa", "exchange", "new", "nobody"]), st.booleans())
def test_an_event_of_a_server(
    stage: Stage, signals: Signals, choice: str, shop: str, who: str, login: bool
) -> None:
    """The same of what a shop's server tells, by the consent that stands in each event."""
    stage.runner.run(_served(stage, signals, choice, (shop, who), login))


async def _served(stage: Stage, signals: Signals, choice: str, what: tuple[str, str], login: bool) -> None:
    shop, who = what
    await stage.populate(choice)
    country = signals.country
    said = replace(signals, country=country.upper() or COUNTRY[shop], home="", minor=False)
    allowed = Allowed(said, nothing=shop == CHILD_DIRECTED)
    person: dict[str, Any] = {
        "fp": {"fp": FP},
        "ifa": {"ifa": IFA},
        "exchange": {"exchanges": {"generic": UID}},
        "new": {"fp": "n" * 32},
        "nobody": {},
    }[who]
    person |= {"lmt": int(said.limited)} | ({"login": LOGIN} if login else {})
    told = {**consent(said), "country": country}
    body = {
        "events": [
            {
                "event": "cart",
                "id": "e-1",
                "items": [{"product": f"{shop}-3"}],
                "person": person,
                "consent": told,
            }
        ]
    }
    reply = await stage.house.call(
        "/v1/events",
        "POST",
        data=msgspec.json.encode(body),
        headers={"Authorization": f"Bearer {shop_token(RING, shop)}"},
    )
    commands, records = await stage.looked()
    accepted = reply.status == 200
    assert accepted == (not allowed.child)
    may = Activity.RECORD in allowed and who != "nobody"
    out = choice == "store" and who in ("fp", "ifa", "exchange")
    event(
        f"server: {'child' if allowed.child else 'recorded' if may else 'not allowed'}{', opted out' if out else ''}"
    )
    assert bool(commands) == may
    assert bool(_added(commands)) == (may and not out)
    assert len(records) == accepted
    assert bool(_named(records)) == (may and not out)
    assert reply.ids == set()
    if may and not out and who != "new":
        assert {record.person for record in records} == {OWN}


SPOKEN = ("gdpr", "gdpr_consent", "gpp", "gpp_sid", "us_privacy")


@LIVELY
@given(ANYBODY, CHOICES, st.booleans(), st.sampled_from([UID, NEW_UID, ""]))
def test_a_sync_of_an_exchange(stage: Stage, signals: Signals, choice: str, known: bool, uid: str) -> None:
    """An exchange's id leads to a person, and ours leaves the house, where `sync` and `write id` allow;
    silence does not, since a sync knows no country."""
    stage.runner.run(_synced(stage, signals, choice, known, uid))


async def _synced(stage: Stage, signals: Signals, choice: str, known: bool, uid: str) -> None:
    await stage.populate(choice)
    said = replace(signals, country="", home="", minor=False)
    allowed = Allowed(said, opted_out=choice == "browser")
    query = {"uid": uid, **parameters(said)}
    reply = await stage.house.call(
        "/sync/generic", params=query, headers=headers(said), cookies=_cookies(choice, known)
    )
    commands, records = await stage.looked()
    silent = not any(query.get(name) for name in SPOKEN)
    may = not silent and Activity.SYNC in allowed and Activity.WRITE_ID in allowed and reply.status != 414
    out = choice == "store" and (known or uid == UID)
    event(f"sync: {'synced' if may else 'not allowed'}{', opted out' if out else ''}")
    assert records == []
    assert bool(commands) == may
    if out or not may:
        assert reply.ids == set()
        assert reply.status in (200, 414)
        assert "Location" not in reply.headers
        assert [c for c in _added(commands) if c.names((OWN, keys.person_tag(OWN)))] == []
    else:
        assert _added(commands)
        assert reply.status == 302
        own = next(iter(reply.ids))
        assert (own == OWN.hex()) == known
        assert f"id={Handles(RING.keys).handle('generic', bytes.fromhex(own))}&" in reply.headers["Location"]


@LIVELY
@given(ANYBODY, CHOICES, SHOPS, st.booleans())
def test_the_syncs_of_a_page(stage: Stage, signals: Signals, choice: str, shop: str, known: bool) -> None:
    """A page of a shop is told of syncs where `sync` and `read id` allow and the browser brings our id."""
    stage.runner.run(_offered(stage, signals, choice, shop, known))


async def _offered(stage: Stage, signals: Signals, choice: str, shop: str, known: bool) -> None:
    await stage.populate(choice)
    said = replace(signals, country=COUNTRY[shop], home="", minor=False)
    allowed = Allowed(said, opted_out=choice == "browser", nothing=shop == CHILD_DIRECTED)
    reply = await stage.house.call(
        "/v1/syncs",
        params={"advertiser": shop, **parameters(said)},
        headers={**headers(said), "Origin": f"https://{shop}.example"},
        cookies=_cookies(choice, known),
    )
    commands, records = await stage.looked()
    may = Activity.SYNC in allowed and Activity.READ_ID in allowed and known and reply.status != 414
    out = choice == "store"
    assert records == []
    assert reply.ids == set()
    assert bool(commands) == may
    assert bool(_added(commands)) == (may and not out)
    if reply.status == 200:
        handle = Handles(RING.keys).handle("generic", OWN)
        assert (handle.encode() in reply.body) == (may and not out)
        assert OWN.hex().encode() not in reply.body


@LIVELY
@given(ANYBODY, CHOICES, st.sampled_from([UID, NEW_UID]))
def test_an_upload_of_matches(stage: Stage, signals: Signals, choice: str, uid: str) -> None:
    """A line of an upload is written where what it says of consent allows `sync` and `write id`."""
    stage.runner.run(_uploaded(stage, signals, choice, uid))


async def _uploaded(stage: Stage, signals: Signals, choice: str, uid: str) -> None:
    await stage.populate(choice)
    said = Signals(
        signals.gdpr,
        signals.tc_string,
        signals.gpp,
        signals.gpp_sections,
        signals.us_privacy,
        country=signals.country.upper(),
    )
    allowed = Allowed(said)
    line = {"uid": uid, "id": OWN.hex(), "country": signals.country, **parameters(said, upload=True)}
    body, at = msgspec.json.encode(line), str(int(START_S))
    signature = hmac.new(
        exchange_secret(RING, "generic").encode(), at.encode() + b"." + body, hashlib.sha256
    ).hexdigest()
    reply = await stage.house.call(
        "/v1/matches/generic",
        "POST",
        data=body,
        headers={"X-Paceline-Timestamp": at, "X-Paceline-Signature": signature},
    )
    assert reply.status == 200
    commands, records = await stage.looked()
    may, out = Activity.SYNC in allowed and Activity.WRITE_ID in allowed, choice == "store"
    assert records == []
    assert bool(commands) == may
    assert bool(_added(commands)) == (may and not out)
    assert (b'"status":"matched"' in reply.body) == (may and not out)


def test_with_every_permission_all_of_it_happens(stage: Stage) -> None:
    """The properties above can fail: somebody who allows everything is read, written, named and given an id."""
    assert Allowed(FREE).activities == set(Activity)
    assert Cause.OPTED_OUT.value in str(GATE.explain(FREE, START_S, True).lines)
    stage.runner.run(_everything(stage))


async def _everything(stage: Stage) -> None:
    house = stage.house
    await stage.populate("none")
    pixel = await house.call(
        "/pixel", params={"advertiser": "hats", "event": "cart", "product": "hats-2", "gdpr": "0"}
    )
    commands, (record,) = await stage.looked()
    assert isinstance(record, ShopEvent)
    assert pixel.ids == {record.person.hex()}
    tag = keys.person_tag(record.person)
    written = {
        argument[:3]
        for c in _added(commands)
        if c.names((tag, record.person))
        for argument in c.arguments[:1]
    }
    assert written == {b"p:{", b"h:{", b"g:{"}
    answer = await house.ask(bid_request("hats", FREE, buyeruid=OWN.hex()))
    commands, _ = await stage.looked()
    assert any(
        c.name == b"HGETALL" and c.arguments == (keys.person_key(keys.person_tag(OWN)),) for c in commands
    )
    tokens = dict(TOKENS.findall(answer.body.decode()))
    assert b"hats-" not in answer.body
    drawn = await house.call(f"/render?t={tokens['render']}")
    assert b"/p/" not in drawn.body or b"Hats no. 1" in drawn.body
    for kind in ("bill", "click"):
        await house.call(f"/{kind}?p=1.0&c=USD&t={tokens.get(kind) or tokens['render']}")
    commands, records = await stage.looked()
    assert any(c.adds and c.arguments[0].startswith(b"f:{") for c in commands)
    assert {record.person for record in records} == {OWN}
