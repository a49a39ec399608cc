"""The service from start to end: folder, ports, keys, servers, operators' port, workers; then back.

Signals: SIGTERM and SIGINT let workers drain, another one after TWICE_S kills them; SIGHUP, and a changed campaign or
    rates file, or TLS files, make all load anew; SIGUSR2 reads the keys anew and replaces all workers, one after
    the other.
Raises: StartError, one line for an operator.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from aiohttp import web

from bidder.campaigns.live import fingerprint
from bidder.clock import SystemClock
from bidder.config import Config, WorkerSetup
from bidder.console.page import Console
from bidder.metrics import Tally
from bidder.notices.keys import KeysError
from bidder.stores.address import parse_all
from bidder.stores.embedded import EmbeddedError
from bidder.stores.errors import AddressError
from bidder.supervisor.actions import Actions
from bidder.supervisor.catalogue import catalogue
from bidder.supervisor.folder import Folder, FolderTaken, Ports, second_tally, write_ports
from bidder.supervisor.ledger import prepare
from bidder.supervisor.rolling import RollingRestart
from bidder.supervisor.scrape import Scrape
from bidder.supervisor.secrets import Secrets
from bidder.supervisor.servers import Servers
from bidder.supervisor.slots import KILL_AFTER_S, Slot, Unusable
from bidder.web.access import Access
from bidder.web.admin import Admin
from bidder.web.listener import Listener
from bidder.web.ops import ops_app
from bidder.web.ops_connection import OpsConnections
from bidder.web.sockets import BACKLOG, PortTaken, SlotSockets, claim_port, outlive_connections
from bidder.web.tls import PortTls, TlsError, server_context, tls_files

WATCH_S: Final = 1.0
TWICE_S: Final = 1.0
"""A second order to stop counts from then on: `timeout` and some shells signal a process and its group at once."""
LEDGER_PATIENCE_S: Final = 5.0
"""Workers wait so long for a ledger that was looked at; one that is down is asked again while they serve."""
WARM_AFTER_S: Final = 3.0
"""So long after the start what the first scrape needs is loaded: workers start first."""
WORKER: Final = (sys.executable, "-m", "bidder", "worker")
BOOKKEEPER: Final = (sys.executable, "-m", "bidder", "bookkeeper")
CARETAKER: Final = (sys.executable, "-m", "bidder", "caretaker")

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The service cannot start; `str()` is one line that says why."""


class Supervisor:
    """One running service."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        command: tuple[str, ...] = WORKER,
        bookkeeper: tuple[str, ...] = BOOKKEEPER,
        caretaker: tuple[str, ...] = CARETAKER,
    ) -> None:
        """`command` runs a worker, the others the process of their name (empty: none); the link's descriptor is
        appended."""
        self._config, self._environment = config, environment
        self._command = command
        self._helper_commands = {"bookkeeper": bookkeeper, "caretaker": caretaker}
        self._folder = Folder(Path(config.data_dir).absolute())
        self._slots: list[Slot] = []
        self._helpers: dict[str, Slot] = {}
        self._servers = Servers(config, self._folder)
        self._counted = Tally()  # what the supervisor counts itself; it begins anew with it
        self._rolling: RollingRestart | None = None
        self._stopping = asyncio.Event()
        self._told_s = 0.0

    def ready(self) -> bool:
        """Whether at least one worker takes requests."""
        return not self._stopping.is_set() and any(slot.ready for slot in self._slots)

    def restart(self) -> bool:
        """Replace all workers, one after the other, while both ports go on; False where that cannot begin: it is under
        way already, which is counted, or the service starts or stops."""
        rolling = self._rolling
        if rolling is None or self._stopping.is_set():
            return False
        if not rolling.running:
            self._secrets.reread()
        return rolling.begin()

    async def run(self) -> None:
        """Serve until a signal ends it; raises StartError."""
        try:
            with ExitStack() as held:
                held.enter_context(self._folder.taken())
                await self._serve(held)
        except (FolderTaken, PortTaken, KeysError, TlsError, EmbeddedError, AddressError, Unusable) as error:
            raise StartError(str(error)) from None

    async def _serve(self, held: ExitStack) -> None:
        config = self._config
        exchange = held.enter_context(claim_port(config.exchange.host, config.exchange.port, "exchange"))
        public = held.enter_context(claim_port(config.public.host, config.public.port, "public"))
        ops = held.enter_context(claim_port(config.ops.host, config.ops.port, "ops"))
        self._ports = Ports(os.getpid(), *(_number(bound) for bound in (exchange, public, ops)))
        self._ops_tls = PortTls(config.ops.tls, "ops", self._counted)
        for name, tls in (("exchange", config.exchange.tls), ("public", config.public.tls)):
            server_context(
                tls, name
            )  # its workers make their own; what is wrong is told before anything runs
        self._secrets = Secrets(self._environment, config.keys_file, self._folder.path)
        self._journal_dir = self._folder.journal_dir(config.ledger.journal_dir)
        held.callback(self._servers.close)
        self._servers.start()
        for address in (*parse_all(self._servers.redis_url), *parse_all(self._servers.ledger_url)):
            address.ssl_context()  # files that are not there are told at once
        self._slots = [Slot(number, self._command, config, self._setup) for number in range(config.workers)]
        for slot in self._slots:
            slot.sockets = SlotSockets(
                (config.exchange.host, self._ports.exchange), (config.public.host, self._ports.public)
            )
        for number, (name, command) in enumerate(self._helper_commands.items(), config.workers):
            if command:
                self._helpers[name] = Slot(number, command, config, self._setup, f"the {name}")
        scrape = Scrape(self._slots, self._helpers, self._tallies(), self._servers.states, self._counted)
        scrape.show(config.metrics.top_line_items)
        loop = asyncio.get_running_loop()
        loop.call_later(WARM_AFTER_S, loop.run_in_executor, None, scrape.warm)
        runner = await self._start_ops(ops, scrape)
        preparing = await self._prepare_ledger()
        try:
            write_ports(self._folder, self._ports)
            _log.info(
                "exchange port %s:%d, public port %s:%d, operators' port %s:%d, workers: %d",
                *(config.exchange.host, self._ports.exchange, config.public.host, self._ports.public),
                *(config.ops.host, self._ports.ops, config.workers),
            )
            self._signals()
            await self._keep_workers()
        finally:
            preparing.cancel()
            await runner.cleanup()

    def _tallies(self) -> list[Path]:
        """By slot; then the second ones of the workers' slots."""
        workers = [*map(self._folder.tally, range(self._config.workers))]
        helpers = map(self._folder.helper_tally, self._helper_commands)
        return [*workers, *helpers, *map(second_tally, workers)]

    @property
    def _children(self) -> list[Slot]:
        return [*self._slots, *self._helpers.values()]

    async def _prepare_ledger(self) -> asyncio.Task[None]:
        """What money needs before the first bid; goes on in the background where the ledger is down."""
        servers, demo = self._servers, not self._config.campaigns
        store = self._config.ledger_store(servers.ledger_url)
        work = asyncio.create_task(prepare(store, given=servers.given_ledger, demo=demo))
        await asyncio.wait([work], timeout=LEDGER_PATIENCE_S)
        if work.done():
            work.result()
        return work

    async def _keep_workers(self) -> None:
        """Until told to stop, or until a worker cannot use the configuration at its first start."""
        keepers = [asyncio.create_task(slot.keep()) for slot in self._children]
        self._rolling = RollingRestart(self._slots, self._config.ready_timeout_s, self._counted)
        watch, servers = asyncio.create_task(self._watch()), asyncio.create_task(self._servers.keep())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([stopping, watch, servers, *keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watch, stopping):
                task.cancel()
            await self._drain(keepers)
            servers.cancel()  # only now: workers that drain need them
        # All are asked: of several that cannot be used, the others would be logged with their tracebacks.
        for failure in [ended.exception() for ended in keepers]:
            if failure is not None:
                raise failure
        for task in (watch, servers):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _drain(self, keepers: list[asyncio.Task[None]]) -> None:
        self._stopping.set()
        for slot in self._children:
            slot.stop()
        port = self._config.exchange
        within_s = port.drain_wait_s + port.drain_timeout_s + KILL_AFTER_S
        _, late = await asyncio.wait(keepers, timeout=within_s)
        if late:
            _log.error("workers that did not end in time and were killed: %d", len(late))
            self._kill()
            await asyncio.wait(keepers)
        if self._rolling is not None:
            await self._rolling.end()

    def _kill(self) -> None:
        for slot in self._children:
            slot.signal(signal.SIGKILL)

    async def _watch(self) -> None:
        """Once a second: changed files."""
        config = self._config
        named = (config.campaigns, config.rates, *tls_files(config))
        files = [Path(path) for path in named if path]
        seen = list(map(fingerprint, files))
        while True:
            await asyncio.sleep(WATCH_S)
            before, seen = seen, list(map(fingerprint, files))
            if seen != before:
                _log.info("campaigns, rates or TLS files changed: they are loaded anew")
                try:
                    self._reload()
                except Exception:  # the watch, and with it the service, must not end with it
                    _log.exception("changed files could not be loaded anew")

    def _reload(self) -> None:
        self._ops_tls.reload()
        for slot in self._children:
            slot.reload()

    def _stop(self) -> None:
        now_s = time.monotonic()
        if not self._stopping.is_set():
            _log.info("stopping: workers drain")
            self._stopping.set()
            self._told_s = now_s
        elif now_s - self._told_s >= TWICE_S:
            _log.warning("told to stop twice: workers are killed")
            self._kill()

    def _signals(self) -> None:
        """They stay until the loop closes: what comes while the service ends must not kill it halfway."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._reload,
            signal.SIGUSR2: self.restart,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)

    def _setup(self, slot: int, descriptor: int) -> WorkerSetup:
        return WorkerSetup(
            slot=slot,
            workers=self._config.workers,
            redis_url=self._servers.redis_url,
            ledger_url=self._servers.ledger_url,
            spool_dir=str(self._folder.spool),
            journal_dir=str(self._journal_dir),
            data_dir=str(self._folder.path),
            events_dir=str(self._config.events_folder().absolute()),
            tally_path=str(self._tallies()[slot]),
            token_keys=self._secrets.keyring.keys,
            price_keys=self._secrets.price_keys,
            exchange_port=self._ports.exchange,
            public_port=self._ports.public,
            base_url=self._config.base_url(self._ports.public),
            announce_fd=descriptor,
        )

    async def _start_ops(self, bound: socket.socket, scrape: Scrape) -> web.AppRunner:
        clock = SystemClock()
        access = Access(self._config.ops, self._secrets.keyring, clock)
        self._secrets.tell(access.adopt)
        actions = Actions(self._config, lambda: self._servers.ledger_url, self._reload, self.restart)
        admin = Admin(access, actions, self._counted, self._folder.path)
        console = Console(scrape.samples, catalogue, access, admin, clock)
        routes, tls = [*admin.routes(), *console.routes()], self._ops_tls
        app = ops_app(_Ops(self, scrape), access, routes, tls=tls.context is not None)
        listening: list[Listener] = []
        app.on_shutdown.extend([console.feed.close, lambda _: _close(listening)])
        app.on_cleanup.append(admin.close)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        outlive_connections(bound)
        listening.append(Listener(bound, OpsConnections(runner), BACKLOG, tls))
        return runner


async def _close(listening: list[Listener]) -> None:
    for listener in listening:
        listener.close()
    await listener.opened()


class _Ops:
    """What the operators' port asks."""

    def __init__(self, supervisor: Supervisor, scrape: Scrape) -> None:
        self.ready = supervisor.ready
        self.scrape = scrape.text


def _number(bound: socket.socket) -> int:
    number: int = bound.getsockname()[1]
    return number
