"""The operators' port."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from bidder.web.ops import ops_app
from tests.bidder.web.operators import Service, access


@pytest.fixture
async def port() -> AsyncIterator[tuple[Service, TestServer]]:
    service = Service()
    async with TestServer(ops_app(service, access())) as server:
        yield service, server


async def asked(server: TestServer, path: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as client, client.get(server.make_url(path)) as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def test_ready_answers_1_and_not_ready_holds_no_1(port: tuple[Service, TestServer]) -> None:
    """The form that Xandr reads: `1`, or 503 and a text without that digit."""
    service, server = port
    status, _, text = await asked(server, "/ready")
    assert status == 503
    assert "1" not in text
    service.is_ready = True
    assert (await asked(server, "/ready"))[::2] == (200, "1")


async def test_live_and_metrics(port: tuple[Service, TestServer]) -> None:
    """Liveness depends on nothing; metrics carry the content type of the text format."""
    _, server = port
    assert (await asked(server, "/live"))[0] == 200
    status, content_type, text = await asked(server, "/metrics")
    assert (status, text) == (200, "x 1\n")
    assert content_type.startswith("text/plain; version=0.0.4")
