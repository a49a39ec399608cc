"""One worker in this process, of the parts that app.py is made of, on a real store, with a clock moved by hand.

Shapes: exchange port, public port, auction, household, notices and their way to the people's store are the real ones;
    money is without end. `settle` waits until all that answers left behind is done, so that what was read and
    written, and recorded, can be looked at.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from bidder import household as household_module
from bidder.auction.run import Auction, Hands
from bidder.chores import Hands as ChoreHands
from bidder.chores import catalogues
from bidder.config import Config, WorkerSetup
from bidder.events import segments
from bidder.events.records import Record
from bidder.exchanges import Exchange
from bidder.household import Household
from bidder.live import LineDirectory, load_live
from bidder.metrics import Tally
from bidder.notices.apply import Notices
from bidder.notices.clearing import terms_of
from bidder.notices.keys import Keyring
from bidder.notices.series import LineSeries
from bidder.screening import FraudRules
from bidder.settings import Events, ExchangePort, PrivacyRules, Stores
from bidder.spending.charges import Charges
from bidder.spending.drain import open_drain
from bidder.spending.exposures import PeopleLogs
from bidder.spending.sightings import Sightings
from bidder.stores.cluster import open_source
from bidder.stores.frequency_writer import FrequencyWriter
from bidder.stores.people import PeopleReader
from bidder.stores.people_writer import Client, open_client
from bidder.web.exchange import ExchangeServer
from bidder.web.public import PublicServer, notice_routes, public_app
from bidder.web.sockets import shared_socket
from budget.memory_store import MemoryStore
from budget.money import Micros
from tests.bidder.auction.support import Boundless
from tests.bidder.privacy.signals import VENDOR
from tests.people.book import CURRENCY, write_book
from tests.service.client import Answer, connected, post

START_S: Final = 1_795_608_000.0
RING: Final = Keyring(((1, b"k" * 32),))
EIDS: Final = "eids.example"
SYNC_URL: Final = (
    "https://sync.example/s?id={id}&g={gdpr}&c={gdpr_consent}&p={gpp}&s={gpp_sid}&u={us_privacy}"
)
GENERIC: Final = Exchange(name="generic", sync_url=SYNC_URL, eid_sources=(EIDS,), syncs_per_day=50)
PATIENCE_S: Final = 10.0


class HandClock:
    """Calendars as the hand says; deadlines as they are."""

    monotonic_ns = staticmethod(time.monotonic_ns)

    def __init__(self) -> None:
        self.at_s = START_S

    def now_s(self) -> float:
        return self.at_s


def config_of(folder: Path, *, fraud: bool = False) -> Config:
    """What the worker is told: patient, and with our vendor id."""
    return Config(
        data_dir=str(folder / "data"),
        campaigns=str(folder / "campaigns"),
        stores=Stores(read_timeout_ms=PATIENCE_S * 1_000),
        exchange=ExchangePort(tick_budget_ms=10_000.0),
        privacy=PrivacyRules(vendor_id=VENDOR),
        events=Events(flush_s=60.0, segment_s=3_600.0),
        fraud=FraudRules(enabled=fraud),
        exchanges=(GENERIC,),
    )


class House:
    """The worker. Make one with `housed`."""

    def __init__(self, folder: Path, redis_url: str, config: Config) -> None:
        self.clock, self.tally, self.config = HandClock(), Tally(folder / "worker.tally"), config
        self.folder, self.data = folder, Path(config.data_dir)
        (self.data / "run").mkdir(parents=True)
        self.bound = [shared_socket("127.0.0.1", 0) for _ in range(2)]
        ports = [sock.getsockname()[1] for sock in self.bound]
        self.exchange, self.base = ("127.0.0.1", ports[0]), f"http://127.0.0.1:{ports[1]}"
        self.setup = WorkerSetup(
            slot=0,
            redis_url=redis_url,
            tally_path="",
            token_keys=RING.keys,
            exchange_port=ports[0],
            public_port=ports[1],
            base_url=self.base,
            announce_fd=1,
            spool_dir=str(self.data / "spool"),
            data_dir=str(self.data),
        )
        self._read = 0

    async def open(self) -> None:
        """As Worker.run does."""
        config, setup, tally, clock = self.config, self.setup, self.tally, self.clock
        stores = Stores(redis_url=setup.redis_url, read_timeout_ms=config.stores.read_timeout_ms)
        self.client: Client = open_client(stores)
        self.hands = ChoreHands(config, setup, self.client, tally, clock)
        await catalogues(self.hands)
        self.source = await open_source(stores, tally)
        self.live = load_live(config, RING, setup.base_url)
        self.views = FrequencyWriter(self.source, tally)
        self.household = Household(config, setup, RING, tally, clock)
        await self.household.start(self.live, lambda: None)  # tests call `reload` themselves
        hands = Hands(Boundless(), self.views, config.frequency.hold_s, self.household.screen)
        people = PeopleReader(self.source, stores, tally, clock, config.frequency.busy_ms)
        people.simulated_ms = self.views.simulated_ms = self._now_ms
        self.auction = Auction(self.live.world, people, hands, tally, clock)
        await self._open_ports()

    async def _open_ports(self) -> None:
        config, tally, clock = self.config, self.tally, self.clock
        ledger = MemoryStore(clock.now_s, keep_journal=False)
        for shop in CURRENCY:
            await ledger.fund(shop, "tests", Micros(10**12))
        logs = PeopleLogs(self.source, tally, clock)
        logs.simulated_ms = self._now_ms
        sightings = Sightings(logs, tally, clock)
        charges = Charges(ledger, tally, LineSeries(), clock)
        self.drain = open_drain((Path(self.setup.spool_dir), 0), tally, (charges.plan, sightings.plan))
        self.directory = LineDirectory()
        self.directory.adopt(self.live.world.index.lines)
        notices = Notices(tally, self.directory, RING, terms_of(config.profiles(), {}), clock, self.drain)
        self.household.attend(notices)
        routes = [*notice_routes(notices, config.public), *self.household.routes()]
        self.public = PublicServer(public_app(routes, tally), tally)
        self.port = ExchangeServer(config.exchange, config.profiles(), self.auction.decide, tally, clock)
        self.auction.spent = self.port.spent
        await self.port.start(self.bound[0])
        await self.public.start(self.bound[1])
        self.browser = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    def _now_ms(self) -> int:
        return int(self.clock.at_s * 1_000)

    def reload(self) -> None:
        """As a worker does when files have changed."""
        self.live = load_live(self.config, RING, self.setup.base_url)
        self.household.adopt(self.live)
        self.auction.world = self.live.world
        self.directory.adopt(self.live.world.index.lines)

    async def close(self) -> None:
        """As a worker ends."""
        await self.browser.close()
        await self.port.close()
        await self.public.stop()
        await self.household.close()
        await self.drain.close(PATIENCE_S)
        self.views.close()
        await self.source.close()
        await self.client.aclose()

    async def settle(self) -> None:
        """Wait for what goes on behind the answers: views, accepted notices, records."""
        assert await self.drain.step()
        assert await self.views.drain(PATIENCE_S)
        assert self.recorder.flush()

    @property
    def recorder(self) -> Any:
        """The household's own."""
        return self.household._recorder

    @property
    def events(self) -> Path:
        """The folder of recorded events."""
        return self.config.events_folder()

    def records(self) -> list[Record]:
        """What was recorded since the last look, of segments."""
        found = [
            record for path in segments.readable(self.events) for record in segments.records_or_none(path)
        ]
        fresh, self._read = found[self._read :], len(found)
        return fresh

    async def ask(self, request: dict[str, Any], exchange: str = "generic") -> Answer:
        """A bid request of an exchange."""
        async with connected(self.exchange) as client:
            return await client.ask(post(json.dumps(request).encode(), exchange))

    async def call(self, path: str, method: str = "GET", **options: Any) -> Reply:
        """A call of the public port; no redirect is followed."""
        url = path if path.startswith("http") else self.base + path
        async with self.browser.request(method, url, allow_redirects=False, **options) as answer:
            return Reply(answer.status, answer.headers, await answer.read())


class Reply:
    """What came back."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies that are to be kept, by name."""
        told = [line.partition("=") for line in self.headers.getall("Set-Cookie", [])]
        return {name: rest.partition(";")[0] for name, _, rest in told if "Max-Age=0" not in rest}

    @property
    def ids(self) -> set[str]:
        """Ids of ours that the browser is to keep."""
        return {value for name, value in self.cookies.items() if name in ("pl_id", "pl_pid")}


@asynccontextmanager
async def housed(folder: Path, redis_url: str, *, fraud: bool = False) -> AsyncIterator[House]:
    """A worker of its own over a store; ads wait for their person however slow the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(household_module, "Studio", partial(household_module.Studio, known_s=PATIENCE_S))
        write_book(folder)
        house = House(folder, redis_url, config_of(folder, fraud=fraud))
        await house.open()
        try:
            yield house
        finally:
            await house.close()
