"""Actions on the operators' port: who may what, what is refused, and the line that each leaves."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer, make_mocked_request

from bidder import deeds as deeds_module
from bidder.deeds import FILE_NAME
from bidder.logs import DEEDS
from bidder.metrics import Tally
from bidder.settings import OpsPort
from bidder.web import admin as module
from bidder.web.access import COOKIE, FAILURES
from bidder.web.admin import MAX_BODY, NEEDS, STATUS, Admin, Target, Undone
from bidder.web.ops import ops_app
from bidder.web.roles import ROLES
from bidder.web.turns import Turns
from tests.bidder.web.operators import Service, access, bearer, token


class Deeds:
    """Remembers what was asked, and fails as told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.problem: Exception | None = None

    async def reload(self) -> None:
        self._do("reload")

    async def restart(self) -> None:
        self._do("restart")

    async def pause(self, target: Target, paused: bool) -> None:
        self._do(f"{'pause' if paused else 'resume'} {target}")

    def _do(self, what: str) -> None:
        if self.problem is not None:
            raise self.problem
        self.asked.append(what)


class Port:
    """A port with actions, on this machine."""

    def __init__(self, server: TestServer, deeds: Deeds, tally: Tally, folder: Path, admin: Admin) -> None:
        self.server, self.deeds, self.tally, self.folder, self.admin = server, deeds, tally, folder, admin

    async def post(self, action: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str]]:
        """The status and what is told."""
        async with (
            aiohttp.ClientSession() as client,
            client.post(self.server.make_url(f"/admin/{action}"), data=body, headers=headers) as answer,
        ):
            return answer.status, await answer.json()

    def lines(self) -> list[dict[str, str]]:
        """The audit file."""
        path = self.folder / FILE_NAME
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def counted(self) -> dict[tuple[str, ...], int]:
        """Results by action."""
        return {cell.labels: count for cell, count in self.tally.samples() if "admin" in cell.name and count}


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    deeds, tally = Deeds(), Tally()
    door = access(OpsPort())
    admin = Admin(door, deeds, tally, tmp_path)
    async with TestServer(ops_app(Service(), door, admin.routes())) as server:
        yield Port(server, deeds, tally, tmp_path, admin)


BODIES = {"reload": "", "restart": "{}", "pause": '{"advertiser":"shop"}', "resume": '{"advertiser":"shop"}'}
ALLOWED = {
    "viewer": set(),
    "operator": {"reload", "pause", "resume"},
    "admin": {"reload", "pause", "resume", "restart"},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", sorted(NEEDS))
async def test_who_may_what(port: Port, role: str, action: str) -> None:
    """The table of roles and actions; each call, done or refused, is one line that names who asked, and is counted."""
    status, told = await port.post(action, BODIES[action], **bearer(token(role)))
    may = action in ALLOWED[role]
    result = ("started" if action == "restart" else "done") if may else "forbidden"
    assert (status, told["result"]) == (STATUS[result], result)
    assert bool(port.deeds.asked) is may
    (line,) = port.lines()
    assert (line["who"], line["role"], line["action"], line["result"]) == ("ada", role, action, result)
    assert port.counted() == {(action, result): 1}


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ('{"advertiser":"shop"}', "shop"),
        ('{"advertiser":"shop","campaign":"c-1"}', "shop/campaign/c-1"),
        ('{"advertiser":"shop","line_item":"l"}', "shop/line/l"),
    ],
)
async def test_whose_money(port: Port, body: str, target: str) -> None:
    """An advertiser's, a campaign's, a line item's; the line says which."""
    status, told = await port.post("pause", body, **bearer(token("operator")))
    assert (status, told) == (200, {"action": "pause", "target": target, "result": "done"})
    assert port.deeds.asked == [f"pause {target}"]
    assert port.lines()[0]["target"] == target


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        "nonsense",
        '{"advertiser":"shop","campaign":"c","line_item":"l"}',
        '{"advertiser":"shop","more":1}',
        '{"advertiser":"a/b"}',
        '{"advertiser":"{x}"}',
        '{"advertiser":"a\\nb"}',
        '{"advertiser":"' + "x" * 65 + '"}',
        '{"advertiser":"shop"}' + " " * MAX_BODY,
    ],
)
async def test_what_is_not_asked_right(port: Port, body: str) -> None:
    """400 with what is wrong, nothing done, and a line all the same."""
    status, told = await port.post("pause", body, **bearer(token("operator")))
    assert (status, told["result"], bool(told["error"])) == (400, "malformed", True)
    assert port.deeds.asked == []
    assert port.lines()[0]["result"] == "malformed"


async def test_what_is_asked_for_is_told(port: Port) -> None:
    """Who sends no body, or a field that is none, reads what is taken."""
    for body in ("", '{"line": "x"}'):
        _, told = await port.post("pause", body, **bearer(token("operator")))
        assert '"advertiser": ID' in told["error"]


async def test_plain_actions_take_no_body(port: Port) -> None:
    """So that what was meant for another action is not taken for this one."""
    status, _ = await port.post("reload", '{"advertiser":"shop"}', **bearer(token("operator")))
    assert (status, port.deeds.asked) == (400, [])


@pytest.mark.parametrize("result", ["unknown", "busy", "unreachable"])
async def test_what_cannot_be_done(port: Port, result: str) -> None:
    """Its own status, in words, and in the line."""
    port.deeds.problem = Undone(result, "why not")
    status, told = await port.post("restart", "", **bearer(token("admin")))
    assert (status, told["error"]) == (STATUS[result], "why not")
    assert "why not" in port.lines()[0]["detail"]


@pytest.mark.parametrize("action", sorted(NEEDS))
async def test_a_token_is_needed_on_loopback_too(port: Port, action: str) -> None:
    """Without one nothing is done, nothing of the body is looked at, and the line names nobody."""
    status, told = await port.post(action, "nonsense")
    assert (status, told["result"]) == (401, "unauthenticated")
    assert [(line["who"], line["role"]) for line in port.lines()] == [("unknown", "none")]


async def test_no_cookie_acts(port: Port) -> None:
    """A page of another site that makes a browser call brings the cookie along: it counts for nothing here."""
    status, _ = await port.post("reload", "", Cookie=f"{COOKIE}={token('admin')}")
    assert (status, port.deeds.asked) == (401, [])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_actions_are_posted(port: Port, method: str) -> None:
    """No link and no picture acts, and no other site is told that it may."""
    async with (
        aiohttp.ClientSession(headers=dict(bearer(token("admin")))) as client,
        client.request(method, port.server.make_url("/admin/reload")) as answer,
    ):
        assert answer.status == 405
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert port.deeds.asked == []


async def test_wrong_tokens_are_slowed(port: Port) -> None:
    """After FAILURES wrong ones of an address, 429 without a line each, so that none can fill a disk; who has a right
    one is heard all the same."""
    for _ in range(FAILURES):
        assert (await port.post("reload", "", **bearer("wrong")))[0] == 401
    for _ in range(3):
        status, told = await port.post("reload", "", **bearer("wrong"))
        assert (status, told["result"]) == (429, "limited")
    assert len(port.lines()) == FAILURES
    assert port.counted() == {("reload", "unauthenticated"): FAILURES, ("reload", "limited"): 3}
    assert (await port.post("reload", "", **bearer(token("operator"))))[0] == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}])
async def test_no_token_is_slowed_as_a_wrong_one(port: Port, headers: dict[str, str]) -> None:
    """Who brings none is told to wait, too, and leaves no line then."""
    found = [(await port.post("reload", "", **headers))[0] for _ in range(FAILURES + 3)]
    assert found == [401] * FAILURES + [429] * 3
    assert len(port.lines()) == FAILURES


async def test_a_token_that_is_not_enough_is_slowed(port: Port) -> None:
    """A viewer who asks for what it may not is told to wait at last; another holder is not."""
    found = [(await port.post("reload", "", **bearer(token("viewer"))))[0] for _ in range(FAILURES + 3)]
    assert found == [403] * FAILURES + [429] * 3
    assert len(port.lines()) == FAILURES
    assert (await port.post("reload", "", **bearer(token("viewer", name="eve"))))[0] == 403
    assert (await port.post("reload", "", **bearer(token("operator"))))[0] == 200


async def test_lines_of_nobody_are_few(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond their budget calls without a token leave one line for all of them; who has a token leaves its own."""
    monkeypatch.setattr(port.admin, "_nameless", Turns(0.0, 2, 1))
    for _ in range(5):
        assert (await port.post("reload", ""))[0] == 401
    assert (await port.post("reload", "", **bearer(token("operator"))))[0] == 200
    assert [line["who"] for line in port.lines()] == ["unknown", "unknown", "ada"]
    assert port.counted()["reload", "unauthenticated"] == 5
    await port.admin.close(port.server.app)
    last = port.lines()[-1]
    assert (last["action"], last["result"]) == ("calls", "unauthenticated")
    assert last["detail"] == "3 more without a good token"


async def test_the_others_are_summed_up_by_the_minute(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for the end of the service."""
    monkeypatch.setattr(port.admin, "_nameless", Turns(0.0, 0, 1))
    monkeypatch.setattr(module, "SUMMARY_S", 0.01)
    await port.post("reload", "")
    async with asyncio.timeout(60):
        while not port.lines():  # noqa: ASYNC110  a file has no event
            await asyncio.sleep(0.01)
    assert port.lines()[0]["detail"] == "1 more without a good token"


@pytest.mark.parametrize("action", sorted(NEEDS))
async def test_a_fault_of_ours_leaves_a_line(
    port: Port, action: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks while an action is carried out: no 500, a line that says that it failed, and a log that says
    why."""
    port.deeds.problem = RuntimeError("secret inside")
    status, told = await port.post(action, BODIES[action], **bearer(token("admin")))
    assert (status, told["result"], told["error"]) == (
        STATUS["failed"],
        "failed",
        "see the log: RuntimeError",
    )
    assert [(line["who"], line["action"], line["result"]) for line in port.lines()] == [
        ("ada", action, "failed")
    ]
    assert "secret inside" in caplog.text


async def test_who_is_cut_off_leaves_a_line(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action that is cancelled in its midst, as when the service ends."""
    entered = asyncio.Event()

    async def hanging() -> None:
        entered.set()
        raise asyncio.CancelledError

    monkeypatch.setattr(port.deeds, "reload", hanging)
    again = Admin(access(OpsPort()), port.deeds, port.tally, port.folder)
    handler = next(route.handler for route in again.routes() if route.path == "/admin/reload")
    request = make_mocked_request("POST", "/admin/reload", headers=dict(bearer(token("admin"))))
    request._read_bytes = b""
    with pytest.raises(asyncio.CancelledError):
        await handler(request)  # type: ignore[arg-type,misc]  # a function, not a view
    assert entered.is_set()
    assert [(line["result"], "cut off" in line["detail"]) for line in port.lines()] == [("failed", True)]


async def test_a_disk_that_hangs_keeps_nobody(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are written beside the event loop: while one waits for its disk others are served, and an answer waits for
    WRITTEN_S at most."""
    disk, told = threading.Event(), deeds_module.tell

    def slow(*what: Any) -> None:
        assert disk.wait(60)
        told(*what)

    monkeypatch.setattr(deeds_module, "tell", slow)
    monkeypatch.setattr(module, "WRITTEN_S", 0.01)
    try:
        assert (await port.post("reload", "", **bearer(token("operator"))))[0] == 200
        assert port.lines() == []
    finally:
        disk.set()
    await asyncio.wait([port.admin._written(None)])
    assert len(port.lines()) == 1


@pytest.mark.parametrize(
    "made", [lambda: token("admin", life_s=-1), lambda: token("admin")[:-1], lambda: "", lambda: "x y"]
)
async def test_what_is_no_token(port: Port, made: Any) -> None:
    """Ended, cut, empty or nonsense: as if there were none."""
    assert (await port.post("reload", "", **bearer(made())))[0] == 401
    assert port.deeds.asked == []


async def test_lines_hold_no_token(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the file nor the log has it; nor a whole address."""
    secret = token("operator")
    with caplog.at_level(logging.INFO, DEEDS):
        await port.post("pause", json.dumps({"advertiser": secret[:60]}), **bearer(secret))
    logged = "".join(each.getMessage() for each in caplog.records if each.name == DEEDS)
    assert logged
    told = (port.folder / FILE_NAME).read_text() + logged
    assert secret not in told
    assert secret[:60] not in told
    assert "127.0.0.1" not in told
    assert "127.0.0.0/24" in told
