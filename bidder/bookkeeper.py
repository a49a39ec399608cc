"""The bookkeeper: a process beside the workers that paces line items, keeps the journal and tells how money stands.

Place: the supervisor starts one; of all that share a ledger the one that leads computes the pace, the others wait to
    take over. It is no worker, so what it computes keeps no bid waiting.
Limits: a lead is held for LEAD_PERIODS periods, at least LEAD_S; journals are archived every ARCHIVE_S; a line item
    beyond LINE_ITEM_SERIES has no gauges of its own.
Rule: without a bookkeeper the last pace holds and leases still bound; the journal waits in the ledger.
"""

import asyncio
import contextlib
import logging
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from redis import RedisError

from bidder.campaigns.compile import Line, compile_lines
from bidder.campaigns.load import CampaignError, load_book
from bidder.campaigns.rates import RatesError, load_rates
from bidder.clock import SystemClock
from bidder.config import Announcement, Config, WorkerSetup
from bidder.link import announce
from bidder.live import campaigns_path, keep_currencies, rates_path
from bidder.metrics import Tally
from bidder.outage import Outage
from bidder.spending.board import Board
from bidder.spending.pacemaker import Pacemaker
from bidder.spending.standings import Standings
from bidder.stores.people_writer import open_client
from bidder.treasury import rules_of
from budget import journal
from budget.accounts import WALLET
from budget.redis_store import RedisStore
from budget.store import KEEP_S, Balance, LedgerDown

LEAD_PERIODS: Final = 3
LEAD_S: Final = 3.0
ARCHIVE_S: Final = 10.0
REMEMBER_S: Final = 3_600.0
SILENT_S: Final = 60.0
"""A worker renews its promise every 10 s at least: one that has not for so long is gone."""
UNKNOWN: Final = "unknown"
"""The currency of an advertiser that is in no campaign file."""
CLOSE_AFTER: Final = timedelta(days=7)
"""Accounts of days and hours stand for so long after they are over; the journal has them for ever."""

_log = logging.getLogger(__name__)


class Bookkeeper:
    """One bookkeeper, from start to end."""

    def __init__(self, config: Config, setup: WorkerSetup) -> None:
        self._config, self._setup, self._clock = config, setup, SystemClock()
        self._tally = Tally(Path(setup.tally_path) if setup.tally_path else None)
        self._client = open_client(config.ledger_store(setup.ledger_url))
        self._store, self._board = RedisStore(self._client, config.waits()), Board(self._client)
        self._standings = Standings(self._tally)
        self._lines: list[Line] = []
        self._maker: Pacemaker | None = None
        self._remembered_s = 0.0
        self._me = ""
        self._outage = Outage(_log, "the ledger", "the last pace holds and the journal waits there")
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep books until told to stop; raises CampaignError or RatesError where it cannot begin."""
        self._lines = await asyncio.to_thread(self._load)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        announce(self._setup.announce_fd, Announcement(ready=True))
        jobs = [asyncio.create_task(job) for job in (self._pace(), self._archive())]
        await self._stopping.wait()
        await asyncio.gather(*jobs)  # to its end: a call to the ledger is never cut short
        with contextlib.suppress(RedisError, OSError):
            await self._remember()
        await self._client.aclose()

    def reload(self) -> None:
        """Read the campaigns again; a bad file changes nothing."""
        self._reloading = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        try:
            lines = await asyncio.to_thread(self._load)
            keep_currencies(self._lines, lines)
        except (CampaignError, RatesError) as error:
            _log.error("campaigns are not reloaded, the last good ones stay: %s", error)
            return
        self._lines = lines
        with contextlib.suppress(RedisError, OSError):
            await self._remember()
        self._maker = None

    def _load(self) -> list[Line]:
        rates = load_rates(rates_path(self._config))
        return compile_lines(load_book(campaigns_path(self._config), rates), rates)

    async def _pace(self) -> None:
        period_s = self._config.ledger.pacing_period_s
        while not self._stopping.is_set():
            try:
                if await self._leads(period_s):
                    await self.step(period_s)
                else:
                    self._maker = None
                    self._standings.clear()
                self._outage.ends()
            except (LedgerDown, RedisError, OSError) as error:
                self._outage.begins(error)
            except Exception:
                _log.exception("pacing failed")
            await self._pause(period_s)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _leads(self, period_s: float) -> bool:
        if not self._me:
            self._me = f"bookkeeper-{await self._store.incarnation()}"
        return await self._board.lead(self._me, max(LEAD_S, LEAD_PERIODS * period_s))

    async def step(self, period_s: float) -> None:
        """One period: read how things stand, write the pace."""
        now_s, lines = self._clock.now_s(), self._lines
        maker = self._maker
        if maker is None:
            maker = self._maker = Pacemaker(lines, now_s, await self._board.paces())
            await self._board.forget(maker.recall(await self._board.recall()))
            self._remembered_s = now_s
        advertisers = sorted({line.advertiser_id for line in lines})
        accounts = {advertiser: await self._store.accounts(advertiser) for advertiser in advertisers}
        paces, standing = maker.step(now_s, accounts, await self._board.reports(now_s), period_s)
        await self._board.publish(paces)
        self._standings.tell(maker.lines, standing, accounts)
        if now_s - self._remembered_s >= REMEMBER_S:
            await self._remember()

    async def _remember(self) -> None:
        """Put down what was learned of traffic."""
        if self._maker is not None:
            await self._board.remember(self._maker.learned())
            self._remembered_s = self._clock.now_s()

    async def _archive(self) -> None:
        folder = Path(self._setup.journal_dir)
        while not self._stopping.is_set():
            try:
                await journal.archive(self._store, folder)
                await self._tidy()
                await self._seek()
                self._tally.set("paceline_journal_archived_timestamp_seconds", value=int(self._clock.now_s()))
                self._outage.ends()
            except journal.Busy:
                pass  # another one keeps this folder
            except (LedgerDown, RedisError) as error:
                self._outage.begins(error)
            except Exception:
                self._tally.count("paceline_journal_failures_total")
                _log.exception("the journal cannot be archived: it waits in the ledger")
            await self._pause(ARCHIVE_S)

    async def _tidy(self) -> None:
        """Let go of accounts of days and hours long over; send home what dead workers hold: of an advertiser that left
        the campaign files, or bids no more, no worker hears."""
        before = datetime.fromtimestamp(self._clock.now_s()).astimezone() - CLOSE_AFTER
        for advertiser in await self._store.advertisers():
            accounts = await self._store.accounts(advertiser)
            if accounts[WALLET].leased:
                await self._reclaim(advertiser)
            over = [account for account, balance in accounts.items() if _is_over(account, balance, before)]
            if over:
                op_id = f"close-{advertiser}-{int(self._clock.now_s())}"
                await self._store.close_periods(advertiser, op_id, over)

    async def _seek(self) -> None:
        """Tell what is leased to workers that are silent. Only while this one leads, and of who has such workers."""
        if self._maker is None:
            return
        now_s = self._clock.now_s()
        silent_s = now_s + KEEP_S + rules_of(self._config).hold_s - SILENT_S
        currencies = {line.advertiser_id: line.currency for line in self._lines}
        stranded: dict[str, int] = dict.fromkeys(currencies.values(), 0)
        for advertiser in await self._store.advertisers():
            for worker, until_s in (await self._store.workers(advertiser)).items():
                if until_s < silent_s:
                    currency = currencies.get(advertiser, UNKNOWN)
                    held = await self._store.held(advertiser, worker)
                    stranded[currency] = stranded.get(currency, 0) + held
        self._standings.stranded(stranded)

    async def _reclaim(self, advertiser: str) -> None:
        """The ledger's own clock says who is dead; ours, whom to ask it about."""
        now_s = self._clock.now_s()
        for worker, until_s in (await self._store.workers(advertiser)).items():
            if until_s < now_s:
                await self._store.reclaim(advertiser, f"reclaim/{worker:x}/{self._me}", worker)


def _is_over(account: str, balance: Balance, before: datetime) -> bool:
    parts = account.split("/")
    return len(parts) == 4 and parts[3][:10] < before.strftime("%Y-%m-%d") and not balance.leased


def run_bookkeeper(config: Config, setup: WorkerSetup) -> None:
    """Be the bookkeeper until told to stop."""
    asyncio.run(_main(config, setup))


async def _main(config: Config, setup: WorkerSetup) -> None:
    await Bookkeeper(config, setup).run()
