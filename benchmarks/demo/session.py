"""One demo from start to end: the service, its people and money, the exchanges, the view; then everything is gone.

Place: `paceline demo` runs it; the service and the exchanges are processes of their own.
Rule: the demo's shops are served in a copy whose flights are the seconds of the load: written once so that the service
    can start, and again when it is known when that will be. Other campaigns are served as they are.
Raises: DemoError, a message for the person at the terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.demo import stage
from benchmarks.demo.children import Child, memory_mb
from benchmarks.demo.courses import Courses
from benchmarks.demo.ledger import Ledger, Proof
from benchmarks.demo.people import past_of, write
from benchmarks.demo.readings import Metrics, Reading, campaigns_of, model_kind, no_bid_reasons
from benchmarks.demo.residue import Gone, Residue, residue
from benchmarks.demo.service import BASE_URL, SERVE, DemoError, Service
from benchmarks.demo.society import Registry, society_of
from benchmarks.exchange.population import Population
from benchmarks.exchange.report import LogHistogram, Totals
from benchmarks.exchange.shelves import shops_of
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Book
from bidder.notices.keys import PRICE_VARIABLE, VARIABLE
from budget.redis_store import RedisStore
from budget.store import LedgerDown

_FRAME_S: Final = 1.0
_LEAD_S: Final = 3.0
"""From the writing of the flights to their start: the service looks for changed files once a second, and the exchanges
take a second to start."""
_DRAIN_S: Final = 10.0
"""So long accepted bills may take to the ledger."""
_FORGET_S: Final = 2 * stage.COMPACT_S
"""So long what was on its way to a file when somebody was erased may stay there."""
_FAR_S: Final = 86_400.0
ROBOTS: Final = 0.06
"""The share of requests that no person is behind."""

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


class _Run(Struct):
    """What a run has while the service is up."""

    book: Book
    ledger: Ledger
    courses: Courses
    registry: Registry
    known: set[str]
    """Ids of those who were known before."""
    residue: Residue | None = None
    proofs: tuple[Proof, ...] = ()


class Session:
    """A run; `interrupted` is the number of the signal that ended it early, else 0."""

    def __init__(self, options: Options, folder: Path, show: Show, say: Say) -> None:
        self._options, self._folder, self._show, self._say = options, folder, show, say
        self._stop = asyncio.Event()
        self._now_s = time.time()
        self._book_path = options.campaigns or folder / "book.yaml"
        rules = folder / "service.yaml"
        self._service = Service(folder, options.workers, self._book_path, options.service, rules)
        self._people = Population(options.seed, options.people, self._now_s)
        own = options.campaigns
        self._feeds = demo_book_path() if own is None else own if own.is_dir() else own.parent
        stage.write_rules(rules, stage.Load(options.rate, options.seconds), self._people.busiest, self._feeds)
        self._totals = Totals()
        self._latest: Reading | None = None
        self.interrupted = 0

    async def run(self) -> Reading:
        """The last reading; raises DemoError."""
        book = self._write_book(self._now_s + _FAR_S)
        service, exchanges = self._service, None
        shops = shops_of(book, self._feeds)
        with self._signals():
            try:
                await service.start()
                self._say("starting the service")
                remembering = asyncio.create_task(past_of(shops, self._people, self._now_s))
                await service.ready(self._stop)
                past = await remembering
                await write(service.people_url, past, self._now_s)
                names = ", ".join(shop.name for shop in book.advertisers)
                self._say(f"{len(past.humans):,} people have visited {names}")
                async with self._ledger(book) as ledger, self._registry(book) as registry:
                    await ledger.fund()
                    start_s = time.time() + _LEAD_S
                    book = self._write_book(start_s)
                    exchanges = self._exchanges(start_s)
                    await exchanges.start()
                    run = _Run(book, ledger, Courses(book, start_s), registry, past.ids)
                    return await self._watch(exchanges, run)
            except LedgerDown as error:
                raise DemoError(
                    f"the ledger cannot be reached: {error}\n{service.child.last_words()}"
                ) from None
            finally:
                if exchanges is not None:
                    await exchanges.stop()
                await service.child.stop()

    def _write_book(self, start_s: float) -> Book:
        """The campaigns, with flights from a moment on where they are the demo's; raises CampaignError."""
        if self._options.campaigns is None:
            load = stage.Load(self._options.rate, self._options.seconds)
            stage.write_book(self._book_path, load, start_s)
        return load_book(self._book_path)

    @contextlib.asynccontextmanager
    async def _ledger(self, book: Book) -> AsyncIterator[Ledger]:
        store = RedisStore.connect(self._service.ledger_url)
        try:
            yield Ledger(store, self._service.journal, book)
        finally:
            await store.close()

    @contextlib.asynccontextmanager
    async def _registry(self, book: Book) -> AsyncIterator[Registry]:
        registry = Registry(self._service.people_url, book)
        try:
            yield registry
        finally:
            await registry.close()

    def _exchanges(self, start_s: float) -> Child:
        options, ports = self._options, self._service.ports
        settings = {
            "exchange-port": ports.exchange, "public-port": ports.public, "public-base": BASE_URL,
            "rate": options.rate, "seconds": options.seconds, "seed": options.seed,
            "people": options.people, "now": self._now_s, "start": start_s, "campaigns": self._book_path,
            "feeds": self._feeds, "catalogues": self._service.catalogues, "robots": ROBOTS,
        }  # fmt: skip
        argv = [f"--{name}={value}" for name, value in settings.items()]
        keys = {PRICE_VARIABLE: self._service.price_keys, VARIABLE: self._service.token_keys}
        return Child(
            (sys.executable, "-m", "benchmarks.exchange", "--attached", *argv),
            {**os.environ, **keys},
            self._folder / "exchanges.log",
        )

    async def _watch(self, exchanges: Child, run: _Run) -> Reading:
        """Show a reading each second until the exchanges are through; the last one is complete."""
        service = self._service.child
        reader = asyncio.create_task(self._read_totals(exchanges))
        ended = asyncio.create_task(service.wait())
        stopped = asyncio.create_task(self._stop.wait())
        due_s = time.monotonic()
        try:
            while not reader.done():
                due_s = max(due_s + _FRAME_S, time.monotonic())
                await asyncio.wait(
                    [reader, ended, stopped],
                    timeout=due_s - time.monotonic(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if ended.done():
                    raise DemoError(f"the service ended with code {ended.result()}:\n{service.last_words()}")
                if stopped.done():
                    exchanges.terminate()
                    await reader
                with contextlib.suppress(OSError, LedgerDown):
                    self._show(await self._reading(run))
            reader.result()
            if await exchanges.wait():
                raise DemoError(f"the simulated exchanges failed:\n{exchanges.last_words()}")
            return await self._conclude(run)
        except OSError as error:
            raise DemoError(
                f"the service's metrics cannot be read: {error}\n{service.last_words()}"
            ) from None
        finally:
            for task in (reader, ended, stopped):
                task.cancel()

    async def _conclude(self, run: _Run) -> Reading:
        """The last reading, when every bill is in the ledger or it is clear that some never will be."""
        until = time.monotonic() + _DRAIN_S
        while time.monotonic() < until:
            charged = Metrics(await self._service.get("/metrics")).by("paceline_charges_total", "result")
            if sum(charged.values()) >= self._totals.billed:
                break
            await asyncio.sleep(_FRAME_S / 10)
        run.proofs = await run.ledger.prove()
        people = self._totals.people
        gone = Gone(tuple(people.erased_ids), tuple(people.opted_out_ids))
        service, known = self._service, run.known | set(people.issued_ids)
        until = time.monotonic() + _FORGET_S
        while True:
            run.residue = await residue(service.people_url, service.events, known, gone)
            if not run.residue.again or time.monotonic() >= until:
                break
            await asyncio.sleep(_FRAME_S)
        return await self._reading(run)

    async def _read_totals(self, exchanges: Child) -> None:
        while line := await exchanges.line():
            self._totals = msgspec.json.decode(line, type=Totals)

    async def _reading(self, run: _Run) -> Reading:
        metrics = Metrics(await self._service.get("/metrics"))
        now_s = time.time()
        run.courses.sample(now_s, await run.ledger.accounts())
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
            campaigns_of(run.book, metrics, now_s),
            model_kind(metrics),
            rss_mb,
            store_mb,
            metrics,
            run.courses.courses(),
            run.proofs,
            society_of(metrics, await run.registry.sizes(now_s), run.residue),
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
