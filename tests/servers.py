"""Real Redis-compatible servers for tests: started, killed, paused and restarted by them.

Shapes: the fixture `redis_server` is one server for the session, empty at each test's start; `own_server` is
    the test's own, to be killed or paused. Both are a RealServer: take its `url`.
Never: another process than the ones started here is signalled.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from bidder.stores.embedded import EmbeddedServer, free_port


class RealServer:
    """A server on one port for its whole life, however often it dies."""

    def __init__(self, folder: Path, *, password: str = "", settings: str = "") -> None:
        self.port = free_port()
        self._server = EmbeddedServer(folder, port=self.port, password=password, settings=settings)

    @property
    def url(self) -> str:
        """redis://, with the password if there is one."""
        return self._server.url

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._server.process is not None and self._server.process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._server.process is not None
        return self._server.process.pid

    def start(self) -> None:
        """Start, or start again on the same port with the same data."""
        self._server.start()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        assert self._server.process is not None
        self._server.process.wait()

    def restart(self) -> None:
        """Start again on the same port after `kill`, or after an orderly stop if it still runs."""
        self._server.close()
        self._server.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it answers all it was asked meanwhile."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it for good, paused or not."""
        self._server.close()

    def client(self) -> redis.Redis:
        """A plain client, for looking at what stands there; use it in a `with`."""
        return redis.Redis.from_url(self.url)

    def flush(self) -> None:
        """Forget everything."""
        with self.client() as client:
            client.flushall()

    def _signal(self, number: int) -> None:
        assert self._server.process is not None
        self._server.process.send_signal(number)


async def eventually(holds: Callable[[], object]) -> None:
    """Give the loop turns until `holds()`; the test's own time-out is the limit."""
    while not holds():  # noqa: ASYNC110  what is waited for has no event of its own
        await asyncio.sleep(0.002)


@pytest.fixture(scope="session")
def session_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """The server that tests share; ask for `redis_server` instead."""
    server = RealServer(tmp_path_factory.mktemp("store"))
    server.start()
    yield server
    server.close()


@pytest.fixture
def redis_server(session_server: RealServer) -> RealServer:
    """A real server, empty; not to be killed or paused."""
    session_server.flush()
    return session_server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RealServer]:
    """A real server of the test's own: kill it, pause it, restart it."""
    server = RealServer(tmp_path / "store")
    server.start()
    yield server
    server.close()
