"""Cookie sync: whose id is whose, only where it may be, so often a day, and never to where a call says."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bidder.exchanges import Exchange
from bidder.rights.erase import Eraser
from bidder.shop.calls import Call
from bidder.shop.cookies import person_of
from bidder.shop.receive import MAX_WAITING
from bidder.shop.syncs import MAX_OFFERED, filled
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter
from bidder.stores.sync_times import unpack_syncs
from bidder.web.public import GIF
from tests.bidder.shop.support import (
    AGREED,
    CONSENT,
    EUROPE,
    HANDLES,
    NOW_S,
    STORING,
    SYNCED,
    Stand,
    standing,
)
from tests.servers import RealServer

OWN = "0123456789abcdef0123456789abcdef"
HOME = {"Origin": "https://shop.test"}
COOKIE = {"pl_id": OWN}
ME = bytes.fromhex(OWN)


async def test_an_exchange_is_told_of_our_id_and_we_keep_its(stand: Stand) -> None:
    """The browser goes to the exchange's own URL with a handle and its consent, escaped; the row leads to the
    person."""
    query = {**AGREED, "uid": "g-1", "gpp": "DBAA", "gpp_sid": "2", "us_privacy": "1---"}
    reply = await stand.call("/sync/google", params=query, cookies=COOKIE)
    assert (reply.status, reply.person) == (302, OWN)
    target = urlsplit(reply.headers["Location"])
    assert (target.scheme, target.netloc, target.path) == ("https", "google.example", "/match")
    assert parse_qs(target.query) == {
        "their": [HANDLES.handle("google", ME)], "gdpr": ["1"], "c": [CONSENT],
        "g": ["DBAA"], "s": ["2"], "u": ["1---"],
    }  # fmt: skip
    assert await stand.visitors.resolve(["google/g-1"]) == bytes.fromhex(OWN)
    assert stand.count("paceline_syncs_total", "google", "matched") == 1


async def test_a_number_that_was_erased_is_not_matched_again(stand: Stand) -> None:
    """A browser that still brings it gets another, and the exchange's id leads to that."""
    await stand.call("/sync/quiet", params={**AGREED, "uid": "q-1"}, cookies=COOKIE)
    await Eraser(stand.client).erase(bytes.fromhex(OWN), NOW_S, "person")
    stand.clock.advance(60)
    reply = await stand.call("/sync/quiet", params={**AGREED, "uid": "q-1"}, cookies=COOKIE)
    assert reply.person not in (None, OWN)
    assert await stand.visitors.resolve(["quiet/q-1"]) == bytes.fromhex(reply.person or "")
    assert not await stand.client.exists(keys.person_key(OWN.encode()))


async def test_a_loop_of_two_redirects_ends(stand: Stand) -> None:
    """What the exchange sends back the same day gets a GIF: the id was handed out once."""
    query = {**AGREED, "uid": "g-1"}
    replies = [await stand.call("/sync/google", params=query, cookies=COOKIE) for _ in range(3)]
    assert [reply.status for reply in replies] == [302, 200, 200]
    assert replies[1].body == GIF
    stand.clock.advance(86_400)
    assert (await stand.call("/sync/google", params=query, cookies=COOKIE)).status == 302


async def test_an_exchange_without_a_sync_url_gets_a_gif(stand: Stand) -> None:
    """Its id is kept; ours is told to nobody."""
    reply = await stand.call("/sync/quiet", params={**AGREED, "uid": "q"}, cookies=COOKIE)
    assert (reply.status, reply.body) == (200, GIF)
    assert await stand.visitors.resolve(["quiet/q"]) == bytes.fromhex(OWN)


async def test_a_browser_may_keep_our_id_for_less(stand: Stand) -> None:
    """Where the configuration keeps people for a week, so does the cookie."""
    stand.syncs.keep_s = 7 * 86_400
    reply = await stand.call("/sync/quiet", params=AGREED, cookies=COOKIE)
    assert "Max-Age=604800" in reply.cookies["pl_id"]


async def test_somebody_new_gets_an_id(stand: Stand) -> None:
    """An exchange may be the first to send a browser; who has not come back yet is forgotten after a day."""
    reply = await stand.call("/sync/quiet", params={**AGREED, "uid": "q"})
    assert 0 < await stand.client.ttl(keys.person_key(reply.person.encode())) <= 86_400


@pytest.mark.parametrize(
    "query", [{"gdpr": "1"}, {"gdpr": "1", "gdpr_consent": "x"}, {"us_privacy": "1YYY"}, {"coppa": "1"}]
)
async def test_without_consent_no_id_moves(stand: Stand, query: dict[str, str]) -> None:
    """No row, no redirect, no cookie."""
    reply = await stand.call("/sync/google", params={**query, "uid": "g"}, cookies=COOKIE)
    assert (reply.status, reply.cookies, await stand.stored()) == (200, {}, {})
    assert stand.count("paceline_syncs_total", "google", "unconsented") == 1


async def test_consent_to_storing_is_enough(stand: Stand) -> None:
    """Purpose 1 and our vendor: what a sync needs."""
    assert (await stand.call("/sync/google", params=STORING, cookies=COOKIE)).status == 302


async def test_who_opted_out_is_not_synced(stand: Stand) -> None:
    """By the cookie or by the store: no row, no redirect; our ids are taken back."""
    query = {**AGREED, "uid": "g"}
    reply = await stand.call("/sync/google", params=query, cookies={"pl_optout": "1", **COOKIE})
    assert (reply.status, await stand.stored()) == (200, {})
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    before = await stand.stored()
    for path, more in (("/sync/google", query), ("/sync/google", AGREED)):
        reply = await stand.call(path, params=more, cookies=COOKIE)
        assert reply.status == 200
        assert reply.cookies["pl_optout"].startswith("1;")
    assert await stand.stored() == before


async def test_an_id_that_was_opted_out_opts_no_browser_out(stand: Stand) -> None:
    """Any page can make a browser send it: nothing is written, no cookie is set or taken, nobody is told an id."""
    query = {**AGREED, "uid": "g"}
    await stand.call("/sync/google", params=query, cookies=COOKIE)
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    before = await stand.stored()
    for cookies in ({"pl_id": "ab" * 16}, {}):
        reply = await stand.call("/sync/google", params=query, cookies=cookies)
        assert (reply.status, reply.cookies) == (200, {})
    assert await stand.stored() == before
    assert stand.count("paceline_syncs_total", "google", "id_opted_out") == 2


async def test_opting_in_lifts_nobody_elses_tombstone(stand: Stand) -> None:
    """Whoever opted in goes on being known by our own number; the exchange's id that was opted out stays out."""
    query = {**AGREED, "uid": "q"}
    await stand.call("/sync/quiet", params=query, cookies=COOKIE)
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    other = "ab" * 16
    reply = await stand.call("/sync/quiet", params=query, cookies={"pl_id": other, "pl_optin": "1"})
    assert reply.person == other
    assert await stand.visitors.resolve(["quiet/q"]) == keys.OPTED_OUT


async def test_taking_an_id_and_opting_out_leaves_the_owner_in(stand: Stand) -> None:
    """The owner's next sync is matched again, and the owner keeps the cookie."""
    query, taker = {**AGREED, "uid": "q"}, "ab" * 16
    for person in (OWN, taker):
        await stand.call("/sync/quiet", params=query, cookies={"pl_id": person})
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(taker), NOW_S)
    reply = await stand.call("/sync/quiet", params=query, cookies=COOKIE)
    assert (reply.person, "pl_optout" in reply.cookies) == (OWN, False)
    assert await stand.visitors.resolve(["quiet/q"]) == bytes.fromhex(OWN)


@pytest.mark.parametrize("query", [{}, {"gdpr": ""}, {"gpp": ""}])
async def test_silence_is_no_consent(stand: Stand, query: dict[str, str]) -> None:
    """A sync knows no country: who says nothing of consent gets a GIF, and nothing else."""
    reply = await stand.call("/sync/quiet", params={**query, "uid": "q"}, cookies=COOKIE)
    assert (reply.status, reply.cookies, await stand.stored()) == (200, {}, {})
    reply = await stand.call("/sync/quiet", params={"gdpr": "0", "uid": "q"}, cookies=COOKIE)
    assert reply.person == OWN


@pytest.mark.parametrize(
    "uid", ["a b", "é", "x" * 257, "a\r\nSet-Cookie: a=b", "jane@mail.example", "jane%40mail.example", "\x00"]
)
async def test_an_id_that_cannot_be_one_is_refused(stand: Stand, uid: str) -> None:
    """400, and no header of ours holds any of it."""
    reply = await stand.call("/sync/google", params={**AGREED, "uid": uid}, cookies=COOKIE)
    assert reply.status == 400
    assert "Set-Cookie" not in reply.headers
    assert await stand.stored() == {}


@pytest.mark.parametrize("name", ["nobody", "GOOGLE", "..%2fgoogle", "google%00", "%0d%0ax"])
async def test_an_exchange_that_is_none_of_ours_is_a_404(stand: Stand, name: str) -> None:
    """Whatever the path holds."""
    assert (await stand.call(f"/sync/{name}")).status == 404


@pytest.mark.parametrize(
    "name", ["url", "redirect", "r", "redir", "callback", "next", "google", "sync_url", "id"]
)
async def test_no_parameter_is_a_target(stand: Stand, name: str) -> None:
    """What a call brings never decides where a browser goes."""
    query = {**AGREED, name: "https://evil.test/", "gpp": "DBAA", "us_privacy": "1---"}
    reply = await stand.call("/sync/google", params=query, cookies=COOKIE)
    assert urlsplit(reply.headers["Location"]).netloc == "google.example"
    assert "evil" not in reply.headers["Location"]


@given(values=st.lists(st.text(max_size=40), min_size=5, max_size=5))
def test_a_filled_url_keeps_its_host_and_its_parts(values: list[str]) -> None:
    """Any text in any field: one line of ASCII, the same host, path and names of parameters."""
    names = ("gdpr", "gdpr_consent", "gpp", "gpp_sid", "us_privacy")
    url = filled(SYNCED.sync_url, "01" * 17, Call(tuple(zip(names, values, strict=True)), {}, {}))
    target = urlsplit(url)
    assert (target.scheme, target.netloc, target.path, target.fragment) == (
        "https",
        "google.example",
        "/match",
        "",
    )
    assert [part.partition("=")[0] for part in target.query.split("&")] == [
        "their",
        "gdpr",
        "c",
        "g",
        "s",
        "u",
    ]
    assert url.isascii()
    assert not any(character.isspace() or ord(character) < 33 for character in url)


async def test_a_store_that_is_down_is_a_gif(outage: Stand) -> None:
    """And counted."""
    reply = await outage.call("/sync/google", params={**AGREED, "uid": "g"}, cookies=COOKIE)
    assert (reply.status, reply.body) == (200, GIF)
    assert outage.count("paceline_syncs_total", "google", "failed") == 1
    reply = await outage.call(
        "/v1/syncs", params={"advertiser": "boots", **AGREED}, cookies=COOKIE, headers=HOME
    )
    assert reply.json == {"syncs": []}


async def test_syncs_beyond_the_limit_wait_for_no_store(stand: Stand) -> None:
    """While MAX_WAITING wait, the next gets a GIF, and a page no pixels."""
    stand.syncs._waiting = MAX_WAITING
    assert (await stand.call("/sync/google", params=AGREED, cookies=COOKIE)).status == 200
    reply = await stand.call(
        "/v1/syncs", params={"advertiser": "boots", **AGREED}, cookies=COOKIE, headers=HOME
    )
    assert reply.json == {"syncs": []}


async def test_a_page_gets_each_exchange_so_often_a_day(stand: Stand) -> None:
    """The pixels of all exchanges that take our id, as often a day as their profile says, and anew the next day."""

    async def hosts() -> list[str | None]:
        reply = await stand.call(
            "/v1/syncs", params={"advertiser": "boots", **AGREED}, cookies=COOKIE, headers=HOME
        )
        return [urlsplit(url).hostname for url in reply.json["syncs"]]

    assert [await hosts() for _ in range(3)] == [["google.example", "often.example"], ["often.example"], []]
    (field,) = [fields[b"y"] for fields in (await stand.stored()).values()]
    assert sorted(synced.times for synced in unpack_syncs(field)) == [1, 2]
    stand.clock.advance(86_400)
    assert await hosts() == ["google.example", "often.example"]
    assert stand.count("paceline_syncs_sent_total", "often", "tag") == 3


async def test_a_page_loads_so_many_pixels_at_most(redis_server: RealServer) -> None:
    """MAX_OFFERED of one list; the others come with the next page."""
    many = [Exchange(name=f"x{n}", sync_url=f"https://x{n}.example/?{{id}}") for n in range(MAX_OFFERED + 2)]
    async with standing(redis_server.url, exchanges=many) as stand:
        told = {"advertiser": "boots", **AGREED}
        pages = [await stand.call("/v1/syncs", params=told, cookies=COOKIE, headers=HOME) for _ in range(3)]
        assert [len(page.json["syncs"]) for page in pages] == [MAX_OFFERED, 2, 0]


@pytest.mark.parametrize(
    ("query", "cookies"),
    [
        (AGREED, {}),
        ({}, COOKIE),
        ({"gdpr": "1"}, COOKIE),
        (AGREED, {"pl_optout": "1", **COOKIE}),
        ({**AGREED, "coppa": "1"}, COOKIE),
    ],
)
async def test_a_page_gets_nothing_without_an_id_or_consent(
    stand: Stand, query: dict[str, str], cookies: dict[str, str]
) -> None:
    """An empty list, and nothing written."""
    told = {"advertiser": "boots", **query}
    reply = await stand.call("/v1/syncs", params=told, cookies=cookies, headers=HOME)
    assert (reply.status, reply.json, await stand.stored()) == (200, {"syncs": []}, {})


async def test_a_tombstone_ends_a_pages_syncs(stand: Stand) -> None:
    """Who opted out gets no pixels; the browser is told."""
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    reply = await stand.call(
        "/v1/syncs", params={"advertiser": "boots", **AGREED}, cookies=COOKIE, headers=HOME
    )
    assert reply.json == {"syncs": []}
    assert reply.cookies["pl_optout"].startswith("1;")


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.test", True),
        ("https://www.shop.test", True),
        ("https://evil.test", False),
        ("http://shop.test", False),
        ("http://www.shop.test:8080", False),
        ("null", False),
        ("https://shop.test.evil.test", False),
        ("", False),
    ],
)
async def test_only_the_shops_pages_may_read(stand: Stand, method: str, origin: str, allowed: bool) -> None:
    """The shop's own origin is named, with credentials, where https brought it; others have no permission, and never a
    star; a 403 where the host is another's."""
    headers = {"Origin": origin} if origin else {}
    told = {"advertiser": "boots", **AGREED}
    reply = await stand.call("/v1/syncs", method, params=told, headers=headers, cookies=COOKIE)
    assert reply.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert reply.headers.get("Access-Control-Allow-Credentials") == ("true" if allowed else None)
    assert reply.headers["Vary"] == "Origin"
    if method == "GET":
        ours = allowed or origin.startswith("http://")
        assert reply.status == (200 if ours else 403)
        assert bool(await stand.stored()) == ours


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:80", "http://a.shop.localhost", "http://127.0.0.1:8000", "http://127.0.0.1.nip.io"],
)
async def test_pages_of_this_machine_may_read_without_https(redis_server: RealServer, origin: str) -> None:
    """Loopback alone: what else looks like it is somebody's network."""
    own = replace(EUROPE, domain=urlsplit(origin).hostname or "")
    async with standing(redis_server.url, advertisers=[own]) as stand:
        told = {"advertiser": "boots", **AGREED}
        reply = await stand.call("/v1/syncs", params=told, headers={"Origin": origin}, cookies=COOKIE)
        allowed = reply.headers.get("Access-Control-Allow-Origin")
        assert allowed == (None if origin.endswith("nip.io") else origin)


async def test_what_is_handed_out_is_no_key_to_the_person(stand: Stand) -> None:
    """Two exchanges and a page of a shop are told different things, none of which holds our id or is taken for it."""
    reply = await stand.call("/sync/google", params=AGREED, cookies=COOKIE)
    (redirect,) = parse_qs(urlsplit(reply.headers["Location"]).query)["their"]
    listed = await stand.call(
        "/v1/syncs", params={"advertiser": "boots", **AGREED}, cookies=COOKIE, headers=HOME
    )
    (url,) = listed.json["syncs"]
    often = urlsplit(url).query
    assert OWN not in reply.headers["Location"] + url
    assert redirect[2:] != often[2:]
    assert (HANDLES.person("google", redirect), HANDLES.person("often", often)) == (ME, ME)
    for told in (redirect, redirect[:32], redirect[2:], often, often[:32], often[2:]):
        for name in ("pl_id", "pl_pid"):
            assert person_of({name: told}) != ME
