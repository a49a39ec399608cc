"""A worker's dealings with people, put together: shops, syncs, ads of products, records, rights, doubts.

Place: app.py opens one per worker, gives its routes to the public port, tells it of every new snapshot, and closes it
    after the ports are shut.
Rule: what a person does in a shop goes through here and never through a bidding path; what is recorded and counted
    leaves on queues and tasks that no page and no bid waits for.
Limits: catalogues are looked at every CATALOGUES_S, in a thread.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import structs

from bidder.audience.handles import Handles
from bidder.campaigns.model import Advertiser
from bidder.catalogue.snapshot import Catalogues
from bidder.clock import Clock
from bidder.config import Config, WorkerSetup
from bidder.events.writer import Recorder
from bidder.fraud.beacons import Beacons
from bidder.fraud.score import Screen
from bidder.fraud.watch import Watch
from bidder.live import CATALOGUES, Live
from bidder.metrics import Tally
from bidder.notices.apply import Notices
from bidder.notices.keys import Keyring
from bidder.privacy.gate import Gate
from bidder.render.bandit import Bandit
from bidder.render.clicks import ProductClicks
from bidder.render.showcases import Showcases
from bidder.rights.deletion import Office
from bidder.rights.erase import Eraser
from bidder.rights.pages import operator_of
from bidder.rights.partners import Partners
from bidder.rights.requests import Desk as Requests
from bidder.rights.signing import load_signing_keys
from bidder.shop.hands import Hands
from bidder.shop.matches import Matches
from bidder.shop.receive import Shops
from bidder.shop.syncs import Syncs
from bidder.stores.layouts import LayoutStore
from bidder.stores.people_writer import PeopleWriter, open_client
from bidder.stores.sync_times import SyncTimes
from bidder.stores.visitors import VisitorStore
from bidder.web.deletion import Deletions, deletion_routes
from bidder.web.privacy_pages import Desk, privacy_routes
from bidder.web.rendering import Studio, render_routes
from bidder.web.routes import Route
from bidder.web.shop import shop_routes
from bidder.web.sync import sync_routes

CATALOGUES_S: Final = 1.0
DAY_S: Final = 86_400
TRAIL: Final = "beacons.trail"
"""In the service's `run` folder: what the workers of a host share of the notices that they saw."""

_log = logging.getLogger(__name__)


class Household:
    """One worker's."""

    def __init__(
        self, config: Config, setup: WorkerSetup, keyring: Keyring, tally: Tally, clock: Clock
    ) -> None:
        """Opens the recorder's folder and the signing keys: raises OSError, SigningError."""
        self._config, self._setup, self._keyring = config, setup, keyring
        self._tally, self._clock = tally, clock
        self._data = Path(setup.data_dir or config.data_dir)
        self._client = open_client(structs.replace(config.stores, redis_url=setup.redis_url))
        keep_s = config.privacy.retention_days * DAY_S
        self._visitors = VisitorStore(self._client, tally, keep_s)
        self._catalogues = Catalogues(self._data / CATALOGUES, tally)
        self._showcases = Showcases()
        self._bandit = Bandit(tally, clock.now_s)
        self._recorder = Recorder(self._events(), setup.slot, tally, clock, config.recording())
        self._gate = Gate(config.privacy.vendor_id)
        writer = PeopleWriter(self._client, keep_s)
        self._handles = Handles(keyring.keys)
        hands = Hands(self._visitors, writer, self._recorder, self._catalogues, self._handles)
        self._shops = Shops(hands, self._gate, tally, clock, keep_s)
        times = SyncTimes(self._client)
        self._syncs = Syncs(config.profiles(), hands, times, self._gate, tally, clock)
        self._syncs.keep_s = keep_s
        self._matches = Matches(writer, self._handles, self._gate, tally, clock)
        self._deletions = self._deletion_office()
        self.screen = Screen(config.fraud, tally, clock.now_s()) if config.fraud.enabled else None
        self._advertisers: tuple[Advertiser, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []

    def routes(self) -> list[Route]:
        """What the public port serves beside notices."""
        setup, config, tally, clock = self._setup, self._config, self._tally, self._clock
        studio = Studio(
            self._keyring,
            self._showcases,
            self._catalogues,
            self._visitors,
            self._bandit,
            clock,
            tally,
            setup.base_url,
            config.privacy.page_url,
        )
        origin = urlsplit(setup.base_url)
        desk = Desk(
            client=self._client,
            keyring=self._keyring,
            operator=operator_of(config, setup.base_url),
            origin=f"{origin.scheme}://{origin.netloc}",
            advertisers=lambda: self._advertisers,
            catalogues=self._catalogues,
            tally=tally,
            clock=clock,
        )
        return [
            *shop_routes(self._shops, self._syncs, self._keyring, config.privacy.vendor_id),
            *sync_routes(self._syncs, self._matches, self._keyring, tally, clock),
            *render_routes(studio),
            *privacy_routes(desk),
            *deletion_routes(self._deletions),
        ]

    def attend(self, notices: Notices) -> None:
        """Let notices lead to products, be recorded and be doubted."""
        notices.products = ProductClicks(self._catalogues, self._bandit)
        notices.records = self._recorder
        if self._config.fraud.enabled:
            trail = self._data / "run" / TRAIL
            notices.doubts = Beacons(self._config.fraud, self._tally, self._clock.now_s(), trail)

    async def start(self, live: Live, reload: Callable[[], None]) -> None:
        """Open the catalogues, then keep everything fresh in the background; `reload` is told of new catalogues."""
        self.adopt(live)
        await asyncio.to_thread(self._catalogues.refresh)
        self._run(self._keep_catalogues(reload))
        self._run(self._bandit.run(LayoutStore(self._client)))
        if self.screen is not None:
            rules = self._config.fraud
            sellers = Path(rules.sellers_dir) if rules.sellers_dir else self._data / "sellers"
            folders = (self._data / "run", sellers, self._setup.slot)
            self._run(Watch(self.screen, rules, folders, self._clock).run())

    def adopt(self, live: Live) -> None:
        """Other campaigns are live."""
        self._advertisers = live.book.advertisers
        self._shops.adopt(live.book.advertisers, live.rates)
        self._showcases.adopt(live.world.index.lines)

    async def close(self) -> None:
        """Write what waits, tell the store what was counted, end."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._deletions.close()
        await self._bandit.exchange(LayoutStore(self._client))
        await asyncio.to_thread(self._recorder.close)
        await self._client.aclose()

    def _events(self) -> Path:
        return Path(self._setup.events_dir or self._config.events_folder())

    def _deletion_office(self) -> Deletions:
        config, setup = self._config, self._setup
        privacy = config.privacy
        keys = load_signing_keys(privacy.deletion_keys_file, self._data)
        domain = privacy.deletion_domain or urlsplit(setup.base_url).hostname or ""
        partners = Partners(privacy.deletion_partners, self._clock)
        office = Office(domain, keys, partners, self._tally, self._clock)
        office.handles = self._handles
        requests = Requests(self._client, Eraser(self._client, self._tally), self._visitors)
        return Deletions(office, requests, keys, setup.base_url, self._clock)

    async def _keep_catalogues(self, reload: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(CATALOGUES_S)
            try:
                if await asyncio.to_thread(self._catalogues.refresh):
                    reload()
            except Exception:  # our bug: the catalogues that are open stay, and are looked at again
                _log.exception("catalogues were not looked at")

    def _run(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))
