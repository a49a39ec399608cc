"""Operators at a running service: its page, its actions, and the lines that they leave."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.notices.keys import load_keys
from bidder.settings import Stores
from bidder.supervisor.ledger import opened
from tests.bidder.supervisor.serving import Serving, until
from tests.bidder.web.operators import token

pytestmark = pytest.mark.process
SHOP = load_book(demo_book_path()).advertisers[0]
LINE = SHOP.campaigns[0].line_items[0].id


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """Two stand-ins for workers under a real supervisor, with a real ledger."""
    running = Serving(tmp_path / "data").until_ready()
    yield running
    family = running.descendants()
    running.process.terminate()
    running.wait()
    psutil.wait_procs(family, 30)


def posted(serving: Serving, path: str, role: str = "", body: str = "") -> tuple[int, dict[str, Any]]:
    """What an action answers; with the token of a role that the service's own keys signed."""
    keyring = load_keys({}, "", serving.data_dir)
    headers = {"Authorization": f"Bearer {token(role, keyring=keyring)}"} if role else {}
    url = f"http://127.0.0.1:{serving.ports['ops']}{path}"
    try:
        asked = urllib.request.Request(url, body.encode(), headers, method="POST")
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def paused(serving: Serving) -> set[str]:
    """The shop's accounts of which no money leaves, as the ledger says."""

    async def look() -> set[str]:
        url = (serving.data_dir / "ledger.url").read_text().strip()
        async with opened(Stores(redis_url=url)) as ledger:
            return set((await ledger.books(SHOP.id)).paused)

    return asyncio.run(look())


def test_what_operators_do(serving: Serving) -> None:
    """Reload reaches every worker; pause and resume reach the ledger; restart replaces every worker; what may not be,
    and what is not there, is refused: and all of it stands in audit.log, and in the metrics."""
    target = json.dumps({"advertiser": SHOP.id, "line_item": LINE})
    assert posted(serving, "/admin/reload", "operator") == (200, {"action": "reload", "result": "done"})
    until(
        lambda: serving.metric("paceline_notices_total", kind="win", result="test") == 2,
        "a reload of both workers",
    )
    assert posted(serving, "/admin/pause", "operator", target)[0] == 200
    assert paused(serving) == {f"line/{LINE}"}
    assert posted(serving, "/admin/resume", "operator", target)[0] == 200
    assert paused(serving) == set()
    assert posted(serving, "/admin/pause", "operator", '{"advertiser":"nobody"}')[0] == 404
    assert posted(serving, "/admin/pause", "viewer", target)[0] == 403
    assert posted(serving, "/admin/restart", "operator")[0] == 403
    assert posted(serving, "/admin/reload")[0] == 401
    before = set(serving.workers())
    assert posted(serving, "/admin/restart", "admin") == (202, {"action": "restart", "result": "started"})
    until(lambda: not before & set(serving.workers()) and len(serving.workers()) == 2, "two other workers")
    lines = [json.loads(line) for line in (serving.data_dir / "audit.log").read_text().splitlines()]
    assert [(line["action"], line["result"]) for line in lines] == [
        ("reload", "done"), ("pause", "done"), ("resume", "done"), ("pause", "unknown"), ("pause", "forbidden"),
        ("restart", "forbidden"), ("reload", "unauthenticated"), ("restart", "started"),
    ]  # fmt: skip
    assert {line["who"] for line in lines} == {"ada", "unknown"}
    logged = [json.loads(line) for line in serving.log.read_text().splitlines() if '"deed"' in line]
    assert [line["deed"]["action"] for line in logged] == [line["action"] for line in lines]
    assert serving.metric("paceline_admin_actions_total", action="pause", result="done") == 1
    assert serving.metric("paceline_admin_actions_total", result="forbidden") == 2


def test_a_ledger_that_is_away(serving: Serving) -> None:
    """503 and a line, not a fault; the service goes on."""
    serving.server("ledger").suspend()
    try:
        status, told = posted(serving, "/admin/pause", "operator", json.dumps({"advertiser": SHOP.id}))
    finally:
        serving.server("ledger").resume()
    assert (status, told["result"]) == (503, "unreachable")
    assert serving.get("/ready") == (200, b"1")


def test_the_page_of_a_running_service(serving: Serving) -> None:
    """The page, and a state that knows the workers; a service that ends does not wait for who watches."""
    status, page = serving.get("/")
    assert status == 200
    assert b"/console.js" in page
    url = f"http://127.0.0.1:{serving.ports['ops']}/events"
    with urllib.request.urlopen(url, timeout=60) as answer:
        told = b""
        while not told.startswith(b"data: {"):
            told = answer.readline()
        state = json.loads(told.removeprefix(b"data: "))
        assert (state["workers"]["up"], state["workers"]["configured"]) == (2, 2)
        assert {"supervisor", "worker-0", "worker-1"} <= {
            each["name"] for each in state["workers"]["processes"]
        }
        serving.process.terminate()
        assert serving.wait() == 0
