"""`paceline serve` as a child on free ports, with an embedded store, in a folder of its own.

Place: the demo and `make load` start one; everything is gone when it stops.
Raises: DemoError, a message for the person at the terminal.
Limits: READY_S until the service is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.demo.children import Child
from bidder.config import of_children
from bidder.notices.keys import MIN_SECRET_BYTES, PRICE_VARIABLE, VARIABLE

READY_S: Final = 60.0
BASE_URL: Final = "https://bidder.example"
"""What notice URLs begin with: secure slots take no http address. The exchanges know where it leads."""
SERVE: Final = (sys.executable, "-m", "bidder", "serve")
_POLL_S: Final = 0.05
_HTTP_TIMEOUT_S: Final = 5.0


class DemoError(Exception):
    """The demo cannot go on; `str()` says why."""


class Ports(Struct):
    """Where the service listens: `run/ports.json` in its data directory."""

    exchange: int
    public: int
    ops: int


class Service:
    """One running service."""

    def __init__(
        self,
        folder: Path,
        workers: int = 1,
        campaigns: Path | None = None,
        argv: tuple[str, ...] = SERVE,
        config: Path | None = None,
    ) -> None:
        """`campaigns` None: the demo's shops; `config` None: what is the default."""
        self._data = folder / "data"
        self.price_keys = f"google:{secrets.token_hex(32)}:{secrets.token_hex(32)}"
        self.token_keys = f"1:{secrets.token_hex(MIN_SECRET_BYTES)}"
        self.environment = self._environment({"PACELINE_CAMPAIGNS": campaigns, "PACELINE_CONFIG": config})
        """That it runs in, and its commands do."""
        self.child = Child((*argv, "--workers", str(workers)), self.environment, folder / "service.log")
        self.ports = Ports(0, 0, 0)

    async def start(self) -> None:
        """Start the process."""
        await self.child.start()

    async def ready(self, stop: asyncio.Event) -> None:
        """Wait until it takes requests; raises DemoError when it ends, takes too long, or `stop` is set."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until and not stop.is_set():
            if self.child.ended is not None:
                raise DemoError(f"the service did not start:\n{self.child.last_words()}")
            with contextlib.suppress(OSError, msgspec.DecodeError):
                path = self._data / "run" / "ports.json"
                self.ports = msgspec.json.decode(path.read_bytes(), type=Ports)
                await self.get("/ready")
                return
            await asyncio.sleep(_POLL_S)
        if stop.is_set():
            raise DemoError("interrupted before the service was ready")
        raise DemoError(f"the service was not ready after {READY_S:.0f} s:\n{self.child.last_words()}")

    @property
    def people_url(self) -> str:
        """Where its people are kept, once it is ready."""
        return (self._data / "redis.url").read_text().strip()

    @property
    def events(self) -> Path:
        """The folder of what it records."""
        return self._data / "events"

    @property
    def catalogues(self) -> Path:
        """The folder of its shops' catalogues."""
        return self._data / "catalogues"

    @property
    def ledger_url(self) -> str:
        """Where its money is kept, once it is ready."""
        return (self._data / "ledger.url").read_text().strip()

    @property
    def journal(self) -> Path:
        """The folder of the journal's segments."""
        return self._data / "journal"

    async def get(self, path: str) -> str:
        """A page of the operators' port; raises OSError."""

        def fetch() -> str:
            address = f"http://127.0.0.1:{self.ports.ops}{path}"
            with urllib.request.urlopen(address, timeout=_HTTP_TIMEOUT_S) as answer:
                text: str = answer.read().decode()
                return text

        return await asyncio.to_thread(fetch)

    def _environment(self, files: Mapping[str, Path | None]) -> dict[str, str]:
        given = {name: str(path) for name, path in files.items() if path is not None}
        return (
            of_children()
            | given
            | {
                "PACELINE_DATA_DIR": str(self._data),
                "PACELINE_EXCHANGE_HOST": "127.0.0.1",
                "PACELINE_PUBLIC_HOST": "127.0.0.1",
                "PACELINE_EXCHANGE_PORT": "0",
                "PACELINE_PUBLIC_PORT": "0",
                "PACELINE_OPS_PORT": "0",
                "PACELINE_PUBLIC_BASE_URL": BASE_URL,
                VARIABLE: self.token_keys,
                PRICE_VARIABLE: self.price_keys,
            }
        )
