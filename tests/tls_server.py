"""A Redis server that speaks TLS alone and demands a client's certificate; skips where none is installed.

Place: the wheel that brings a server for other tests has no TLS: Debian's redis-server has.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bidder.stores.embedded import free_port
from tests.certificates import Authority

PATIENCE_S = 30.0


class TlsServer:
    """One server; `url` holds all that a client needs."""

    def __init__(self, folder: Path, *, cluster: bool = False) -> None:
        self.authority = Authority(folder / "certificates")
        self.own, self.client = self.authority.sign("server"), self.authority.sign("client")
        self.port = free_port()
        settings = {
            "port": 0,
            "tls-port": self.port,
            "bind": "127.0.0.1",
            "tls-cert-file": self.own.certificate,
            "tls-key-file": self.own.key,
            "tls-ca-cert-file": self.authority.file,
            "tls-auth-clients": "yes",
            "save": '""',
            "appendonly": "yes",
            "dir": folder,
        }
        if cluster:
            settings |= {"cluster-enabled": "yes", "tls-cluster": "yes", "cluster-port": free_port()}
        file = folder / "redis.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self._process = subprocess.Popen(
            [_binary(), str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()
        if cluster:
            with redis.Redis.from_url(self.url) as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
                while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")) and (
                    client.execute_command("CLUSTER INFO")["cluster_state"] != "ok"
                ):
                    pass

    @property
    def url(self) -> str:
        """Of a client that the server lets in."""
        return self.url_of(self.authority.file, with_client=True)

    def url_of(self, authority: Path, *, with_client: bool) -> str:
        """Of a client that believes this authority."""
        own = f"&ssl_certfile={self.client.certificate}&ssl_keyfile={self.client.key}" if with_client else ""
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={authority}{own}"

    def _wait(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        with redis.Redis.from_url(self.url) as client:
            while time.monotonic() < end_s:
                assert self._process.poll() is None, "the server does not speak TLS"
                with contextlib.suppress(redis.RedisError):
                    client.ping()
                    return
                time.sleep(0.01)
        raise AssertionError("the server does not answer")

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def _binary() -> str:
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed: there is no server with TLS to test against")
    return found


@contextlib.contextmanager
def tls_server(folder: Path, *, cluster: bool = False) -> Iterator[TlsServer]:
    """A running server; it ends with the block."""
    folder.mkdir(exist_ok=True)
    server = TlsServer(folder, cluster=cluster)
    try:
        yield server
    finally:
        server.close()
