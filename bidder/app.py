"""One worker: an exchange port, a public port, the auction between them, and the signals that steer it.

Place: the supervisor starts N of these; they share nothing but the ports, the stores and their tally files.
Limits: campaigns are compiled in a thread with a short switch interval, so that bids go on meanwhile.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import uvloop

from bidder import unhurried
from bidder.auction.counts import METRICS as AUCTION_METRICS
from bidder.auction.run import Auction, Hands
from bidder.campaigns.load import CampaignError
from bidder.campaigns.rates import RatesError
from bidder.clock import SystemClock
from bidder.config import SUCCEEDED, Announcement, Config, WorkerSetup
from bidder.household import Household
from bidder.link import announce
from bidder.live import LineDirectory, Live, keep_currencies, load_live
from bidder.metrics import Metric, Tally
from bidder.notices.apply import Notices
from bidder.notices.clearing import terms_of
from bidder.notices.keys import Keyring
from bidder.settings import Stores
from bidder.stores.cluster import Cluster, open_source
from bidder.stores.connection import Connection
from bidder.stores.frequency_writer import FrequencyWriter
from bidder.stores.people import PeopleReader
from bidder.treasury import Treasury
from bidder.web.callers import Callers
from bidder.web.descriptors import bounds, needed, open_files_limit
from bidder.web.exchange import ExchangeServer
from bidder.web.headers import public_headers
from bidder.web.limits import Limits
from bidder.web.public import PublicServer, notice_routes, public_app
from bidder.web.sockets import inherited_socket, shared_socket
from bidder.web.tls import PortTls

SWITCH_INTERVAL_S = 0.0005
"""How soon a thread that compiles campaigns gives way to the bidding loop."""
GC_THRESHOLDS = (50_000, 20, 100)
"""The path of a bid leaves no cycles, so the collector need hardly ever run; and it never looks through what
campaigns became: a full collection of 10,000 line items is a pause of 50 ms, of 100,000 half a second."""

METRICS = (
    *AUCTION_METRICS,
    Metric(
        "paceline_campaigns_loaded_timestamp_seconds",
        "gauge",
        "When the live campaigns were loaded",
        merge="max",
    ),
    Metric(
        "paceline_campaigns_reload_failed",
        "gauge",
        "1 while the files are worse than what is live",
        merge="max",
    ),
    Metric("paceline_line_items", "gauge", "Line items in the live index", merge="max"),
    Metric("paceline_rates_date_seconds", "gauge", "Date of the exchange rates", merge="max"),
    Metric("paceline_model_info", "gauge", "1 for what predicts response rates", ("kind",), merge="max"),
)

BEAT_S = 1.0
"""A loop that does not beat for slots.HUNG_LOOKS looks of slots.LOOK_S is replaced with its worker."""
VIEWS_S = 2.0
"""Views that the store has not taken by then, at the end, are given up."""

log = logging.getLogger(__name__)

Load = Callable[[Config, Keyring, str], Live]


class Worker:
    """The parts of one worker."""

    def __init__(self, config: Config, setup: WorkerSetup, load: Load = load_live) -> None:
        """`load` reads and compiles the campaigns; it runs in a thread. Raises TlsError."""
        self._config, self._setup, self._load = config, setup, load
        self._tally = Tally(Path(setup.tally_path) if setup.tally_path else None)
        self._clock = SystemClock()
        self._keyring = Keyring(setup.token_keys)
        self._directory = LineDirectory()
        self._reloading: asyncio.Task[None] | None = None
        limit = open_files_limit()
        self._bounds = bounds(config, limit)
        if limit < (all_ := needed(config)):
            log.warning(
                "open files: %d, and %d for all connections; fewer are taken: %s", limit, all_, self._bounds
            )
        self._tls = tuple(
            PortTls(port.tls, name, self._tally, self._bounds.handshakes)
            for name, port in (("exchange", config.exchange), ("public", config.public))
        )
        self._stopping = asyncio.Event()
        self._succeeded = False
        """Another worker of the slot accepts from the same sockets."""

    async def run(self) -> None:
        """Serve until told to stop, then drain."""
        stores = self._with_url()
        source = await open_source(stores, self._tally)
        live = await asyncio.to_thread(self._load, self._config, self._keyring, self._setup.base_url)
        self._treasury = Treasury(self._config, self._setup, source, self._tally, self._clock)
        await self._treasury.start(live, self._directory.remember_advertisers)
        views = FrequencyWriter(source, self._tally)
        try:
            exchange, public = await self._open(live, stores, source, views)
        except BaseException:
            await self._treasury.close()  # what was leased goes home
            raise
        self._beat()
        unhurried.end()
        self._announce(ready=True)
        await self._stopping.wait()
        await self._drain(exchange, public)
        await self._household.close()
        await self._treasury.close()
        await views.drain(VIEWS_S)
        views.close()
        await source.close()

    async def _open(
        self, live: Live, stores: Stores, source: Connection | Cluster, views: FrequencyWriter
    ) -> tuple[ExchangeServer, PublicServer]:
        """All that decides and answers, on its ports."""
        frequency = self._config.frequency
        self._household = Household(self._config, self._setup, self._keyring, self._tally, self._clock)
        await self._household.start(live, self.reload)
        hands = Hands(self._treasury.allowance, views, frequency.hold_s, self._household.screen)
        people = PeopleReader(source, stores, self._tally, self._clock, frequency.busy_ms)
        self._auction = Auction(live.world, people, hands, self._tally, self._clock)
        self._count(live)
        gc.collect()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.freeze()
        return await self._listen()

    async def _drain(self, exchange: ExchangeServer, public: PublicServer) -> None:
        """Let everybody go, with an answer. Told to end, the worker says for a while that it is not ready; one that has
        a successor says no such thing, since its slot goes on."""
        self._announce(ready=False, detail=SUCCEEDED if self._succeeded else "draining")
        if not self._succeeded:
            exchange.set_ready(False)
            await asyncio.sleep(self._config.exchange.drain_wait_s)
        drained = await exchange.drain(succeeded=self._succeeded)
        log.info("drained" if drained else "drain timed out: the rest was cut")
        await public.drain(succeeded=self._succeeded)
        await public.stop()

    def _succeed(self) -> None:
        """A successor took over."""
        self._succeeded = True
        self._stopping.set()

    def _beat(self) -> None:
        """Tell the supervisor, as long as the loop turns, that it does."""
        self._tally.beat()
        asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    async def _listen(self) -> tuple[ExchangeServer, PublicServer]:
        config, setup = self._config, self._setup
        profiles = config.profiles()
        port = msgspec.structs.replace(config.exchange, max_connections=self._bounds.exchange)
        exchange = ExchangeServer(port, profiles, self._auction.decide, self._tally, self._clock)
        self._auction.spent = exchange.spent
        terms, queue = terms_of(profiles, setup.price_keys), self._treasury.drain
        notices = Notices(self._tally, self._directory, self._keyring, terms, self._clock, queue)
        self._household.attend(notices)
        routes = [*notice_routes(notices, config.public), *self._household.routes()]
        callers = Callers(config.public.proxies)
        limits = Limits(config.public.rates, callers, self._clock, self._tally)
        headers = public_headers(setup.base_url, config.public.hsts_days)
        app = public_app(routes, self._tally, limits, headers)
        public = PublicServer(app, self._tally, config.public.max_per_address, callers, self._bounds.public)
        tls = self._tls
        accepts = self._bounds.accepts
        sock = _socket(setup.exchange_fd, config.exchange.host, setup.exchange_port)
        await exchange.start(sock, tls[0], accepts)
        sock = _socket(setup.public_fd, config.public.host, setup.public_port)
        await public.start(sock, tls[1], accepts)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.add_signal_handler(signal.SIGUSR2, self._succeed)
        exchange.set_ready(True)
        return exchange, public

    def reload(self) -> None:
        """Read TLS files again at once, campaigns and rates in the background; one reload at a time, the last request
        counts."""
        for tls in self._tls:
            tls.reload()
        previous = self._reloading
        self._reloading = asyncio.get_running_loop().create_task(self._reload(previous))

    async def _reload(self, previous: "asyncio.Task[None] | None") -> None:
        if previous is not None:
            await previous
        try:
            live = await asyncio.to_thread(self._load, self._config, self._keyring, self._setup.base_url)
            keep_currencies(self._auction.world.index.lines, live.world.index.lines)
        except (CampaignError, RatesError) as error:
            log.error("campaigns are not reloaded, the last good ones stay: %s", error)
            self._tally.set("paceline_campaigns_reload_failed", value=1)
            return
        except Exception:
            log.exception("campaigns are not reloaded, the last good ones stay")
            self._tally.set("paceline_campaigns_reload_failed", value=1)
            return
        self._adopt(live)
        gc.freeze()  # the new line items, too, are never looked through
        log.info("campaigns reloaded: %d line items", live.world.index.count)

    def _adopt(self, live: Live) -> None:
        """Make a snapshot the live one."""
        self._treasury.adopt(live)
        self._household.adopt(live)
        self._auction.world = live.world
        self._count(live)

    def _count(self, live: Live) -> None:
        self._directory.adopt(live.world.index.lines)
        self._directory.remember_advertisers(shop.id for shop in live.book.advertisers)  # inactive ones too
        tally = self._tally
        tally.set("paceline_campaigns_loaded_timestamp_seconds", value=int(live.loaded_s))
        tally.set("paceline_campaigns_reload_failed", value=0)
        tally.set("paceline_line_items", value=live.world.index.count)
        tally.set("paceline_rates_date_seconds", value=_seconds(live.rates.as_of))
        tally.set("paceline_model_info", live.world.pricer.model, value=1)

    def _with_url(self) -> Stores:
        stores = self._config.stores
        return msgspec.structs.replace(stores, redis_url=self._setup.redis_url)

    def _announce(self, *, ready: bool, detail: str = "") -> None:
        announce(self._setup.announce_fd, Announcement(ready=ready, detail=detail))


def _socket(inherited: int, host: str, port: int) -> socket.socket:
    """What the supervisor bound for this slot, or one of our own."""
    return inherited_socket(inherited) if inherited >= 0 else shared_socket(host, port)


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def run_worker(config: Config, setup: WorkerSetup) -> None:
    """Be one worker until told to stop."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    uvloop.run(_main(config, setup))


async def _main(config: Config, setup: WorkerSetup) -> None:
    await Worker(config, setup).run()
