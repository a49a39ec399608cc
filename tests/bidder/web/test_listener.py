"""The listening socket: floods, exhaustion, the end; on uvloop, where it matters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import sys
from collections.abc import Iterator

import pytest
import uvloop

from bidder.web import listener as module
from bidder.web.descriptors import TURNS
from bidder.web.listener import ACCEPTS_PER_TURN, Listener
from bidder.web.sockets import shared_socket

STORM = """
import socket, sys
try:
    while True:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
            client.recv(1)
except OSError as error:
    print("refused" if isinstance(error, ConnectionRefusedError) else error)
"""


class Noted(asyncio.Protocol):
    """Remembers its transport, says a word."""

    made: list[asyncio.BaseTransport]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here."""
        self.made.append(transport)
        transport.write(b"!")  # type: ignore[attr-defined]  # sockets' transports have it


def protocol() -> type[Noted]:
    """A protocol of a test's own."""
    return type("Own", (Noted,), {"made": []})


@contextlib.contextmanager
def clients(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections that nobody has accepted yet."""
    with contextlib.ExitStack() as held:
        yield [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]


async def end(own: type[Noted]) -> None:
    """Close what was opened, and let the loop see it."""
    for transport in own.made:
        transport.abort()  # type: ignore[attr-defined]  # sockets' transports have it
    await asyncio.sleep(0)


def test_a_flood_is_taken_in_a_few_turns() -> None:
    """Connections that wait are taken together, where uvloop's own server takes one in a turn."""
    own = protocol()

    async def flood() -> int:
        listener = Listener(shared_socket("127.0.0.1", 0), own, 1_024)
        turns = 0
        with clients(listener.port, ACCEPTS_PER_TURN + 100):
            while len(own.made) < ACCEPTS_PER_TURN + 100:
                await asyncio.sleep(0)
                turns += 1
            listener.leave()
            await end(own)
        return turns

    assert uvloop.run(flood()) < 20


def test_refused_connections_of_few_turns_are_open_at_once() -> None:
    """However many come, and whoever closes them as soon as they are there: descriptors.py counts on TURNS."""
    accepts, many = 8, 200
    own = protocol()

    class Refusing(own):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            transport.abort()  # type: ignore[attr-defined]  # sockets' transports have it

    async def flood() -> int:
        listener = Listener(shared_socket("127.0.0.1", 0), Refusing, 1_024, accepts=accepts)
        most = 0
        with clients(listener.port, many):
            await asyncio.sleep(0)  # the loop opens a file of its own
            before = len(os.listdir("/proc/self/fd"))
            while len(own.made) < many:
                await asyncio.sleep(0)
                most = max(most, len(os.listdir("/proc/self/fd")) - before)
            listener.leave()
        return most

    assert accepts < uvloop.run(flood()) <= TURNS * accepts


def test_what_waits_at_the_close_is_not_reset() -> None:
    """Closing takes the connections that the kernel has accepted for us; the next ones are refused."""
    own = protocol()

    async def close() -> None:
        listener = Listener(shared_socket("127.0.0.1", 0), own, 64)
        with clients(listener.port, 20):
            listener.close()
            await listener.opened()
            assert len(own.made) == 20
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", listener.port)).close()
            await end(own)

    uvloop.run(close())


def test_an_abort_leaves_no_socket_open() -> None:
    """What was accepted and not opened yet is closed: its client sees the end."""
    own = protocol()

    async def abort() -> None:
        listener = Listener(shared_socket("127.0.0.1", 0), own, 64)
        with clients(listener.port, 5) as waiting:
            listener.close()
            listener.abort()
            await listener.opened()
            assert own.made == []
            for client in waiting:
                assert client.recv(1) == b""

    uvloop.run(abort())


def test_without_files_it_waits_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Out of file descriptors: one line in the log, no busy loop, and accepting goes on when there are some."""
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    own = protocol()

    async def starve() -> None:
        listener = Listener(shared_socket("127.0.0.1", 0), own, 64)
        with clients(listener.port, 3):
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            with socket.socket() as highest:
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), limits[1]))
            try:
                while not caplog.records:  # noqa: ASYNC110  a log record is no event
                    await asyncio.sleep(0)
                assert own.made == []
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            while len(own.made) < 3:  # noqa: ASYNC110  nor is a connection
                await asyncio.sleep(0)
            listener.leave()
            await end(own)

    uvloop.run(starve())
    assert "no connection can be accepted" in caplog.text


def test_a_close_under_a_storm_resets_nobody() -> None:
    """Clients of other processes connect all the time while it closes: each is answered or refused."""
    own = protocol()

    async def storm() -> None:
        listener = Listener(shared_socket("127.0.0.1", 0), own, 1_024)
        clients = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", STORM, str(listener.port), stdout=asyncio.subprocess.PIPE
            )
            for _ in range(2)
        ]
        while len(own.made) < 200:  # noqa: ASYNC110  a connection is no event
            await asyncio.sleep(0)
        listener.close()
        await listener.opened()
        await end(own)
        for client in clients:
            said, _ = await client.communicate()
            assert said == b"refused\n"

    uvloop.run(storm())
