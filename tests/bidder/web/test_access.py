"""Who may look at the operators' port: names, tokens, the session of a browser."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request

from bidder.clock import ManualClock, SystemClock
from bidder.deeds import FILE_NAME
from bidder.notices.keys import Keyring
from bidder.settings import OpsPort
from bidder.web.access import COOKIE, FAILURES, SECURE_COOKIE, SESSION_S, Access, host_of
from bidder.web.roles import Holder, Role, check_token
from tests.bidder.console.support import serving
from tests.bidder.web.operators import NEW_KEY, OLD_KEY, RING, bearer, token

FAR = OpsPort(host="0.0.0.0")
PATHS = ("/", "/events", "/metrics")


async def status(server: TestServer, path: str, **headers: str) -> int:
    """Of a GET."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(server.make_url(path), headers=headers) as answer,
    ):
        return answer.status


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        (OpsPort(), set()),
        (OpsPort(host="127.0.0.2"), set()),
        (OpsPort(host="::1"), set()),
        (OpsPort(token_required=True), {"/", "/events", "/metrics"}),
        (OpsPort(token_required=True, open_metrics=True), {"/", "/events", "/metrics"}),
        (FAR, {"/", "/events", "/metrics"}),
        (OpsPort(host="10.0.0.1", open_metrics=True), {"/", "/events"}),
    ],
)
async def test_where_a_token_is_needed(tmp_path: Path, settings: OpsPort, needed: set[str]) -> None:
    """The table of addresses and settings; probes never need one, and any role will do."""
    async with serving(tmp_path, settings) as (server, _):
        asked = {path for path in PATHS if await status(server, path) == 401}
        assert asked == needed
        for path in needed:
            assert [await status(server, path, **bearer(token(role.word))) for role in Role] == [200] * 3
        assert await status(server, "/live") == 200
        assert await status(server, "/ready") == 503


async def test_a_wrong_token_is_refused_where_none_is_needed(tmp_path: Path) -> None:
    """Who brings one wants to be somebody: it is told that it is not."""
    async with serving(tmp_path) as (server, _):
        for path in PATHS:
            assert await status(server, path, **bearer("wrong")) == 401
            assert await status(server, path, Authorization="Basic YTpi") == 401


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("localhost", True),
        ("LOCALHOST:8082", True),
        ("127.0.0.1:1", True),
        ("[::1]:8082", True),
        ("tunnel.example:99", True),
        ("tunnel.example.", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example:127.0.0.1", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
async def test_names_of_this_machine(tmp_path: Path, name: str, known: bool) -> None:
    """A page that points its own name at this machine gets nothing: neither figures nor actions; probes may."""
    async with serving(tmp_path, OpsPort(hosts=("Tunnel.example",))) as (server, _):
        for path in ("/", "/metrics", "/console.js", "/nothing"):
            assert (await status(server, path, Host=name) == 421) is not known
        assert await status(server, "/live", Host=name) == 200
        async with (
            aiohttp.ClientSession() as client,
            client.post(
                server.make_url("/admin/reload"), headers={"Host": name, **bearer(token("admin"))}
            ) as answer,
        ):
            assert (answer.status == 421) is not known


async def test_elsewhere_every_name_will_do(tmp_path: Path) -> None:
    """Off loopback, where no names are set, the token decides, which no other site has."""
    async with serving(tmp_path, FAR) as (server, _):
        assert await status(server, "/metrics", Host="10.1.2.3:8082", **bearer(token("viewer"))) == 200


async def test_elsewhere_names_that_are_set(tmp_path: Path) -> None:
    """Where names are given the port answers to them alone, off loopback too: metrics may be open there, and a page
    could point its own name at it."""
    settings = OpsPort(host="0.0.0.0", open_metrics=True, hosts=("paceline", "Ops.example"))
    async with serving(tmp_path, settings) as (server, _):
        found = {
            name: await status(server, "/metrics", Host=name)
            for name in ("paceline:8082", "ops.example", "localhost:8082", "127.0.0.1:8082", "evil.example")
        }
        assert found.pop("evil.example") == 421
        assert set(found.values()) == {200}
        assert await status(server, "/live", Host="evil.example") == 200


def test_two_hosts_are_none() -> None:
    """A name is one name."""
    assert host_of("a.example:80") == "a.example"
    assert host_of("[::1]") == "[::1]"


async def test_a_browser_signs_in(tmp_path: Path) -> None:
    """The form takes a token; the session is a viewer's whatever was shown, of no use to an action, no script can read
    it, no other site sends it, and signing out ends it. Each login is a line."""
    async with serving(tmp_path, FAR) as (server, _):
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as client:
            async with client.get(server.make_url("/")) as answer:
                assert answer.status == 401
                assert 'name="token"' in await answer.text()
            form = {"token": token("admin", name="eve")}
            async with client.post(server.make_url("/login"), data=form, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/")
                cookie = answer.headers["Set-Cookie"]
                assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
                assert "Max-Age" not in cookie
                session = answer.cookies[COOKIE].value
            holder = check_token(RING, session, SystemClock().now_s())
            assert holder is not None
            assert (holder.name, holder.role) == ("eve", Role.VIEWER)
            assert holder.expires_s <= SystemClock().now_s() + SESSION_S
            async with client.get(server.make_url("/")) as answer:
                assert answer.status == 200
            async with client.post(server.make_url("/admin/reload")) as answer:
                assert answer.status == 401
            async with client.post(server.make_url("/admin/reload"), headers=bearer(session)) as answer:
                assert answer.status == 403
            async with client.post(server.make_url("/logout"), allow_redirects=False) as answer:
                assert answer.status == 303
            async with client.get(server.make_url("/")) as answer:
                assert answer.status == 401
    line = json.loads((tmp_path / FILE_NAME).read_text().splitlines()[0])
    assert (line["who"], line["role"], line["action"], line["result"]) == ("eve", "admin", "login", "done")


@pytest.mark.parametrize(
    ("data", "headers", "wanted"),
    [
        (b"token=wrong", {}, 401),
        (b"", {}, 401),
        (b"\xff", {}, 400),
        (b"a=1&b=2&c=3&d=4&e=5", {}, 400),
        (b"token=" + b"x" * 8_192, {}, 400),
        (b"token=right", {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_what_does_not_sign_in(
    tmp_path: Path, data: bytes, headers: dict[str, str], wanted: int
) -> None:
    """No cookie, a page that says why, and never a fault of ours."""
    data = data.replace(b"right", token("admin").encode())
    async with (
        serving(tmp_path, FAR) as (server, _),
        aiohttp.ClientSession() as client,
        client.post(server.make_url("/login"), data=data, headers=headers) as answer,
    ):
        assert answer.status == wanted
        assert "Set-Cookie" not in answer.headers
        assert 'role="alert"' in await answer.text()


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, 303),
        ({"Origin": "http://HERE"}, 303),
        ({"Origin": "https://HERE"}, 303),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "http://HERE", "Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_where_a_form_comes_from(tmp_path: Path, headers: dict[str, str], wanted: int) -> None:
    """Over plain HTTP a browser tells the origin alone: another site's form signs nobody in, and leaves a line; a proxy
    may have taken TLS away."""
    async with (
        serving(tmp_path, FAR) as (server, _),
        aiohttp.ClientSession() as client,
    ):
        here = {name: text.replace("HERE", f"127.0.0.1:{server.port}") for name, text in headers.items()}
        form = {"token": token("viewer")}
        url = server.make_url("/login")
        async with client.post(url, data=form, headers=here, allow_redirects=False) as answer:
            assert answer.status == wanted
            assert ("Set-Cookie" in answer.headers) is (wanted == 303)
        async with client.get(server.make_url("/")) as answer:
            assert (
                answer.headers["Referrer-Policy"] == "same-origin"
            )  # else our own form's origin would be `null`
    line = json.loads((tmp_path / FILE_NAME).read_text().splitlines()[0])
    assert (line["action"], line["result"]) == ("login", "done" if wanted == 303 else "forbidden")


async def test_an_empty_form_is_slowed(tmp_path: Path) -> None:
    """Without a token at all, as with a wrong one."""
    async with serving(tmp_path, FAR) as (server, _), aiohttp.ClientSession() as client:
        found = []
        for _ in range(FAILURES + 2):
            async with client.post(server.make_url("/login")) as answer:
                found.append(answer.status)
    assert found == [401] * FAILURES + [429] * 2
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == FAILURES


@pytest.mark.parametrize(("scheme", "name"), [("http", COOKIE), ("https", SECURE_COOKIE)])
def test_the_cookie_of_a_way(scheme: str, name: str) -> None:
    """Over TLS its name is one that no other host and nothing in the clear can set, with the attributes that browsers
    ask for such a name, also when it is taken back; the other way's name counts for nothing."""
    door = Access(FAR, RING, SystemClock())
    shown = token("admin")
    holder = check_token(RING, shown, SystemClock().now_s())
    assert holder is not None
    response = web.Response()
    door.open_session(made(scheme), response, shown, holder)
    assert list(response.cookies) == [name]
    set_, left = response.cookies[name], web.Response()
    door.close_session(made(scheme), left)
    for each in (set_, left.cookies[name]):
        assert bool(each["secure"]) is (scheme == "https")
        assert (each["path"], each["domain"], each["httponly"]) == ("/", "", True)
    for other in (COOKIE, SECURE_COOKIE):
        found = door.looker(made(scheme, Cookie=f"{other}={set_.value}"), token=True)
        assert isinstance(found, Holder) is (other == name)


def made(scheme: str, **headers: str) -> web.Request:
    """A call that came so."""
    return make_mocked_request("GET", "/", headers=headers).clone(scheme=scheme)


def test_a_session_goes_with_the_key_of_its_token() -> None:
    """It is signed by the key that signed the token which was shown, not by a newer one: whoever takes a token back by
    its key takes its sessions, too."""
    old, new = Keyring((OLD_KEY,)), Keyring((NEW_KEY,))
    door = Access(FAR, RING, SystemClock())
    for keyring in (old, new):
        shown = token("admin", keyring=keyring)
        holder = check_token(RING, shown, SystemClock().now_s())
        assert holder is not None
        response = web.Response()
        door.open_session(made("http"), response, shown, holder)
        session = response.cookies[COOKIE].value
        for ring in (old, new):
            assert (check_token(ring, session, SystemClock().now_s()) is not None) is (ring is keyring)


async def test_a_session_ends_with_its_key(tmp_path: Path) -> None:
    """A keyring that was read anew without the key of a token believes neither it nor its session."""
    clock = ManualClock(SystemClock().now_s())
    door = Access(FAR, RING, clock)
    request = make_mocked_request("GET", "/", headers=dict(bearer(token("viewer"))))
    assert getattr(door.looker(request, token=True), "name", "") == "ada"
    door.adopt(Keyring(((3, bytes(range(64, 96))),)))
    assert getattr(door.looker(request, token=True), "name", "") == ""
