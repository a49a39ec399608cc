"""A running service that a Prometheus watches with rules of short times, and the faults that are done to it.

Shapes: `Stage` is two workers of real processes with servers of their own for people and money, a crowd of exchanges, a
    market that tells what became of bids, and a log of every alert that reached the Alertmanager.
Units: all times of the rules are divided by FACTOR: minutes are seconds.
Never: a process is signalled that this test did not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from bidder.stores.keys import person_key, person_tag
from tests.bidder.supervisor.serving import PATIENCE_S
from tests.operations.prometheus import Alert, Watch
from tests.operations.rules import FILES, load, scaled
from tests.servers import RealServer
from tests.service.client import Client, Crowd, bid_request
from tests.service.market import Market
from tests.service.people import VISITOR, visitor_request
from tests.service.service import BOOK, Service

FACTOR: Final = 60
READ_MS: Final = 400.0
SLOW_S: Final = 0.25
"""Short of READ_MS, and beyond four fifths of DEAR_TMAX_MS less the margin of 20: reads answer, and late. So long that
a busy machine alone does not take it."""
DEAR_TMAX_MS: Final = 310
IN_FLIGHT: Final = 16
"""Requests in hand per worker: with slow reads sixty a second fill them."""
SETTINGS: Final[dict[str, Any]] = {
    "ledger": {"lease_bids": 1_000_000, "pacing_period_s": 1.0},
    "stores": {"read_timeout_ms": READ_MS},
    "exchange": {"max_in_flight": IN_FLIGHT},
    "events": {"erase_s": 1.0, "flush_s": 0.2, "queue_bytes": 65_536},
    "fraud": {"person_rate": 1_000_000, "address_rate": 1_000_000},
}
PLANNED: Final = "planned"
"""An advertiser whose one line item nobody asks for."""
CALLERS: Final = 4
_LOOK_S: Final = 0.2


def short_rules(folder: Path) -> list[Path]:
    """The rule files with their times divided."""
    made = []
    for path in FILES:
        short = folder / path.name
        short.write_text(yaml.safe_dump(scaled(load(path), FACTOR)))
        made.append(short)
    return made


def book(*, flight_s: float = 0.0, elsewhere: bool = False) -> str:
    """The shop of data/book.yaml and an advertiser with a plan: over `flight_s` from now on; long over where 0.
    `elsewhere`: nobody's line items suit any request."""
    content = yaml.safe_load(BOOK.read_text())
    begin = time.time() if flight_s else 1_000_000_000.0
    planned = {
        "id": "planned-1",
        "goal": {"kind": "cpm", "value": 4},
        "max_bid_cpm": 6,
        "creatives": ["b300"],
        "targeting": {"domains": ["nobody.example"]},
    }
    campaign = {
        "id": "planned",
        "name": "Planned",
        "pacing": "even",
        "budget": {"total": "100"},
        "start": _moment(begin),
        "end": _moment(begin + (flight_s or 1.0)),
        "line_items": [planned],
    }
    shop = content["advertisers"][0]
    content["advertisers"].append(
        {
            "id": PLANNED,
            "name": "Planned",
            "domain": "planned.example",
            "currency": "USD",
            "creatives": [shop["creatives"][0]],
            "campaigns": [campaign],
        }
    )
    for line in (line for each in shop["campaigns"] if elsewhere for line in each["line_items"]):
        line.setdefault("targeting", {})["countries"] = ["NZL"]
    return yaml.safe_dump(content)


def _moment(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


class Log:
    """Every alert that reached the Alertmanager, as long as `follow` runs."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.now: set[str] = set()
        self.suppressed: set[str] = set()
        """Those that fire, and of which nobody is told: whoever inhibits them fires, too."""
        self.seen: dict[str, Alert] = {}
        self._began_s = time.monotonic()

    async def follow(self) -> None:
        """Look again and again; what is printed is shown where the test fails."""
        while True:
            told = await asyncio.to_thread(self._watch.alertmanager_alerts)
            self.now = {alert.name for alert in told}
            self.suppressed = {alert.name for alert in told if alert.state == "suppressed"}
            for alert in told:
                if alert.name not in self.seen:
                    self.seen[alert.name] = alert
                    print(f"{time.monotonic() - self._began_s:6.1f} s {alert.name}", flush=True)
            await asyncio.sleep(_LOOK_S)

    def forget(self) -> None:
        """What was received until now is not asked for."""
        self.seen.clear()

    async def fire(self, *names: str) -> None:
        """Wait until each of them was received."""
        await self.wait(
            lambda: set(names) <= set(self.seen), lambda: f"{set(names) - set(self.seen)} to fire"
        )

    async def clear(self, names: Iterable[str]) -> None:
        """Wait until none of them fires any more."""
        over = set(names)
        await self.wait(lambda: not over & self.now, lambda: f"the end of {over & self.now}")

    async def wait(self, holds: Callable[[], bool], what: Callable[[], str]) -> None:
        """Wait for a condition; raises AssertionError with what it was."""
        end_s = time.monotonic() + 2 * PATIENCE_S
        while not holds():
            assert time.monotonic() < end_s, f"waited in vain for {what()}; received {sorted(self.seen)}"
            await asyncio.sleep(_LOOK_S)


class Stage:
    """What the faults are done to."""

    def __init__(self, service: Service, watch: Watch, people: RealServer, ledger: RealServer) -> None:
        self.service, self.watch, self.log = service, watch, Log(watch)
        self.people, self.ledger = people, ledger
        self.market = Market(service, BOOK, seed=5)

    @contextlib.asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Visitors and strangers ask, and what became of bids is told."""
        bodies = [visitor_request(), bid_request(1)]
        async with self.crowd(bodies, 30, clients=3), self.market.open({"news.example": "generic"}, 100):
            yield

    @contextlib.asynccontextmanager
    async def crowd(self, bodies: list[bytes], rate: float, clients: int = 8) -> AsyncIterator[Crowd]:
        """So many clients more."""
        crowd = Crowd(self.service.exchange, rate, clients)
        crowd.start(bodies)
        try:
            yield crowd
        finally:
            await crowd.stop()

    @contextlib.asynccontextmanager
    async def caller(self, path: str, rate: float) -> AsyncIterator[None]:
        """A script that calls the public port, through our own load balancer."""
        wire = f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n".encode()

        async def call() -> None:
            client = Client(self.service.public)
            try:
                while True:
                    await client.ask(wire)
                    await asyncio.sleep(CALLERS / rate)
            finally:
                await client.close()

        async with contextlib.AsyncExitStack() as held:
            for _ in range(CALLERS):
                await held.enter_async_context(_running(call()))
            yield

    @contextlib.asynccontextmanager
    async def no_disk(self) -> AsyncIterator[None]:
        """No worker can write to a file: what a full disk does."""
        with contextlib.ExitStack() as held:
            for pid in self.service.workers():
                held.enter_context(_limited(pid, resource.RLIMIT_FSIZE, lambda _: 0))
            yield

    @contextlib.contextmanager
    def few_descriptors(self) -> Any:
        """One worker may open hardly more than it has."""
        pid = self.service.workers()[0]
        with _limited(pid, resource.RLIMIT_NOFILE, lambda process: int(process.num_fds() / 0.95)):
            yield

    @contextlib.asynccontextmanager
    async def killed(self, name: str, *, but: int = 0) -> AsyncIterator[None]:
        """Processes of this name die as soon as they appear, but for one."""

        async def kill() -> None:
            while True:
                for process in await asyncio.to_thread(self.service.running, name):
                    if process.pid != but:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            process.kill()
                await asyncio.sleep(0.05)

        async with _running(kill()):
            yield

    @contextlib.contextmanager
    def stopped(self, pid: int) -> Any:
        """A process stands still."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def put(self, text: str) -> None:
        """Replace the campaign file whole."""
        fresh = self.service.campaigns.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.service.campaigns)

    def live_for_ever(self) -> None:
        """A person's key without an end, as no program of ours writes it."""
        with self.people.client() as client:
            client.hset(person_key(person_tag(bytes.fromhex(VISITOR[::-1]))), "x", "1")

    @contextlib.contextmanager
    def forged_books(self) -> Any:
        """The ledger's data say that an advertiser paid more than it had."""
        with self.ledger.client() as client:
            name, field = f"ml:{{{PLANNED}}}:a", "wallet|spent"
            before = client.hget(name, field)
            client.hset(name, field, int(client.hget(name, "wallet|funded") or 0) + 1)
            try:
                yield
            finally:
                client.hset(name, field, before or b"0")

    async def holds(self, expr: str) -> None:
        """Wait until an expression yields something."""
        end_s = time.monotonic() + 2 * PATIENCE_S
        while time.monotonic() < end_s:
            if await asyncio.to_thread(self.watch.query, expr):
                return
            await asyncio.sleep(_LOOK_S)
        raise AssertionError(f"waited in vain for {expr}")


@contextlib.asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    """Something that goes on beside the block."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.contextmanager
def _limited(pid: int, what: int, soft: Callable[[psutil.Process], int]) -> Any:
    """A process with a lower limit, which it has back afterwards."""
    process = psutil.Process(pid)
    before = process.rlimit(what)
    process.rlimit(what, (soft(process), before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.rlimit(what, before)
