"""The load generator against servers that behave, stall, hang up and talk nonsense."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from benchmarks import load
from benchmarks.arrivals import Arrivals
from benchmarks.exchange.requests import prepare
from benchmarks.generator import Generator, Prepared, Result

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REQUEST = Prepared(b"POST /bid/generic HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 10**9)
Script = Callable[[socket.socket, int], None]


@contextlib.contextmanager
def server(script: Script) -> Iterator[tuple[str, int]]:
    """Threads that hand each request, with its number on the connection, to `script`."""
    listener = socket.create_server(("127.0.0.1", 0))
    peers: list[socket.socket] = []

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            number = 0
            while peer.recv(65_536):
                script(peer, number)
                number += 1

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                peers.append(peer)
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[:2]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        thread.join()


def run(
    script: Script, rate: float | None, seconds: float, connections: int = 4, timeout_s: float = 5
) -> Result:
    """One short run against a script."""
    with (
        server(script) as address,
        contextlib.closing(Generator(address, [REQUEST], connections, timeout_s)) as g,
    ):
        return g.run(Arrivals(rate, seconds, time.perf_counter_ns()))


def test_an_open_loop_sends_all_that_is_due() -> None:
    """As many answers as rate x seconds, all counted by status."""
    result = run(lambda peer, n: peer.sendall(OK if n % 2 else NO_CONTENT), 400, 0.5)
    assert result.answered == len(result.arrivals.latencies_ns) == 200
    assert set(result.statuses) == {"200", "204"}
    assert result.errors == 0


def test_a_stalled_server_shows_in_the_requests_behind_it() -> None:
    """An answer held back until 100 ms after the schedule makes every request behind it late, not one."""
    runs: list[Arrivals] = []

    def script(peer: socket.socket, number: int) -> None:
        if number == 10:
            until_ns = runs[0].end_ns + 100_000_000
            threading.Event().wait((until_ns - time.perf_counter_ns()) / 1e9)
        peer.sendall(NO_CONTENT)

    with server(script) as address, contextlib.closing(Generator(address, [REQUEST], 1)) as generator:
        runs.append(Arrivals(200, 0.4, time.perf_counter_ns()))
        result = generator.run(runs[0])
    behind = list(result.arrivals.latencies_ns)[10:]
    assert len(behind) == 70
    assert min(behind) > 100_000_000
    assert behind == sorted(behind, reverse=True)


def test_answers_in_pieces_are_put_together() -> None:
    """Head and body may come apart, anywhere."""

    def script(peer: socket.socket, number: int) -> None:
        for i in range(0, len(OK), 7):
            peer.sendall(OK[i : i + 7])

    assert run(script, 100, 0.2).statuses == {"200": 20}


def test_a_connection_that_breaks_is_counted_and_replaced() -> None:
    """A hang-up in the middle of a request is one reset; the run goes on with a new connection."""

    def script(peer: socket.socket, number: int) -> None:
        if number == 2:
            peer.shutdown(socket.SHUT_RDWR)
        else:
            peer.sendall(NO_CONTENT)

    result = run(script, 100, 0.3, connections=1)
    assert result.statuses == {"204": 20, "reset": 10}
    assert result.errors == 10


def test_a_server_may_close_after_an_answer() -> None:
    """`Connection: close` is honoured and is no error."""
    closing = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    assert run(lambda peer, n: peer.sendall(closing), 100, 0.2).statuses == {"204": 20}


def test_silence_is_a_timeout() -> None:
    """A request that is never answered ends as a timeout, and its waiting is in the latencies."""
    result = run(lambda peer, n: None, 10, 0.2, timeout_s=0.3)
    assert result.statuses == {"timeout": 2}
    assert min(result.arrivals.latencies_ns) >= 300_000_000


def test_two_answers_to_one_request_are_garbled() -> None:
    """Bytes that nobody asked for break the connection, and say so."""
    assert "garbled" in run(lambda peer, n: peer.sendall(OK + OK), 50, 0.2).statuses


def test_load_goes_to_this_machine_only() -> None:
    """Another host is refused before a byte is sent."""
    with pytest.raises(ValueError, match="loopback"):
        Generator(("192.0.2.1", 80), [REQUEST], 1)


def test_prepared_calls_are_complete_requests() -> None:
    """Every dialect's call becomes one request with its path, coding and exact length."""
    calls = prepare(1, 100, 1_795_000_000)
    for call, request in zip(calls, load.prepared(("127.0.0.1", 8080), calls), strict=True):
        head, body = request.wire.split(b"\r\n\r\n", 1)
        assert head.startswith(f"POST /bid/{call.dialect.name} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n".encode())
        assert f"Content-Length: {len(body)}".encode() in head
        assert (b"Content-Encoding: gzip" in head) is call.dialect.gzip


def test_the_search_ends_at_the_rate_that_breaks_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubling, then bisecting: the result is sustained and five per cent more is not."""
    monkeypatch.setattr(load, "measure", lambda generator, rate, seconds, warm: rate)
    monkeypatch.setattr(
        load,
        "summary",
        lambda result, rate, seconds: {
            "rate": rate, "achieved_rate": rate, "requests": 100, "errors": 0,
            "latency_ms": {"p99": 1 if rate <= 7_300 else 99},
        },
    )  # fmt: skip
    with server(lambda peer, n: None) as address, contextlib.closing(Generator(address, [REQUEST], 1)) as g:
        rate, runs = load.saturation(g, 1, load.Bounds())
    assert 7_300 / 1.05 <= rate <= 7_300
    assert [run["rate"] for run in runs[:5]] == [500, 1_000, 2_000, 4_000, 8_000]


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"achieved_rate": 950}, False),
        ({"errors": 2}, False),
        ({"latency_ms": {"p99": 21}}, False),
        ({"requests": 0}, False),
    ],
)
def test_sustained(change: dict[str, object], holds: bool) -> None:
    """A rate counts only when it was kept up with, in time and without errors."""
    run = {"rate": 1_000, "achieved_rate": 999, "requests": 1_000, "errors": 1, "latency_ms": {"p99": 20}}
    assert load.sustained(run | change, load.Bounds()) is holds
