"""The service as real processes, for tests that talk to it over sockets and do it harm.

Shapes: `Service` is one `paceline serve` with its workers and store; `started` ends every one and looks that no
    process of it is left. `Scraped` is one reading of /metrics.
Rule: every advertiser of the book has WALLET before the first worker starts, unless a test says otherwise. Where the
    people's store is given, the ledger is a server of its own, so that harm to the one is none to the other.
Never: a process is signalled that this module did not start.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from bidder.campaigns.load import load_book
from bidder.stores.embedded import EmbeddedServer
from budget.money import Micros
from tests.bidder.supervisor.serving import Serving, until
from tests.processes import command
from tests.service.money import fund

BOOK = Path(__file__).parent / "data" / "book.yaml"
EXCHANGES = ("generic", "prebid", "google", "xandr", "index", "magnite")
WALLET = Micros(10**12)
"""A million of each advertiser's currency: more than any test can spend."""
PLENTY = {"lease_bids": 1_000_000}
"""Settings of `ledger` by which a worker's first leases hold more than any test bids."""

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Scraped:
    """One reading of /metrics."""

    def __init__(self, text: str) -> None:
        self._samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.splitlines():
            found = _SAMPLE.fullmatch(line)
            if found and not line.startswith("#"):
                self._samples.append((found[1], dict(_LABEL.findall(found[2] or "")), float(found[3])))

    def total(self, name: str, **labels: str) -> int:
        """The sum of a metric's samples with these labels."""
        return round(self.value(name, **labels))

    def value(self, name: str, **labels: str) -> float:
        """The same, unrounded."""
        return sum(v for n, known, v in self._samples if n == name and labels.items() <= known.items())

    def by(self, name: str, label: str, **labels: str) -> dict[str, int]:
        """Sums by one label, those that are not zero."""
        sums: dict[str, int] = {}
        for n, known, value in self._samples:
            if n == name and value and labels.items() <= known.items():
                sums[known[label]] = sums.get(known[label], 0) + round(value)
        return sums

    def conserved(self) -> None:
        """Requests in = sum of outcomes, by exchange; candidates = drops + bids."""
        asked = self.by("paceline_requests_total", "exchange")
        assert asked == self.by("paceline_outcomes_total", "exchange")
        ended = self.total("paceline_drops_total") + self.total("paceline_bids_total")
        assert self.total("paceline_candidates_total") == ended


class Service(Serving):
    """One `paceline serve` on free ports; see Serving for workers, logs and the operators' port."""

    def __init__(
        self,
        data_dir: Path,
        *,
        workers: int = 1,
        campaigns: Path = BOOK,
        settings: dict[str, Any] | None = None,
        stores: tuple[str, str] = ("", ""),
    ) -> None:
        """`settings` is the content of a configuration file; `stores` are the URLs of people's store and ledger, each
        embedded where it is empty."""
        self.size, self.campaigns = workers, campaigns
        self._ledger_url = stores[1]
        config = data_dir.with_suffix(".yaml")
        config.write_text(yaml.safe_dump({"ledger": PLENTY} | (settings or {})))
        environment = {"PACELINE_WORKERS": str(workers), "PACELINE_CAMPAIGNS": str(campaigns)}
        given = zip(("PACELINE_REDIS_URL", "PACELINE_LEDGER_URL"), stores, strict=True)
        environment |= {name: url for name, url in given if url}
        super().__init__(data_dir, standins=False, config=str(config), **environment)
        self._known: set[psutil.Process] = set()

    def ready(self) -> Service:
        """Wait until every worker takes requests."""
        self.until_ready(self.size)
        self.look()
        return self

    @property
    def exchange(self) -> tuple[str, int]:
        """Where the exchange port listens."""
        return "127.0.0.1", self.ports["exchange"]

    @property
    def public(self) -> tuple[str, int]:
        """Where the public port listens."""
        return "127.0.0.1", self.ports["public"]

    @property
    def ledger_url(self) -> str:
        """Where the money is."""
        return self._ledger_url or (self.data_dir / "ledger.url").read_text().strip()

    @property
    def bookkeeper(self) -> int:
        """The process that archives the journal."""
        return until(lambda: self._running("bookkeeper"), "the bookkeeper")

    @property
    def store_pid(self) -> int:
        """The embedded store's process."""
        return self.server("redis").pid

    def look(self) -> None:
        """Remember every process that there is now, so that its end can be seen."""
        self._known.update(self.descendants())

    def scrape(self) -> Scraped:
        """The metrics as they are now."""
        status, text = self.get("/metrics")
        assert status == 200
        return Scraped(text.decode())

    def settled(self) -> Scraped:
        """The metrics once nothing is in flight."""
        until(lambda: self.scrape().total("paceline_requests_in_flight") == 0, "the last answers")
        return self.scrape()

    def connections(self) -> int:
        """Open connections of exchanges; the gauge is up to a second old."""
        return self.scrape().total("paceline_connections")

    def resident_bytes(self) -> int:
        """Memory of all workers."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.workers())

    def hang_up(self) -> None:
        """SIGHUP: load campaigns anew."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> int:
        """SIGTERM, its exit status once it drained; no process is left."""
        self.look()
        self.process.send_signal(signal.SIGTERM)
        status = self.wait()
        self.gone()
        return status

    def gone(self) -> None:
        """Wait until every process that was ever seen has ended."""
        until(lambda: not self.left(), "the end of every process")

    def _running(self, name: str) -> int:
        return next((process.pid for process in self.descendants() if name in command(process)), 0)

    def left(self) -> list[psutil.Process]:
        """Processes that still run."""
        return [p for p in self._known if _runs(p)]

    def end(self) -> None:
        """Whatever state it is in: end it, and hold the test to having left nothing."""
        self.look()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except Exception:
                self.process.kill()
                self.process.wait()
        try:
            self.gone()
        finally:
            for process in self.left():
                with contextlib.suppress(psutil.NoSuchProcess):
                    os.kill(process.pid, signal.SIGCONT)
                    process.kill()


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended (a zombie has: its new parent has not looked yet)."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@contextlib.contextmanager
def started(
    data_dir: Path,
    *,
    redis_url: str = "",
    ledger_url: str = "",
    wallet: Micros = WALLET,
    campaigns: Path = BOOK,
    **options: Any,
) -> Iterator[Service]:
    """A ready service whose advertisers have so much money; ended afterwards. `options` are Service's."""
    with contextlib.ExitStack() as held:
        if redis_url and not ledger_url:
            ledger_url = held.enter_context(EmbeddedServer(data_dir.with_name(f"{data_dir.name}-ledger"))).url
        _fund(data_dir, ledger_url, campaigns, wallet)
        service = Service(data_dir, campaigns=campaigns, stores=(redis_url, ledger_url), **options)
        held.callback(service.end)
        yield service.ready()


def _fund(data_dir: Path, ledger_url: str, campaigns: Path, wallet: Micros) -> None:
    """Put money into a ledger that has none yet: the given one, or the embedded one of a service to come."""
    with contextlib.ExitStack() as held:
        if not ledger_url:
            folder = data_dir / "ledger"
            if folder.exists():
                return
            data_dir.mkdir(mode=0o700, exist_ok=True)
            ledger_url = held.enter_context(EmbeddedServer(folder, sync="always")).url
        for advertiser in load_book(campaigns).advertisers:
            fund(ledger_url, advertiser.id, wallet)
