"""More than the service can do, and clients that mean no good: the excess is shed, the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.arrivals import Arrivals
from benchmarks.generator import Generator, Prepared, Result
from tests.bidder.supervisor.serving import until
from tests.service.client import bid_request, load, post
from tests.service.service import Service, started

pytestmark = pytest.mark.process

IMPS: Final = 20  # a dear request: the generator must not be what gives out
TMAX_MS: Final = 250
SECONDS: Final = 4.0
TIMES: Final = 3.0
LATE_SHARE: Final = 0.01
"""See test_corpus_http."""
GROWTH_BYTES: Final = 64 << 20


def dear_request() -> Prepared:
    """A request of many impressions."""
    sizes = [{"w": 300, "h": 250}, {"w": 300, "h": 600}, {"w": 160, "h": 600}]
    imps: list[dict[str, Any]] = [{"id": str(n), "banner": {"format": sizes}} for n in range(IMPS)]
    body = bid_request(imp=imps, tmax=TMAX_MS)
    return Prepared(post(body), TMAX_MS * 1_000_000)


def run(service: Service, rate: float | None, seconds: float, connections: int) -> Result:
    """Load at a rate, or as fast as answers come; with nothing lost."""
    with contextlib.closing(Generator(service.exchange, [dear_request()], connections)) as generator:
        return generator.run(Arrivals(rate, seconds, time.perf_counter_ns()))


def test_at_three_times_capacity_the_excess_is_shed(tmp_path: Path) -> None:
    """Open loop at 3x: 200 and 204 alone, answers in time, the excess counted as shed, memory bounded."""
    with started(tmp_path / "data") as service:
        capacity = run(service, None, 2.0, 16).rate
        before, memory = service.settled(), service.resident_bytes()
        result = run(service, TIMES * capacity, SECONDS, 512)
        seen = service.settled()
        assert set(result.statuses) <= {"200", "204"}, result.statuses
        shed = seen.total("paceline_outcomes_total", outcome="shed")
        assert shed > 0
        assert result.statuses["200"] > 0
        late = seen.total("paceline_late_answers_total")
        asked = seen.total("paceline_requests_total") - before.total("paceline_requests_total")
        assert late <= LATE_SHARE * asked, (late, asked)
        assert service.resident_bytes() - memory < GROWTH_BYTES
        assert run(service, None, 0.2, 1).statuses["204"] == 0, "afterwards nothing is shed"
        service.settled().conserved()


async def test_a_flood_of_one_exchange_leaves_the_others_theirs(tmp_path: Path) -> None:
    """One exchange sends three times what can be decided: the excess is its own, another is served whole."""
    with started(tmp_path / "data") as service:
        capacity = (await asyncio.to_thread(run, service, None, 1.0, 16)).rate
        async with load(service.exchange, [bid_request()], rate=50, exchange="index") as crowd:
            await asyncio.to_thread(run, service, TIMES * capacity, 2.0, 256)
        seen = service.settled()
        assert seen.total("paceline_outcomes_total", outcome="shed", exchange="generic") > 0
        assert set(crowd.statuses) == {200}
        assert crowd.lost == 0


async def hostile(service: Service, first: bytes, drip: bytes) -> bytes:
    """A client that sends `first`, then `drip` again and again until it is cut; what it was told."""
    reader, writer = await asyncio.open_connection(*service.exchange)
    told = asyncio.create_task(reader.read())
    try:
        writer.write(first)
        while not told.done():
            writer.write(drip)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await asyncio.wait([told], timeout=0.02)
        with contextlib.suppress(ConnectionError):
            return await told
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


HOSTILE: Final = {
    "head, byte by byte": (b"POST /bid/generic HTTP/1.1\r\nHost: b\r\nX: ", b"y", b"408"),
    "body, byte by byte": (
        b"POST /bid/generic HTTP/1.1\r\nHost: b\r\nContent-Length: 9999\r\n\r\n{",
        b" ",
        b"408",
    ),
    "endless head": (b"POST /bid/generic HTTP/1.1\r\nHost: b\r\n", b"X-Y: " + b"z" * 2_000 + b"\r\n", b"431"),
    "announced too large": (
        b"POST /bid/generic HTTP/1.1\r\nHost: b\r\nContent-Length: 99999999\r\n\r\n",
        b" " * 60_000,
        b"413",
    ),
    "endless chunks": (
        b"POST /bid/generic HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"2710\r\n" + b" " * 10_000 + b"\r\n",
        b"413",
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
async def test_slow_and_oversized_clients_are_cut_and_hurt_nobody(tmp_path: Path, how: str) -> None:
    """Forty of them at once: each is told why and cut; honest clients are answered in time on their connections."""
    first, drip, status = HOSTILE[how]
    limits = {"head_timeout_s": 0.5, "body_timeout_s": 0.5}
    with started(tmp_path / "data", settings={"exchange": limits}) as service:
        async with load(service.exchange, [bid_request()], rate=200) as crowd:
            await crowd.more(20)
            told = await asyncio.gather(*[hostile(service, first, drip) for _ in range(40)])
            await crowd.more(20)
        assert {one[9:12] for one in told} <= {status, b""}
        assert sum(one[9:12] == status for one in told) >= 36, "nearly all hear why before they are cut"
        assert set(crowd.statuses) == {200}
        assert crowd.lost == 0
        assert crowd.connections == 8
        seen = service.settled()
        assert seen.total("paceline_late_answers_total") <= LATE_SHARE * crowd.answered
        seen.conserved()
        await asyncio.to_thread(until, lambda: not service.connections(), "the end of every connection")


async def test_clients_that_never_read_are_cut_and_cost_little(tmp_path: Path) -> None:
    """Twenty that ask and ask and never read an answer: nothing is piled up for them, and they are cut."""
    limits = {"body_timeout_s": 0.5}
    with started(tmp_path / "data", settings={"exchange": limits}) as service:
        async with load(service.exchange, [bid_request()], rate=200, exchange="index") as crowd:
            await crowd.more(20)
            memory = service.resident_bytes()
            await asyncio.gather(*[never_reads(service) for _ in range(20)])
            assert service.resident_bytes() - memory < GROWTH_BYTES
            await crowd.more(20)
        assert set(crowd.statuses) == {200}
        assert crowd.lost == 0
        seen = service.settled()
        assert seen.total("paceline_connections_cut_total", why="unread") == 20
        seen.conserved()


async def never_reads(service: Service) -> None:
    """Ask without reading until cut."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.setblocking(False)
        await loop.sock_connect(sock, service.exchange)
        with contextlib.suppress(ConnectionError):
            while True:
                await loop.sock_sendall(sock, post(bid_request()) * 50)


async def test_clients_that_hang_up_are_counted(tmp_path: Path) -> None:
    """Three hundred that ask and reset at once: each request has its outcome, and the service goes on."""
    with started(tmp_path / "data") as service:
        async with load(service.exchange, [bid_request()], rate=200) as crowd:
            for _ in range(300):
                with socket.create_connection(service.exchange) as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.sendall(post(bid_request()))
                await asyncio.sleep(0)
            await crowd.more(20)
        assert set(crowd.statuses) == {200}
        assert crowd.lost == 0
        await asyncio.to_thread(until, lambda: not service.connections(), "the end of every connection")
        seen = service.settled()
        assert set(seen.by("paceline_outcomes_total", "outcome")) <= {"bid", "disconnected", "shed"}
        seen.conserved()


async def test_connections_beyond_the_limit_are_closed(tmp_path: Path) -> None:
    """Idle connections up to the limit are kept; the next ones are closed at once and counted."""
    with started(tmp_path / "data", settings={"exchange": {"max_connections": 40}}) as service:
        async with load(service.exchange, [bid_request()], rate=200) as crowd:
            await crowd.more(20)
            idle = [await asyncio.open_connection(*service.exchange) for _ in range(60)]
            closed = [asyncio.create_task(reader.read(1)) for reader, _ in idle]
            await crowd.until(lambda: sum(task.done() for task in closed) >= 28)
            await crowd.more(50)
            for task, (_, writer) in zip(closed, idle, strict=True):
                task.cancel()
                writer.close()
            await asyncio.gather(*closed, return_exceptions=True)
        assert set(crowd.statuses) == {200}
        assert crowd.lost == 0
        assert service.settled().total("paceline_connections_refused_total") == 28


def test_a_request_over_the_limits_is_no_fault(tmp_path: Path) -> None:
    """More impressions than are read: 204, counted as over the limit."""
    imps = [{"id": str(n), "banner": {"w": 300, "h": 250}} for n in range(101)]
    body = json.loads(bid_request()) | {"imp": imps}
    with started(tmp_path / "data") as service:
        wire = Prepared(post(json.dumps(body).encode()), TMAX_MS * 1_000_000)
        with contextlib.closing(Generator(service.exchange, [wire], 1)) as generator:
            result = generator.run(Arrivals(None, 0.1, time.perf_counter_ns()))
        assert set(result.statuses) == {"204"}
        seen = service.settled()
        assert seen.total("paceline_outcomes_total", outcome="over_limit") == sum(result.statuses.values())
        seen.conserved()
