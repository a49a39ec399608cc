"""The service from start to end: folder, ports, keys, store, operators' port, workers; then back.

Signals: SIGTERM and SIGINT let workers drain, a second one kills them; SIGHUP, and a changed campaign or
    rates file, make workers load anew.
Raises: StartError, one line for an operator.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from aiohttp import web

from bidder.campaigns.live import fingerprint
from bidder.config import Config, WorkerSetup
from bidder.notices.keys import KeysError, load_keys, load_price_keys
from bidder.stores.embedded import EmbeddedError, EmbeddedServer
from bidder.supervisor.folder import Folder, FolderTaken, Ports, write_ports, write_private
from bidder.supervisor.scrape import Scrape
from bidder.supervisor.slots import Slot, Unusable
from bidder.web.ops import ops_app
from bidder.web.sockets import PortTaken, claim_port

WATCH_S: Final = 1.0
KILL_AFTER_S: Final = 2.0
"""How much longer than their drain time-out workers may take to end."""
OPS_IDLE_S: Final = 75.0
"""A connection to the operators' port that is silent for so long is closed; Prometheus comes back within a minute."""
WORKER: Final = (sys.executable, "-m", "bidder", "worker")
DEFAULT_BASE_URL: Final = Config().public.base_url

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The service cannot start; `str()` is one line that says why."""


class Supervisor:
    """One running service."""

    def __init__(
        self, config: Config, environment: Mapping[str, str], command: tuple[str, ...] = WORKER
    ) -> None:
        """`command` runs a worker; the link's descriptor is appended to it."""
        self._config, self._environment, self._command = config, environment, command
        self._folder = Folder(Path(config.data_dir).absolute())
        self._slots: list[Slot] = []
        self._store: EmbeddedServer | None = None
        self._store_restarts = 0
        self._stopping = asyncio.Event()

    def ready(self) -> bool:
        """Whether at least one worker takes requests."""
        return not self._stopping.is_set() and any(slot.ready for slot in self._slots)

    async def run(self) -> None:
        """Serve until a signal ends it; raises StartError."""
        try:
            with ExitStack() as held:
                held.enter_context(self._folder.taken())
                await self._serve(held)
        except (FolderTaken, PortTaken, KeysError, EmbeddedError, Unusable) as error:
            raise StartError(str(error)) from None

    async def _serve(self, held: ExitStack) -> None:
        config = self._config
        exchange = held.enter_context(claim_port(config.exchange.host, config.exchange.port, "exchange"))
        public = held.enter_context(claim_port(config.public.host, config.public.port, "public"))
        ops = held.enter_context(claim_port(config.ops.host, config.ops.port, "ops"))
        self._ports = Ports(os.getpid(), *(_number(bound) for bound in (exchange, public, ops)))
        self._keys = load_keys(self._environment, config.keys_file, self._folder.path).keys
        self._price_keys = load_price_keys(self._environment)
        held.callback(self._close_store)
        self._redis_url = config.stores.redis_url or self._start_store()
        self._slots = [Slot(number, self._command, config, self._setup) for number in range(config.workers)]
        scrape = Scrape(self._slots, map(self._folder.tally, range(config.workers)), self._store_state)
        runner = await self._start_ops(ops, scrape)
        try:
            write_ports(self._folder, self._ports)
            _log.info(
                "exchange port %s:%d, public port %s:%d, operators' port %s:%d, workers: %d",
                *(config.exchange.host, self._ports.exchange, config.public.host, self._ports.public),
                *(config.ops.host, self._ports.ops, config.workers),
            )
            with self._signals():
                await self._keep_workers()
        finally:
            await runner.cleanup()

    async def _keep_workers(self) -> None:
        """Until told to stop, or until a worker cannot use the configuration at its first start."""
        keepers = [asyncio.create_task(slot.keep()) for slot in self._slots]
        watch = asyncio.create_task(self._watch())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([stopping, watch, *keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watch, stopping):
                task.cancel()
            await self._drain(keepers)
        for ended in keepers:
            ended.result()
        with contextlib.suppress(asyncio.CancelledError):
            await watch

    async def _drain(self, keepers: list[asyncio.Task[None]]) -> None:
        self._stopping.set()
        for slot in self._slots:
            slot.stop()
        _, late = await asyncio.wait(keepers, timeout=self._config.exchange.drain_timeout_s + KILL_AFTER_S)
        if late:
            _log.error("workers that did not end in time and were killed: %d", len(late))
            self._kill()
            await asyncio.wait(keepers)

    def _kill(self) -> None:
        for slot in self._slots:
            slot.signal(signal.SIGKILL)

    async def _watch(self) -> None:
        """Once a second: changed files, and whether the embedded store still runs."""
        files = [Path(path) for path in (self._config.campaigns, self._config.rates) if path]
        seen = list(map(fingerprint, files))
        while True:
            await asyncio.sleep(WATCH_S)
            before, seen = seen, list(map(fingerprint, files))
            if seen != before:
                _log.info("campaigns or rates changed: workers load them anew")
                self._reload()
            if (
                self._store is not None
                and self._store.process is not None
                and self._store.process.poll() is not None
            ):
                self._restart_store(self._store)

    def _restart_store(self, store: EmbeddedServer) -> None:
        _log.error("the embedded store died and is started again")
        self._store_restarts += 1
        store.close()
        try:
            store.start()
        except EmbeddedError as error:
            _log.error("the embedded store: %s", error)

    def _reload(self) -> None:
        for slot in self._slots:
            slot.reload()

    def _stop(self) -> None:
        if self._stopping.is_set():
            _log.warning("told to stop twice: workers are killed")
            self._kill()
        else:
            _log.info("stopping: workers drain")
            self._stopping.set()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGHUP: self._reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _setup(self, slot: int, descriptor: int) -> WorkerSetup:
        return WorkerSetup(
            slot=slot,
            redis_url=self._redis_url,
            tally_path=str(self._folder.tally(slot)),
            token_keys=self._keys,
            price_keys=self._price_keys,
            exchange_port=self._ports.exchange,
            public_port=self._ports.public,
            base_url=self._base_url(),
            announce_fd=descriptor,
        )

    def _base_url(self) -> str:
        """The configured one; where none is, the one that this machine's own clients can use."""
        configured = self._config.public.base_url
        return (
            f"http://127.0.0.1:{self._ports.public}" if configured == DEFAULT_BASE_URL else configured
        ).rstrip("/")

    def _start_store(self) -> str:
        self._store = EmbeddedServer(self._folder.redis)
        self._store.start()
        write_private(self._folder.redis_url, self._store.url + "\n")
        _log.warning(
            "no PACELINE_REDIS_URL: people live in an embedded store under %s; its address is in %s",
            self._folder.redis,
            self._folder.redis_url,
        )
        return self._store.url

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()

    def _store_state(self) -> tuple[int | None, int]:
        process = self._store.process if self._store else None
        return (process.pid if process else None), self._store_restarts

    async def _start_ops(self, bound: socket.socket, scrape: Scrape) -> web.AppRunner:
        service = _Ops(self, scrape)
        runner = web.AppRunner(
            ops_app(service), access_log=None, shutdown_timeout=1.0, keepalive_timeout=OPS_IDLE_S
        )
        await runner.setup()
        await web.SockSite(runner, bound).start()
        return runner


class _Ops:
    """What the operators' port asks."""

    def __init__(self, supervisor: Supervisor, scrape: Scrape) -> None:
        self.ready = supervisor.ready
        self.scrape = scrape.text


def _number(bound: socket.socket) -> int:
    number: int = bound.getsockname()[1]
    return number
