"""One demo from start to end: the service, its people, the exchanges, the view; then everything is gone.

Place: `paceline demo` runs it; the service and the exchanges are processes of their own.
Raises: DemoError, a message for the person at the terminal.
Limits: READY_S until the service is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.demo.children import Child, memory_mb
from benchmarks.demo.people import seed_people
from benchmarks.demo.readings import Metrics, Reading, campaigns_of, model_kind, no_bid_reasons
from benchmarks.exchange.population import Population
from benchmarks.exchange.report import LogHistogram, Totals
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Book

READY_S: Final = 60.0
BASE_URL: Final = "https://bidder.example"
"""What notice URLs begin with: secure slots take no http address. The exchanges know where it leads."""
_POLL_S: Final = 0.05
_HTTP_TIMEOUT_S: Final = 5.0
_FRAME_S: Final = 1.0

Show = Callable[[Reading], None]
Say = Callable[[str], None]


class DemoError(Exception):
    """The demo cannot go on; `str()` says why."""


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    seconds: float = 60.0
    rate: float = 400.0
    seed: int = 1
    workers: int = 1
    people: int = 5_000
    campaigns: Path | None = None
    """Other campaigns than the demo's shops."""
    service: tuple[str, ...] = (sys.executable, "-m", "bidder", "serve")


class Ports(Struct):
    """Where the service listens: `run/ports.json` in its data directory."""

    exchange: int
    public: int
    ops: int


class Session:
    """A run; `interrupted` is the number of the signal that ended it early, else 0."""

    def __init__(self, options: Options, folder: Path, show: Show, say: Say) -> None:
        self._options, self._folder, self._show, self._say = options, folder, show, say
        self._stop = asyncio.Event()
        self._now_s = time.time()
        self._keys = f"google:{secrets.token_hex(32)}:{secrets.token_hex(32)}"
        self._totals = Totals()
        self._latest: Reading | None = None
        self.interrupted = 0

    async def run(self) -> Reading:
        """The last reading; raises DemoError."""
        book = load_book(self._options.campaigns or demo_book_path())
        service = Child(
            (*self._options.service, "--workers", str(self._options.workers)),
            self._environment(),
            self._folder / "service.log",
        )
        exchanges: Child | None = None
        with self._signals():
            try:
                await service.start()
                ports = await self._ready(service)
                await self._seed(book)
                exchanges = self._exchanges(ports)
                await exchanges.start()
                return await self._watch(service, exchanges, book, ports)
            finally:
                if exchanges is not None:
                    await exchanges.stop()
                await service.stop()

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")}
        if self._options.campaigns:
            ours["PACELINE_CAMPAIGNS"] = str(self._options.campaigns)
        return ours | {
            "PACELINE_DATA_DIR": str(self._folder / "data"),
            "PACELINE_EXCHANGE_HOST": "127.0.0.1",
            "PACELINE_PUBLIC_HOST": "127.0.0.1",
            "PACELINE_EXCHANGE_PORT": "0",
            "PACELINE_PUBLIC_PORT": "0",
            "PACELINE_OPS_PORT": "0",
            "PACELINE_PUBLIC_BASE_URL": BASE_URL,
            "PACELINE_PRICE_KEYS": self._keys,
        }

    def _exchanges(self, ports: Ports) -> Child:
        options = self._options
        settings = {
            "exchange-port": ports.exchange, "public-port": ports.public, "public-base": BASE_URL,
            "rate": options.rate, "seconds": options.seconds, "seed": options.seed,
            "people": options.people, "now": self._now_s,
        }  # fmt: skip
        argv = [f"--{name}={value}" for name, value in settings.items()]
        environment = {**os.environ, "PACELINE_PRICE_KEYS": self._keys}
        return Child(
            (sys.executable, "-m", "benchmarks.exchange", "--attached", *argv),
            environment,
            self._folder / "exchanges.log",
        )

    async def _ready(self, service: Child) -> Ports:
        """Wait until the service takes requests."""
        self._say("starting the service")
        path = self._folder / "data" / "run" / "ports.json"
        until = time.monotonic() + READY_S
        while time.monotonic() < until and not self._stop.is_set():
            if service.ended is not None:
                raise DemoError(f"the service did not start:\n{service.last_words()}")
            with contextlib.suppress(OSError, msgspec.DecodeError):
                ports = msgspec.json.decode(path.read_bytes(), type=Ports)
                await _get(ports.ops, "/ready")
                return ports
            await asyncio.sleep(_POLL_S)
        if self._stop.is_set():
            raise DemoError("interrupted before the service was ready")
        raise DemoError(f"the service was not ready after {READY_S:.0f} s:\n{service.last_words()}")

    async def _seed(self, book: Book) -> None:
        people = Population(self._options.seed, self._options.people, self._now_s)
        url = (
            os.environ.get("PACELINE_REDIS_URL") or (self._folder / "data" / "redis.url").read_text().strip()
        )
        saved = await seed_people(url, book, people, self._now_s)
        self._say(f"{saved:,} people have visited {', '.join(shop.name for shop in book.advertisers)}")

    async def _watch(self, service: Child, exchanges: Child, book: Book, ports: Ports) -> Reading:
        """Show a reading each second until the exchanges are through; the last one is complete."""
        reader = asyncio.create_task(self._read_totals(exchanges))
        ended = asyncio.create_task(service.wait())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            while not reader.done():
                await asyncio.wait(
                    [reader, ended, stopped], timeout=_FRAME_S, return_when=asyncio.FIRST_COMPLETED
                )
                if ended.done():
                    raise DemoError(f"the service ended with code {ended.result()}:\n{service.last_words()}")
                if stopped.done():
                    exchanges.terminate()
                    await reader
                with contextlib.suppress(OSError):
                    self._show(await self._reading(service, book, ports))
            reader.result()
            if await exchanges.wait():
                raise DemoError(f"the simulated exchanges failed:\n{exchanges.last_words()}")
            return await self._reading(service, book, ports)
        except OSError as error:
            raise DemoError(
                f"the service's metrics cannot be read: {error}\n{service.last_words()}"
            ) from None
        finally:
            for task in (reader, ended, stopped):
                task.cancel()

    async def _read_totals(self, exchanges: Child) -> None:
        while line := await exchanges.line():
            self._totals = msgspec.json.decode(line, type=Totals)

    async def _reading(self, service: Child, book: Book, ports: Ports) -> Reading:
        metrics = Metrics(await _get(ports.ops, "/metrics"))
        totals, before = self._totals, self._latest
        rss_mb, store_mb = memory_mb(service.pid)
        seconds = totals.seconds - (before.totals.seconds if before else 0.0)
        sent = totals.requests - (before.totals.requests if before else 0)
        fresh = totals.latency_us.since(before.totals.latency_us) if before else totals.latency_us
        reading = Reading(
            totals.seconds,
            totals,
            fresh if fresh.counts else before.recent if before else LogHistogram(),
            sent / seconds if seconds > 0 else before.rate if before else 0.0,
            no_bid_reasons(metrics),
            campaigns_of(book, metrics, self._now_s),
            model_kind(metrics),
            rss_mb,
            store_mb,
            metrics,
        )
        self._latest = reading
        return reading

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the run, and let what was started end before us."""
        loop = asyncio.get_running_loop()

        def interrupt(number: int) -> None:
            self.interrupted = number
            self._stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def _get(port: int, path: str) -> str:
    """A page of the operators' port; raises OSError."""

    def fetch() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=_HTTP_TIMEOUT_S) as answer:
            text: str = answer.read().decode()
            return text

    return await asyncio.to_thread(fetch)
