"""The load generator against servers that behave, stall, hang up and talk nonsense."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from benchmarks import load
from benchmarks.arrivals import Arrivals
from benchmarks.exchange.requests import prepare
from benchmarks.generator import Generator, Prepared, Result
from benchmarks.windows import Window

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


@contextlib.contextmanager
def generating(script: Script, connections: int) -> Iterator[Generator]:
    """A generator with connections to a script."""
    with server(script) as address, contextlib.closing(Generator(address, [REQUEST], connections)) as made:
        yield made


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


def test_connections_are_closed_and_opened_anew() -> None:
    """With churn a share of the connections goes each second, and no request is lost by it."""
    with generating(lambda peer, n: peer.sendall(NO_CONTENT), 10) as generator:
        result = generator.run(Arrivals(100, 1.0, time.perf_counter_ns()), churn=2.0)
    assert result.statuses == {"204": 100}
    assert result.connects["made"] >= 15
    assert result.failed_connects == 0


def test_connections_that_nobody_takes_are_counted_apart() -> None:
    """When the listener goes, new connections are refused; when it cuts them before an answer, they are reset."""
    with generating(lambda peer, n: peer.shutdown(socket.SHUT_RDWR), 1) as generator:
        cut = generator.run(Arrivals(20, 0.2, time.perf_counter_ns()))
    assert cut.connects["reset"] == 4
    assert cut.statuses == {"reset": 4}
    with server(lambda peer, n: peer.sendall(NO_CONTENT)) as address:
        generator = Generator(address, [REQUEST], 4)
    with contextlib.closing(generator):
        gone = generator.run(Arrivals(100, 0.5, time.perf_counter_ns()), churn=1.0)
    assert gone.connects["refused"] > 0
    assert gone.failed_connects >= gone.connects["refused"]
    assert gone.errors == 50


def test_windows_add_up_to_the_run() -> None:
    """What is told on the way is what the report says at the end, and no window has what another had."""
    shown: list[Window] = []
    with generating(lambda peer, n: peer.sendall(OK), 4) as generator:
        result = load.drive(generator, 200, load.Course(1.0, 0.0, every_s=0.2), shown.append)
    assert len(shown) >= 2
    assert sum(window.statuses["200"] for window in shown) <= result.statuses["200"] == 200
    assert [window.at_s for window in shown] == sorted({window.at_s for window in shown})
    assert all(window.p50_ms <= window.p99_ms <= window.max_ms for window in shown)


def test_the_command_searches_and_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A server that refuses every request sustains nothing, and the report names the errors."""
    refused = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    report = tmp_path / "report.json"
    with server(lambda peer, n: peer.sendall(refused)) as (host, port):
        arguments = ["--url", f"http://{host}:{port}", "--saturate", "--seconds", "0.2", "--limit", "0.5"]
        code = load.main([*arguments, "--bodies", "10", "--json", str(report)])
    told = orjson.loads(report.read_bytes())
    assert code == 0
    assert told["saturation_rate"] == 0
    assert "errors: " in told["why"]
    assert told["why"] in capsys.readouterr().out
