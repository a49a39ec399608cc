"""A whole service whose every process is read: what capacity.py fits its constants to, and holds the model to.

Place: capacity.py starts one per size; fleet.py one to be compared with.
Shapes: `paceline serve` with one worker on the first core; supervisor, helpers, stores and load share the others.
    The book is synthetic, wallets are full, shops know people, requests are those of the simulated exchanges.
Rule: what would make a busy machine look cheap is out of the way: nothing is shed (tick budget), no answer is too
    late (tmax), no read of people is given up. So every request is decided, and its cost is that of a decision. Where
    it may, the site also asks the kernel to prefer its processes to those of neighbours.
Units: CPU in microseconds, user and system; bytes; seconds.
Limits: Linux (/proc). START_S to be ready: YAML of 30,000 line items is read by three processes.
Raises: DemoError where the service does not come up.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import redis
import yaml
from msgspec import Struct, field

from benchmarks.arrivals import EVEN, Manner
from benchmarks.books import synthetic
from benchmarks.demo.service import DemoError, Service
from benchmarks.exchange.notices import parse_keys
from benchmarks.exchange.population import Population
from benchmarks.exchange.requests import Call, Traffic
from benchmarks.generator import Generator, Prepared, Result
from benchmarks.load import Course, drive, prepared
from benchmarks.stand import WALLET, write_rules
from benchmarks.subject import SEED, seed
from benchmarks.subjects import pin
from bidder.campaigns.model import Book
from bidder.metrics import TallyReader
from bidder.stores.embedded import EmbeddedError
from budget.redis_store import RedisStore

START_S: Final = 240.0
BODIES: Final = 12_000
SHOPS_PER_FILE: Final = 10
"""A file of campaigns has a bound, and what reading the largest takes stays resident."""
ROLES: Final = ("worker", "bookkeeper", "caretaker")
HELPERS: Final = ("supervisor", "bookkeeper", "caretaker")
STORES: Final = ("people", "ledger")
PATIENCE_MS: Final = 60_000
_NICE: Final = -10
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Size(Struct, frozen=True):
    """How large a site is."""

    line_items: int
    people: int


class Reading(Struct):
    """Counters of one moment, or what they rose by between two."""

    at_s: float
    cpu_us: dict[str, float]
    """By process."""
    counts: dict[str, int] = field(default_factory=dict)
    """By metric, summed over labels; `batches` are ticks that decided something."""

    def since(self, before: Reading) -> Reading:
        """What happened from `before` until this."""
        return Reading(
            self.at_s - before.at_s,
            {name: self.cpu_us[name] - before.cpu_us[name] for name in self.cpu_us},
            {name: count - before.counts.get(name, 0) for name, count in self.counts.items()},
        )

    def total(self, name: str) -> int:
        """One counter, by its metric's name without `paceline_`."""
        return self.counts.get(f"paceline_{name}", 0)

    @property
    def requests(self) -> int:
        """Bid requests."""
        return self.total("requests_total")

    @property
    def batch(self) -> float:
        """Requests decided together, on average."""
        return self.total("batch_requests") / max(1, self.counts.get("batches", 0))

    def per_request(self, *names: str) -> float:
        """CPU of some processes per request."""
        return sum(self.cpu_us[name] for name in names) / max(1, self.requests)

    def cores(self, *names: str) -> float:
        """What some processes use of a core, in sum."""
        return sum(self.cpu_us[name] for name in names) / 1e6 / self.at_s


class Site:
    """One service; `close` ends it."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.size, self._folder = size, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.book = synthetic(size.line_items, SEED)
        path, rules = folder / "book", folder / "rules.yaml"
        path.mkdir()
        for number in range(0, len(self.book.advertisers), SHOPS_PER_FILE):
            part = Book(advertisers=self.book.advertisers[number : number + SHOPS_PER_FILE])
            (path / f"{number:05}.yaml").write_bytes(msgspec.json.encode(part))
        write_rules(rules)
        relax(rules)
        self.now_s = time.time()
        self.service = Service(folder, 1, path, config=rules)
        self.pids: dict[str, int] = {}
        self.people_bytes = 0
        """What the people that were seeded take in their store."""
        self.calls: list[Call] = []

    async def start(self) -> None:
        """Until it takes requests, has money and knows people; raises DemoError."""
        await self.service.start()
        await self._ready()
        store = RedisStore.connect(self.service.ledger_url)
        try:
            for shop in self.book.advertisers:
                await store.fund(shop.id, "capacity", WALLET)
        finally:
            await store.close()
        people = Population(SEED, self.size.people, self.now_s)
        empty = self.people_memory()
        await seed(self.service.people_url, self.book, people, self.now_s)
        self.people_bytes = self.people_memory() - empty
        traffic = Traffic(SEED, people)
        self.calls = [patient(traffic.draw()) for _ in range(BODIES)]
        self.pids = self._processes()
        cores = sorted(os.sched_getaffinity(0))
        for name, pid in {**self.pids, "load": os.getpid()}.items():
            pin(pid, cores[0] if name == "worker" else cores[-1])
            prefer(pid)
        self._tallies = self._readers()

    async def close(self) -> None:
        """End every process."""
        await self.service.child.stop()

    def read(self) -> Reading:
        """All counters now."""
        at_s, used_us = time.perf_counter(), {name: cpu_us(pid) for name, pid in self.pids.items()}
        counts: dict[str, int] = {}
        for tally in self._tallies:
            for cell, value in tally.samples():
                name = cell.name
                if name == "paceline_batch_requests":
                    name = name if cell.part == "sum" else "batches"
                elif cell.part not in ("", "sum"):
                    continue
                counts[name] = counts.get(name, 0) + value
        for name in STORES:
            told = self.info(name)
            counts[f"{name}_bytes"] = told["total_net_input_bytes"] + told["total_net_output_bytes"]
            counts[f"{name}_log_bytes"] = told["aof_current_size"]
        return Reading(at_s, used_us, counts)

    def load(
        self, rate: float | None, connections: int, seconds: float, warm_up_s: float = 0.3
    ) -> tuple[Reading, Result]:
        """Requests at a rate, Poisson, or as fast as so many connections ask: what the processes did meanwhile, the
        warm-up left out."""
        address = ("127.0.0.1", self.service.ports.exchange)
        return self._drive((address, prepared(address, self.calls)), rate, connections, (seconds, warm_up_s))

    def notices(self, wires: Sequence[bytes], rate: float) -> tuple[Reading, Result]:
        """Each notice once, at a rate, to the public port; ends a little before the last, so that none comes twice."""
        address = ("127.0.0.1", self.service.ports.public)
        requests = [Prepared(wire, PATIENCE_MS * 1_000_000) for wire in wires]
        return self._drive((address, requests), rate, 16, (0.95 * len(wires) / rate, 0.0))

    def _drive(
        self,
        what: tuple[tuple[str, int], list[Prepared]],
        rate: float | None,
        connections: int,
        spans: tuple[float, float],
    ) -> tuple[Reading, Result]:
        (seconds, warm_up_s), manner = spans, Manner(poisson=True, seed=SEED) if rate else EVEN
        with contextlib.closing(Generator(*what, connections)) as generator:
            if warm_up_s:
                drive(generator, rate, Course(warm_up_s, 0.0, manner))
            before = self.read()
            result = drive(generator, rate, Course(seconds, 0.0, manner))
            return self.read().since(before), result

    def memory_mb(self, *names: str) -> float:
        """Resident memory of some processes."""
        return sum(rss_mb(self.pids[name]) for name in names)

    def people_memory(self) -> int:
        """Bytes of data in the people's store."""
        return int(self.info("people")["used_memory"])

    def info(self, store: str) -> dict[str, Any]:
        """INFO of a store."""
        url = self.service.people_url if store == "people" else self.service.ledger_url
        with redis.Redis.from_url(url) as client:
            told: dict[str, Any] = client.info()
            return told

    def price_keys(self) -> dict[str, tuple[bytes, bytes]]:
        """With which the exchanges seal prices."""
        return parse_keys(self.service.price_keys)

    async def _ready(self) -> None:
        end_s = time.monotonic() + START_S
        while True:
            try:
                await self.service.ready(asyncio.Event())
                return
            except DemoError:
                if self.service.child.ended is not None or time.monotonic() > end_s:
                    raise

    def _processes(self) -> dict[str, int]:
        supervisor = self.service.child.pid
        pids = {"supervisor": supervisor}
        for pid in children(supervisor):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            for role in ROLES:
                if role.encode() in words:
                    pids[role] = pid
        for store in STORES:
            pids[store] = int(self.info(store)["process_id"])
        missing = {*ROLES, *STORES} - set(pids)
        if missing:
            raise DemoError(f"not found among the processes: {', '.join(sorted(missing))}")
        return pids

    def _readers(self) -> list[TallyReader]:
        found = []
        for path in sorted(self._folder.rglob("*.tally")):
            with contextlib.suppress(ValueError, OSError):
                found.append(TallyReader(path))
        return found


def relax(rules: Path) -> None:
    """Let a service decide whatever it is asked, however long it takes."""
    told = yaml.safe_load(rules.read_text(encoding="utf-8"))
    told["exchange"] = {"tick_budget_ms": PATIENCE_MS}
    told["stores"] = {"read_timeout_ms": PATIENCE_MS, "breaker_failures": 1_000_000}
    rules.write_text(yaml.safe_dump(told), encoding="utf-8")


def patient(call: Call) -> Call:
    """The same call of an exchange that waits."""
    request = call.request | {"tmax": PATIENCE_MS}
    body = msgspec.json.encode(request)
    return call._replace(request=request, body=gzip.compress(body, 1, mtime=0) if call.dialect.gzip else body)


def prefer(pid: int) -> None:
    """Let the kernel serve a process before its neighbours; without the right to ask for that, nothing changes."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE))


def cpu_us(pid: int) -> float:
    """CPU time that a process has used, user and system: of its threads in nanoseconds, where the kernel tells them."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e3
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def settled(seconds: float) -> None:
    """Let what was begun come to its end, and collect garbage where it disturbs nobody."""
    gc.collect()
    time.sleep(seconds)


def median_of(values: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


__all__ = [
    "DemoError",
    "EmbeddedError",
    "Reading",
    "Site",
    "Size",
    "children",
    "cpu_us",
    "median_of",
    "settled",
]
