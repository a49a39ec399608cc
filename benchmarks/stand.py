"""The test stand: a service of its own with money for years, people, exchanges that bill, and open-loop load.

Place: soak.py, restart.py and curve.py start one; every process is a child and gone when it closes.
Shapes: load comes from a process of its own (benchmarks.load), and from simulated exchanges (benchmarks.exchange) that
    hold auctions, bill, click and judge every answer, so that money flows; what load alone bids for is never billed
    and comes free again after EXP_S + NOTICE_S.
Rule: the campaigns are the demo's, with budgets and caps that no run exhausts; caps are still read and counted.
Units: bytes, seconds, requests per second.
Raises: DemoError, a message for the person at the terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
import yaml
from msgspec import Struct

from benchmarks.demo.children import Child
from benchmarks.demo.people import seed_people
from benchmarks.demo.readings import BID, Metrics
from benchmarks.demo.service import BASE_URL, DemoError, Service
from benchmarks.exchange.population import Population
from benchmarks.exchange.report import Totals
from benchmarks.exchange.shelves import shops_of
from benchmarks.saturation import Search
from benchmarks.windows import Window
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import campaign_files, load_book
from bidder.exchanges import SHIPPED
from bidder.notices.keys import PRICE_VARIABLE, VARIABLE
from budget.money import micros_from_text
from budget.redis_store import RedisStore

PEOPLE: Final = 5_000
BODIES: Final = 20_000
"""Different requests of the load; each comes again after that many, when holds of its person are over."""
CONNECTIONS: Final = 512
"""So many that a request waits for none of them: exchanges open as many as they need."""
DAILY: Final = 1_000_000
"""Of each campaign, in its currency: a thousand times what a run can spend in a day."""
WALLET: Final = micros_from_text(1_000_000_000)
VIEWS: Final = 200
"""Of a cap of a minute: more than anybody sees."""
NOTICE_S: Final = 2
EXP_S: Final = 4
HOLD_S: Final = 10.0
VENDOR_ID: Final = 1_234
_LOOK_S: Final = 0.2
_IGNORED: Final = ("person_rate", "address_rate", "source_rate")


class Setup(Struct, frozen=True, kw_only=True):
    """What is started."""

    workers: int = 2
    seed: int = 1
    people: int = PEOPLE
    bodies: int = BODIES
    connections: int = CONNECTIONS


class Sample(Struct, frozen=True):
    """One look at the service's processes."""

    unix_s: float
    rss_mb: dict[str, float]
    """By process."""
    fds: dict[str, int]
    started_s: dict[str, float]
    workers_up: int
    bids: int
    """Since the start, as the outcomes count them."""
    requests: int
    charges: int


class Load:
    """One run of load under way: iterate over its windows; `report` stands when they end."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.report: dict[str, Any] = {}

    async def __aiter__(self) -> AsyncIterator[Window]:
        while line := await self._child.line():
            told = orjson.loads(line)
            if "report" in told:
                self.report = told["report"]
            else:
                yield msgspec.convert(told, Window)
        if await self._child.wait() or not self.report:
            raise DemoError(f"the load failed:\n{self._child.last_words()}")

    def end(self) -> None:
        """As if its time were over."""
        self._child.terminate()


class Stand:
    """A service and what loads it, in a folder of its own; `close` ends all of it."""

    def __init__(self, folder: Path, setup: Setup) -> None:
        self._folder, self.setup = folder, setup
        self._book, rules = folder / "book.yaml", folder / "service.yaml"
        write_book(self._book)
        write_rules(rules)
        self._now_s = time.time()
        self.service = Service(folder, setup.workers, self._book, config=rules)
        self._children: list[Child] = []
        self._exchanges: Child | None = None
        self.totals = Totals()
        """Of the exchanges, as they last told them."""
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until it takes requests, has money and knows people."""
        await self.service.start()
        await self.service.ready(asyncio.Event())
        book = load_book(self._book)
        store = RedisStore.connect(self.service.ledger_url)
        try:
            for shop in book.advertisers:
                await store.fund(shop.id, "stand", WALLET)
        finally:
            await store.close()
        people = Population(self.setup.seed, self.setup.people, self._now_s)
        await seed_people(self.service.people_url, shops_of(book, demo_book_path()), people, self._now_s)

    async def close(self) -> None:
        """End every process."""
        if self._listening is not None:
            self._listening.cancel()
        for child in self._children:
            await child.stop()
        await self.service.child.stop()

    async def saturation(self, plan: Search) -> dict[str, Any]:
        """The highest rate that it sustains alone, as load.py reports it."""
        report = self._folder / "saturation.json"
        child = await self._loading(
            "--saturate", f"--seconds={plan.seconds}", f"--limit={plan.budget_s}", f"--json={report}",
            f"--p99-ms={plan.bounds.p99_ms}",
        )  # fmt: skip
        while line := await child.line():
            say(line.decode().rstrip())
        if await child.wait() or not report.exists():
            raise DemoError(f"the search for saturation failed:\n{child.last_words()}")
        found: dict[str, Any] = orjson.loads(report.read_bytes())
        return found

    async def load(self, rate: float, seconds: float, every_s: float, *more: str) -> Load:
        """Begin an open-loop run; `more` are arguments of benchmarks.load."""
        course = (f"--rate={rate}", f"--seconds={seconds}", f"--every={every_s}", "--warm-up=2")
        return Load(await self._loading(*course, *more))

    async def exchanges(self, rate: float, seconds: float) -> None:
        """Begin to play the exchanges; their totals come by themselves."""
        ports = self.service.ports
        settings = {
            "exchange-port": ports.exchange, "public-port": ports.public, "public-base": BASE_URL,
            "rate": rate, "seconds": seconds, "seed": self.setup.seed, "people": self.setup.people,
            "now": self._now_s,
        }  # fmt: skip
        keys = {
            PRICE_VARIABLE: self.service.price_keys,
            VARIABLE: self.service.token_keys,
        }
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        argv = (sys.executable, "-m", "benchmarks.exchange", "--attached", *arguments)
        self._exchanges = Child(argv, {**os.environ, **keys}, self._folder / "exchanges.log")
        self._children.append(self._exchanges)
        await self._exchanges.start()
        self._listening = asyncio.create_task(self._listen(self._exchanges))

    async def settle(self, patience_s: float = 30.0) -> None:
        """Let the exchanges end, and their bills reach the ledger."""
        if self._exchanges is not None and self._listening is not None:
            self._exchanges.terminate()
            await self._listening
        end_s = time.monotonic() + patience_s
        while time.monotonic() < end_s:
            if (await self.sample()).charges >= self.totals.billed:
                break
            await asyncio.sleep(_LOOK_S)

    async def sample(self) -> Sample:
        """The processes now; raises OSError."""
        metrics = Metrics(await self.service.get("/metrics"))

        def by(name: str) -> dict[str, float]:
            return {labels["process"]: value for labels, value in metrics.samples(name)}

        return Sample(
            time.time(),
            {name: round(b / 1e6, 2) for name, b in by("paceline_process_resident_memory_bytes").items()},
            {name: int(n) for name, n in by("paceline_process_open_fds").items()},
            by("paceline_process_start_time_seconds"),
            metrics.total("paceline_worker_up"),
            metrics.total("paceline_outcomes_total", outcome=BID),
            metrics.total("paceline_requests_total"),
            metrics.total("paceline_charges_total"),
        )

    async def audit(self) -> tuple[int, str]:
        """`paceline audit` over everything: (exit code, what it says)."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bidder", "audit"),
            env=self.service.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        return process.returncode or 0, told.decode()

    async def _listen(self, exchanges: Child) -> None:
        while line := await exchanges.line():
            self.totals = msgspec.json.decode(line, type=Totals)

    async def _loading(self, *arguments: str) -> Child:
        setup = self.setup
        url = f"http://127.0.0.1:{self.service.ports.exchange}"
        usual = (
            f"--url={url}",
            f"--bodies={setup.bodies}",
            f"--connections={setup.connections}",
            f"--seed={setup.seed}",
        )
        argv = (sys.executable, "-m", "benchmarks.load", *usual, *arguments)
        child = Child(argv, os.environ, self._folder / "load.log")
        self._children.append(child)
        await child.start()
        return child


@contextlib.asynccontextmanager
async def standing(setup: Setup, limit_s: float) -> AsyncIterator[Stand]:
    """A stand that has started, for `limit_s` at most; who interrupts the program ends it, too."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with tempfile.TemporaryDirectory(prefix="paceline-stand-") as folder:
        async with asyncio.timeout(limit_s):
            stand = Stand(Path(folder), setup)
            try:
                say("starting a service of its own")
                await stand.start()
                yield stand
            finally:
                await stand.close()


def as_command(name: str, measure: Coroutine[None, None, int]) -> int:
    """The exit code of a measurement; what ended it early is a line that begins with its name, and a 1."""
    try:
        return asyncio.run(measure)
    except DemoError as error:
        say(f"{name}: {error}")
    except TimeoutError:
        say(f"{name}: it took longer than it may")
    except asyncio.CancelledError:
        say(f"{name}: interrupted")
    return 1


def write_book(path: Path) -> None:
    """The demo's campaigns with amounts and caps that no run exhausts."""
    shops: list[dict[str, Any]] = []
    for file in campaign_files(demo_book_path()):
        shops += yaml.safe_load(file.read_text(encoding="utf-8"))["advertisers"]
    for shop in shops:
        feed = shop.get("feed")
        if feed:
            feed["location"] = str(demo_book_path() / feed["location"])
        for holder in (shop, *shop["creatives"], *shop["campaigns"]):
            _relax(holder)
        for campaign in shop["campaigns"]:
            campaign["budget"] = {"daily": DAILY}
            for line in campaign["line_items"]:
                _relax(line)
                line.pop("budget", None)
                line.get("targeting", {}).pop("hours", None)  # a run is the same at night
    path.write_text(json.dumps({"advertisers": shops}, ensure_ascii=False), encoding="utf-8")


def write_rules(path: Path) -> None:
    """The service's configuration: production's, but bids come free soon, and nobody is taken for a robot."""
    profiles = [msgspec.to_builtins(profile) | {"notice_delay_s": NOTICE_S} for profile in SHIPPED]
    rules = {
        "ledger": {"max_exp_s": EXP_S},
        "frequency": {"visitors": True, "hold_s": HOLD_S},
        "privacy": {"vendor_id": VENDOR_ID},
        "fraud": {"policies": dict.fromkeys(_IGNORED, "ignore")},
        "catalogue": {"folder": str(demo_book_path())},
        "exchanges": profiles,
    }
    path.write_text(yaml.safe_dump(rules), encoding="utf-8")


def _relax(holder: dict[str, Any]) -> None:
    if holder.get("frequency"):
        holder["frequency"] = {"caps": [{"views": VIEWS, "per": "1m"}]}


def say(text: str) -> None:
    """A line for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)
