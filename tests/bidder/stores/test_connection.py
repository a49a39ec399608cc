"""The shared connection against real servers, real faults, and one peer that speaks nonsense."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.metrics import Tally
from bidder.stores import connection as module
from bidder.stores.connection import MAX_UNSENT_BYTES, Batch, pack
from bidder.stores.embedded import EmbeddedServer
from bidder.stores.errors import StoreDown, StoreLate, StoreOverloaded, StoreReplyError
from tests.bidder.stores.conftest import Connect
from tests.servers import RealServer, eventually


def _count(tally: Tally, name: str) -> int:
    return tally.cells[tally.slot(name)]


class _Pipe:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def abort(self) -> None:
        self.aborted = True


class _Loop:
    """A loop that never turns."""

    def create_future(self) -> asyncio.Future[None]:
        loop = asyncio.new_event_loop()
        loop.close()
        return asyncio.Future(loop=loop)

    def call_soon(self, callback: object) -> None:
        """What is written does not matter here."""

    def call_exception_handler(self, context: dict[str, object]) -> None:
        assert str(context["exception"]) == "a caller's bug"


@asynccontextmanager
async def _peer(answer: bytes) -> AsyncIterator[str]:
    """A server that greets as it should, then answers anything with `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4_096)
        writer.write(b"+OK\r\n")
        while await reader.read(4_096):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_commands_are_answered_in_order(redis_server: RealServer, connect: Connect) -> None:
    """A batch's replies stand in the order of its commands; a refused one stands there as an error."""
    connection = await connect(redis_server.url)
    replies = await connection.batch([("SET", "a", "1"), ("HGETALL", "a"), ("GET", "a"), ("HGETALL", "b")], 5)
    assert replies[0] == b"OK"
    assert isinstance(replies[1], hiredis.ReplyError)
    assert replies[2:] == [b"1", {}]
    with pytest.raises(StoreReplyError, match="WRONGTYPE"):
        await connection.call("HGETALL", "a")


async def test_many_callers_get_their_own_replies(redis_server: RealServer, connect: Connect) -> None:
    """A thousand calls in flight at once, each answered with its own."""
    connection = await connect(redis_server.url)
    replies = await asyncio.gather(*(connection.call("ECHO", str(i)) for i in range(1_000)))
    assert replies == [str(i).encode() for i in range(1_000)]
    assert connection.in_flight == 0


async def test_one_tick_is_one_write() -> None:
    """All commands submitted in one turn of the loop leave in a single write."""
    pipe = _Pipe()
    wire = module._Wire(100, asyncio.get_running_loop())
    wire.connection_made(pipe)  # type: ignore[arg-type]  # as much of a transport as a wire needs
    for i in range(5):
        wire.submit([pack(("ECHO", i)), pack(("PING",))], lambda batch: None)
    assert pipe.writes == []
    await asyncio.sleep(0)
    wire.submit([pack(("PING",))], lambda batch: None)
    await asyncio.sleep(0)
    assert pipe.writes == [
        b"".join(pack(("ECHO", i)) + pack(("PING",)) for i in range(5)),
        pack(("PING",)),
    ]


async def test_a_push_takes_nobodys_place() -> None:
    """An out-of-band message of the server, before or between replies, is nobody's reply."""
    wire = module._Wire(100, asyncio.get_running_loop())
    wire.connection_made(_Pipe())  # type: ignore[arg-type]  # as much of a transport as a wire needs
    ends: list[Batch] = []
    batch = wire.submit([pack(("ECHO", i)) for i in range(2)], ends.append)
    wire.data_received(b">2\r\n+invalidate\r\n_\r\n:0\r\n>2\r\n+invalidate\r\n_\r\n:1\r\n")
    assert batch.replies == [0, 1]
    assert ends == [batch]


@given(st.data())
def test_replies_are_never_mixed_up(data: st.DataObject) -> None:
    """Whatever the batches, the cuts of the stream, the callers that give up or fail, and the moment of loss:
    every batch is told once, with its own replies, or with the loss and a prefix of its own replies."""
    wire = module._Wire(10_000, _Loop())  # type: ignore[arg-type]  # as much of a loop as a wire needs
    wire.connection_made(_Pipe())  # type: ignore[arg-type]  # as much of a transport as a wire needs
    told: dict[int, Batch] = {}
    sizes: list[int] = []
    stream = bytearray()

    def submit(size: int, fails: bool) -> None:
        number = len(sizes)
        sizes.append(size)

        def done(batch: Batch) -> None:
            assert number not in told
            told[number] = batch
            if fails:
                raise RuntimeError("a caller's bug")

        wire.submit([b"-"] * size, done)
        for i in range(size):
            stream.extend(b":%d\r\n" % (1_000 * number + i))

    step = st.one_of(
        st.tuples(st.integers(1, 5), st.booleans()), st.integers(0, 40).map(lambda cut: (cut, None))
    )
    for amount, fails in data.draw(st.lists(step, max_size=30)):
        if fails is None:
            piece, stream[:amount] = bytes(stream[:amount]), b""
            wire.data_received(piece)
        else:
            submit(amount, fails)
    if data.draw(st.booleans(), label="lost"):
        wire.connection_lost(None)
    else:
        wire.data_received(bytes(stream))
    assert sorted(told) == list(range(len(sizes)))
    for number, batch in told.items():
        own = [1_000 * number + i for i in range(sizes[number])]
        assert batch.replies == (own if batch.error is None else own[: len(batch.replies)])
    assert wire.in_flight == 0


async def test_a_late_reply_goes_to_nobody(own_server: RealServer, connect: Connect) -> None:
    """Callers that gave up while the server was paused leave their slots: later replies are not shifted."""
    connection = await connect(own_server.url)
    own_server.pause()
    late = [connection.call("ECHO", f"late-{i}", timeout_s=0.01) for i in range(20)]
    assert all(isinstance(end, StoreLate) for end in await asyncio.gather(*late, return_exceptions=True))
    patient = [asyncio.ensure_future(connection.call("ECHO", f"kept-{i}", timeout_s=60)) for i in range(20)]
    abandoned = asyncio.ensure_future(connection.call("ECHO", "cancelled", timeout_s=60))
    await asyncio.sleep(0)
    abandoned.cancel()
    own_server.resume()
    assert await asyncio.gather(*patient) == [f"kept-{i}".encode() for i in range(20)]
    assert await connection.call("ECHO", "next") == b"next"
    assert connection.in_flight == 0


async def test_a_killed_server_fails_all_who_wait_and_comes_back(
    own_server: RealServer, connect: Connect, tally: Tally
) -> None:
    """Pending calls end at once with StoreDown, new ones are refused, and a restarted server is found again."""
    connection = await connect(own_server.url)
    own_server.pause()
    waiting = [asyncio.ensure_future(connection.call("ECHO", str(i), timeout_s=60)) for i in range(10)]
    await asyncio.sleep(0)
    own_server.kill()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [StoreDown] * 10
    with pytest.raises(StoreDown):
        connection.submit([pack(("PING",))], (), lambda batch: None)
    own_server.restart()
    await eventually(lambda: connection.ready)
    assert await connection.call("ECHO", "back") == b"back"
    assert connection.last_error == ""
    assert _count(tally, "paceline_store_connects_total") == 2
    assert _count(tally, "paceline_store_losses_total") == 1


async def test_a_silent_server_is_given_up(
    own_server: RealServer, connect: Connect, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the oldest reply is overdue the connection is closed, and made anew once the server answers."""
    monkeypatch.setattr(module, "OVERDUE_S", 0.05)
    monkeypatch.setattr(module, "WATCH_S", 0.01)
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.05)
    connection = await connect(own_server.url)
    own_server.pause()
    with pytest.raises(StoreDown):
        await connection.call("ECHO", "never", timeout_s=60)
    assert _count(tally, "paceline_store_overdue_total") == 1
    await eventually(lambda: connection.last_error == "TimeoutError")  # a greeting without an answer
    own_server.resume()
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 2.0)
    await eventually(lambda: connection.ready)
    assert await connection.call("ECHO", "back") == b"back"


async def test_no_server_at_first(own_server: RealServer, connect: Connect) -> None:
    """`open` returns without a server, says why, and finds the server when there is one."""
    own_server.kill()
    connection = await connect(own_server.url)
    assert not connection.ready
    assert connection.last_error
    own_server.restart()
    await eventually(lambda: connection.ready)
    assert await connection.call("PING") == b"PONG"


@pytest.mark.parametrize("login", ["", ":wrong@", "nobody:secret@"])
async def test_wrong_credentials_are_told(tmp_path: Path, connect: Connect, login: str) -> None:
    """Without or with a wrong password there is no connection, and the reason names no password."""
    server = RealServer(tmp_path, password="secret")
    server.start()
    try:
        connection = await connect(f"redis://{login}127.0.0.1:{server.port}")
        assert not connection.ready
        assert connection.last_error.startswith(("WRONGPASS", "NOAUTH"))
        assert "secret" not in connection.last_error
        good = await connect(server.url)
        assert good.ready
    finally:
        server.close()


async def test_user_and_database_of_the_url(redis_server: RealServer, connect: Connect) -> None:
    """A named user is let in, and the database of the URL is the one that is read."""
    admin = await connect(redis_server.url)
    await admin.call("ACL", "SETUSER", "reader", "on", ">word", "~*", "+@all")
    await admin.batch([("SELECT", 5), ("SET", "here", "five"), ("SELECT", 0)], 5)
    connection = await connect(f"redis://reader:word@127.0.0.1:{redis_server.port}/5")
    assert await connection.call("GET", "here") == b"five"
    assert await connection.call("ACL", "WHOAMI") == b"reader"
    refused = await connect(f"redis://127.0.0.1:{redis_server.port}/99")
    assert not refused.ready
    assert "DB index" in refused.last_error


async def test_in_flight_is_bounded(own_server: RealServer, connect: Connect, tally: Tally) -> None:
    """At the bound a batch goes out, one command above it is refused and counted; answers make room."""
    connection = await connect(own_server.url, 8)
    own_server.pause()
    first = asyncio.ensure_future(connection.batch([("PING",)] * 5, 60))
    await asyncio.sleep(0)
    with pytest.raises(StoreOverloaded):
        connection.submit([pack(("PING",))] * 4, (), lambda batch: None)
    second = asyncio.ensure_future(connection.batch([("PING",)] * 3, 60))
    await asyncio.sleep(0)
    assert connection.in_flight == 8
    with pytest.raises(StoreOverloaded):
        connection.submit([pack(("PING",))], (), lambda batch: None)
    assert _count(tally, "paceline_store_refused_total") == 2
    own_server.resume()
    assert len(await first) + len(await second) == 8
    await connection.batch([("PING",)] * 8, 60)


async def test_unsent_bytes_are_bounded(own_server: RealServer, connect: Connect) -> None:
    """A server that does not read stops the sender at the bound; it goes on when the server reads again."""
    connection = await connect(own_server.url, 1_000_000)
    own_server.pause()
    sent: list[asyncio.Task[list[object]]] = []
    command = ("ECHO", b"x" * (MAX_UNSENT_BYTES // 4))
    refused = False
    while not refused:
        sent.append(asyncio.ensure_future(connection.batch([command], 60)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = sent[-1].done() and isinstance(sent.pop().exception(), StoreOverloaded)
    own_server.resume()
    assert all(reply[0] == command[1] for reply in await asyncio.gather(*sent))
    assert await connection.call("ECHO", "on") == b"on"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+one\r\n+two\r\n"])
async def test_a_peer_out_of_turn_is_left(connect: Connect, tally: Tally, answer: bytes) -> None:
    """What is no RESP, or a reply that nobody asked for, ends the connection rather than shift replies."""
    async with _peer(answer) as url:
        connection = await connect(url)
        assert connection.ready
        (end,) = await asyncio.gather(connection.call("PING", timeout_s=60), return_exceptions=True)
        assert end == b"one" or isinstance(end, StoreDown)
        await eventually(lambda: _count(tally, "paceline_store_losses_total") == 1)
        assert _count(tally, "paceline_store_overdue_total") == 0


async def test_open_again_after_close(redis_server: RealServer, connect: Connect) -> None:
    """A closed connection can be opened again."""
    connection = await connect(redis_server.url)
    await connection.close()
    assert await connection.open()
    assert await connection.call("ECHO", "again") == b"again"


async def test_closing_tells_who_waits(own_server: RealServer, connect: Connect) -> None:
    """`close` ends pending calls with StoreDown, and later ones are refused."""
    connection = await connect(own_server.url)
    own_server.pause()
    waiting = asyncio.ensure_future(connection.call("PING", timeout_s=60))
    await asyncio.sleep(0)
    await connection.close()
    with pytest.raises(StoreDown):
        await waiting
    with pytest.raises(StoreDown):
        await connection.call("PING")


async def test_unix_socket(tmp_path: Path, connect: Connect) -> None:
    """unix:// reaches a server that has no port."""
    with EmbeddedServer(tmp_path, settings="requirepass word\n") as server:
        connection = await connect(server.url.replace("unix://", "unix://:word@"))
        assert await connection.call("ECHO", "here") == b"here"


async def test_tls(redis_server: RealServer, connect: Connect, tmp_path: Path) -> None:
    """rediss:// speaks TLS to a peer whose certificate it knows, and refuses one that it does not."""
    key, certificate = _certificate(tmp_path)
    async with _tls_front(redis_server.port, key, certificate) as port:
        url = f"rediss://localhost:{port}"
        known = await connect(f"{url}?ssl_ca_certs={certificate}")
        assert await known.call("ECHO", "sealed") == b"sealed"
        stranger = await connect(url)
        assert not stranger.ready
        assert "certificate" in stranger.last_error.lower()
        trusting = await connect(f"{url}?ssl_cert_reqs=none")
        assert trusting.ready
        await known.close()
        await trusting.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a self-signed certificate for localhost."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    )
    command += f" -addext subjectAltName=DNS:localhost -keyout {key} -out {certificate}"
    try:
        subprocess.run(command.split(), check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is absent: no certificate can be made")
    return key, certificate


@asynccontextmanager
async def _tls_front(port: int, key: Path, certificate: Path) -> AsyncIterator[int]:
    """A TLS end in front of a server built without TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                target.write(data)
        except OSError:
            pass
        finally:
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, ahead), copy(behind, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
