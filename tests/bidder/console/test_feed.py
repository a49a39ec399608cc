"""The feed: a state a second for a few, a heartbeat where there is none, nobody waits for who is slow."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bidder.console import feed
from bidder.notices.keys import Keyring
from bidder.settings import OpsPort
from bidder.web.exposition import Samples
from tests.bidder.console.samples import Service
from tests.bidder.console.support import serving
from tests.bidder.web.operators import NEW_KEY, OLD_KEY, bearer, token


async def messages(content: aiohttp.StreamReader, count: int) -> list[tuple[str, Any]]:
    """The first messages of a stream: event's name and data; heartbeats by the name `beat`."""
    told: list[tuple[str, Any]] = []
    while len(told) < count:
        name = ""
        while line := (await content.readline()).decode().rstrip("\n"):
            if line.startswith(":"):
                told.append(("beat", None))
            elif line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told.append((name, json.loads(line.removeprefix("data: "))))
    return told[:count]


async def until(look: Any) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(60):
        while not look():  # noqa: ASYNC110  what is looked at has no event
            await asyncio.sleep(0.01)


async def ended(content: aiohttp.StreamReader) -> bool:
    """Read until the stream is over."""
    while await content.readline():
        pass
    return content.at_eof()


async def test_history_then_a_state_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes first has no history, who comes later has what others saw; all see the same states."""
    monkeypatch.setattr(feed, "PERIOD_S", 0.02)
    async with serving(tmp_path) as (server, console), aiohttp.ClientSession() as client:
        async with client.get(server.make_url("/events")) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert answer.headers["Cache-Control"] == "no-store"
            first, second, third = await messages(answer.content, 3)
            assert first == ("history", [])
            assert (second[0], second[1]["level"]) == ("", "ok")
            assert third[1]["at_s"] > second[1]["at_s"]
        async with client.get(server.make_url("/events")) as answer:
            (history,) = await messages(answer.content, 1)
            assert second[1]["point"] in history[1]
        await until(lambda: console.feed.watchers == 0)


async def test_nobody_looks_where_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks begin with the first who watches and end after the last."""
    monkeypatch.setattr(feed, "PERIOD_S", 0.01)
    monkeypatch.setattr(feed, "LINGER_S", 0.05)
    async with serving(tmp_path) as (server, console):
        assert console.feed._looking is None
        async with aiohttp.ClientSession() as client, client.get(server.make_url("/events")) as answer:
            await messages(answer.content, 2)
        await until(lambda: console.feed._looking is not None and console.feed._looking.done())


async def test_so_many_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is told to come again; when somebody leaves, there is a place."""
    monkeypatch.setattr(feed, "MAX_WATCHERS", 2)
    monkeypatch.setattr(feed, "PERIOD_S", 0.05)
    async with serving(tmp_path) as (server, console), aiohttp.ClientSession() as client:
        url = server.make_url("/events")
        async with client.get(url) as one:
            async with client.get(url) as two, client.get(url) as three:
                assert (one.status, two.status, three.status) == (200, 200, 503)
                assert three.headers["Retry-After"] == "10"
            await until(lambda: console.feed.watchers == 1)
            async with client.get(url) as again:
                assert again.status == 200


async def test_a_heartbeat_where_there_is_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that fails, or takes long, leaves the connection alive; the page sees that nothing new comes."""
    monkeypatch.setattr(feed, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(feed, "PERIOD_S", 0.02)
    service = Service()
    async with serving(tmp_path, service=service) as (server, console), aiohttp.ClientSession() as client:

        def broken() -> Samples:
            raise RuntimeError("no samples")

        console.feed._view._samples = broken
        async with client.get(server.make_url("/events")) as answer:
            assert [name for name, _ in await messages(answer.content, 4)] == [
                "history",
                "beat",
                "beat",
                "beat",
            ]
            console.feed._view._samples = lambda: service.samples
            told = await messages(answer.content, 20)
            assert any(name == "" and data["level"] == "ok" for name, data in told)


async def test_who_reads_nothing_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its buffers fill, then it goes; the others are told on time all along."""
    monkeypatch.setattr(feed, "PERIOD_S", 0.002)
    monkeypatch.setattr(feed, "COST_SHARE", 1.0)
    monkeypatch.setattr(feed, "SLOW_S", 0.3)
    service = Service()
    for number in range(100):
        service.set("paceline_line_item_spent_micros", 1, "c" * 60, f"{number:060}")
    async with serving(tmp_path, service=service) as (server, console), aiohttp.ClientSession() as client:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await until(lambda: console.feed.watchers == 1)
        async with client.get(server.make_url("/events")) as answer:
            while console.feed.watchers == 2 or not console.feed.watchers:
                await messages(answer.content, 5)
            assert await messages(answer.content, 3)
        slow.close()


async def test_a_session_that_ends_ends_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks on with a token that is no longer good."""
    monkeypatch.setattr(feed, "PERIOD_S", 0.05)
    async with (
        serving(tmp_path, OpsPort(token_required=True)) as (server, _),
        aiohttp.ClientSession() as client,
    ):
        headers = bearer(token("viewer", life_s=2))
        async with client.get(server.make_url("/events"), headers=headers) as answer:
            assert answer.status == 200
            assert await ended(answer.content)


async def test_a_token_that_is_taken_back_ends_its_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key left the ring: nobody looks on with it; who watches by a key that stayed does."""
    monkeypatch.setattr(feed, "PERIOD_S", 0.02)
    async with (
        serving(tmp_path, OpsPort(token_required=True)) as (server, console),
        aiohttp.ClientSession() as client,
    ):
        url = server.make_url("/events")
        gone, stays = (bearer(token("viewer", keyring=Keyring((key,)))) for key in (OLD_KEY, NEW_KEY))
        async with client.get(url, headers=gone) as one, client.get(url, headers=stays) as other:
            await messages(one.content, 2)
            console.feed._access.adopt(Keyring((NEW_KEY,)))
            async with asyncio.timeout(60):
                assert await ended(one.content)
            assert await messages(other.content, 3)


async def test_nobody_takes_all_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One name has no more than its share, however many tokens and addresses; the next name has its place."""
    monkeypatch.setattr(feed, "MAX_EACH", 1)
    async with (
        serving(tmp_path, OpsPort(token_required=True)) as (server, console),
        aiohttp.ClientSession() as client,
    ):
        url = server.make_url("/events")
        async with client.get(url, headers=bearer(token("viewer"))) as one:
            assert one.status == 200
            async with client.get(url, headers=bearer(token("admin"))) as two:
                assert (two.status, two.headers["Retry-After"]) == (503, "10")
            async with client.get(url, headers=bearer(token("viewer", name="eve"))) as three:
                assert three.status == 200
        await until(lambda: console.feed.watchers == 0)
        async with client.get(url, headers=bearer(token("viewer"))) as again:
            assert again.status == 200


async def test_nobody_takes_all_places_without_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There an address has its share."""
    monkeypatch.setattr(feed, "MAX_EACH", 1)
    async with serving(tmp_path) as (server, _), aiohttp.ClientSession() as client:
        url = server.make_url("/events")
        async with client.get(url) as one, client.get(url) as two:
            assert (one.status, two.status) == (200, 503)


async def test_closing_sends_everybody_away(tmp_path: Path) -> None:
    """A service that ends does not wait for who watches."""
    async with (
        serving(tmp_path) as (server, console),
        aiohttp.ClientSession() as client,
        client.get(server.make_url("/events")) as answer,
    ):
        await messages(answer.content, 1)
        await console.feed.close(server.app)
        assert await ended(answer.content)
