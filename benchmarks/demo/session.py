"""One demo from start to end: the service, its people, the exchanges, the view; then everything is gone.

Place: `paceline demo` runs it; the service and the exchanges are processes of their own.
Raises: DemoError, a message for the person at the terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.demo.children import Child, memory_mb
from benchmarks.demo.readings import Metrics, Reading, campaigns_of, model_kind, no_bid_reasons
from benchmarks.demo.service import BASE_URL, SERVE, DemoError, Service
from benchmarks.exchange.population import Population
from benchmarks.exchange.report import LogHistogram, Totals
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Book

_FRAME_S: Final = 1.0

Show = Callable[[Reading], None]
Say = Callable[[str], None]


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    seconds: float = 60.0
    rate: float = 500.0
    seed: int = 1
    workers: int = 1
    people: int = 5_000
    campaigns: Path | None = None
    """Other campaigns than the demo's shops."""
    service: tuple[str, ...] = SERVE


class Session:
    """A run; `interrupted` is the number of the signal that ended it early, else 0."""

    def __init__(self, options: Options, folder: Path, show: Show, say: Say) -> None:
        self._options, self._folder, self._show, self._say = options, folder, show, say
        self._stop = asyncio.Event()
        self._now_s = time.time()
        self._service = Service(folder, options.workers, options.campaigns, options.service)
        self._totals = Totals()
        self._latest: Reading | None = None
        self.interrupted = 0

    async def run(self) -> Reading:
        """The last reading; raises DemoError."""
        book = load_book(self._options.campaigns or demo_book_path())
        service, exchanges = self._service, None
        with self._signals():
            try:
                await service.start()
                self._say("starting the service")
                await service.ready(self._stop)
                people = Population(self._options.seed, self._options.people, self._now_s)
                known = await service.seed(book, people, self._now_s)
                self._say(
                    f"{known:,} people have visited {', '.join(shop.name for shop in book.advertisers)}"
                )
                exchanges = self._exchanges()
                await exchanges.start()
                return await self._watch(exchanges, book)
            finally:
                if exchanges is not None:
                    await exchanges.stop()
                await service.child.stop()

    def _exchanges(self) -> Child:
        options, ports = self._options, self._service.ports
        settings = {
            "exchange-port": ports.exchange, "public-port": ports.public, "public-base": BASE_URL,
            "rate": options.rate, "seconds": options.seconds, "seed": options.seed,
            "people": options.people, "now": self._now_s,
        }  # fmt: skip
        argv = [f"--{name}={value}" for name, value in settings.items()]
        return Child(
            (sys.executable, "-m", "benchmarks.exchange", "--attached", *argv),
            {**os.environ, "PACELINE_PRICE_KEYS": self._service.price_keys},
            self._folder / "exchanges.log",
        )

    async def _watch(self, exchanges: Child, book: Book) -> Reading:
        """Show a reading each second until the exchanges are through; the last one is complete."""
        service = self._service.child
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
                    self._show(await self._reading(book))
            reader.result()
            if await exchanges.wait():
                raise DemoError(f"the simulated exchanges failed:\n{exchanges.last_words()}")
            return await self._reading(book)
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

    async def _reading(self, book: Book) -> Reading:
        metrics = Metrics(await self._service.get("/metrics"))
        totals, before = self._totals, self._latest
        rss_mb, store_mb = memory_mb(self._service.child.pid)
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
