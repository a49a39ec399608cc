"""The embedded servers of a service that was given no URL: one of people, one of money; kept running.

Place: service.py starts them before the workers and closes them after the last one; the ledger's goes last of all.
Shapes: their data in `redis/` and `ledger/` of the data directory, their addresses in `redis.url` and `ledger.url`.
Rule: one that dies is started again at once; one that dies young, after a pause that doubles up to PAUSE_MAX_S.
Raises: EmbeddedError at the start alone.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from bidder.config import Config
from bidder.stores.embedded import STOP_TIMEOUT_S, EmbeddedError, EmbeddedServer
from bidder.supervisor.folder import Folder, write_private

LOOK_S: Final = 0.2
PAUSE_MAX_S: Final = 10.0
STEADY_S: Final = 10.0

_log = logging.getLogger(__name__)


class ServerState(Struct, frozen=True):
    """What a scrape tells of one server."""

    pid: int | None = None
    """None where it is not ours, or between two lives."""
    restarts: int = 0


class KeptServer:
    """One embedded server that is started again when it dies."""

    def __init__(
        self, name: str, data_dir: Path, sync: Literal["everysec", "always"], settings: str = ""
    ) -> None:
        """`settings`: more lines of the server's configuration."""
        self.name = name
        self.restarts = 0
        self._server = EmbeddedServer(data_dir, sync=sync, settings=settings)
        self._started_s = 0.0
        self._young_deaths = 0

    @property
    def state(self) -> ServerState:
        """Its process and how often it was started again."""
        process = self._server.process
        return ServerState(process.pid if process else None, self.restarts)

    def start(self, address: Path) -> str:
        """Start, wait until it answers, write its URL for its owner alone; returns the URL."""
        # A supervisor that was killed leaves a server behind which is on its way out.
        self._server.launch(patience_s=STOP_TIMEOUT_S)
        self._server.wait()
        self._started_s = time.monotonic()
        write_private(address, self._server.url + "\n")
        return self._server.url

    async def keep(self) -> None:
        """Start it again whenever it is gone; ends by being cancelled."""
        while True:
            await asyncio.sleep(self._pause_s())
            process = self._server.process
            if process is not None and process.poll() is None:
                if time.monotonic() - self._started_s >= STEADY_S:
                    self._young_deaths = 0
                continue
            await self._again()

    def close(self) -> None:
        """Stop it in order."""
        self._server.close()

    def _pause_s(self) -> float:
        return min(LOOK_S * 2.0 ** min(max(self._young_deaths - 1, 0), 10), PAUSE_MAX_S)

    async def _again(self) -> None:
        _log.error("the embedded %s died and is started again", self.name)
        self.restarts += 1
        self._young_deaths += 1
        self._server.close()
        try:
            self._server.launch()  # here: the signal of a parent's death follows this thread
            await asyncio.to_thread(self._server.wait)  # a long append-only file takes seconds to load
        except (EmbeddedError, OSError) as error:  # the machine may have no file or process left
            _log.error("the embedded %s: %s", self.name, error)
            self._server.close()
        self._started_s = time.monotonic()


def people_bound(max_mb: int) -> str:
    """The lines that bound the people's server, not the ledger's: of money nothing may go; 0: none."""
    return f"maxmemory {max_mb}mb\nmaxmemory-policy volatile-ttl\n" if max_mb else ""


class Servers:
    """Those servers that the configuration names no URL for."""

    def __init__(self, config: Config, folder: Folder) -> None:
        self._folder = folder
        self._people = people_bound(config.stores.embedded_max_mb)
        self.redis_url = config.stores.redis_url
        self.ledger_url = config.ledger.redis_url or config.stores.redis_url
        self._kept: dict[str, KeptServer] = {}

    def start(self) -> None:
        """Start what is not given; raises EmbeddedError. Call `close` in any case."""
        folder = self._folder
        if not self.redis_url:
            self.redis_url = self._start("store", folder.redis, folder.redis_url)
            _log.warning(
                "no PACELINE_REDIS_URL: people live in an embedded store under %s; its address is in %s",
                folder.redis,
                folder.redis_url,
            )
        if not self.ledger_url:
            self.ledger_url = self._start("ledger", folder.ledger, folder.ledger_url)
            _log.warning(
                "no PACELINE_LEDGER_URL: money is kept in an embedded ledger under %s, each change synced to disk; "
                "its address is in %s",
                folder.ledger,
                folder.ledger_url,
            )

    @property
    def given_ledger(self) -> bool:
        """Whether somebody else configures the ledger's server."""
        return "ledger" not in self._kept

    async def keep(self) -> None:
        """Start again what dies; ends by being cancelled."""
        async with asyncio.TaskGroup() as keepers:
            keepers.create_task(asyncio.Event().wait())  # also where there is nothing to keep
            for server in self._kept.values():
                keepers.create_task(server.keep())

    def close(self) -> None:
        """Stop them in the order of their start."""
        for server in self._kept.values():
            server.close()

    def states(self) -> Mapping[str, ServerState]:
        """By name: `store` and `ledger`, embedded or not."""
        states = {name: server.state for name, server in self._kept.items()}
        return {"store": ServerState(), "ledger": ServerState()} | states

    def _start(self, name: str, data_dir: Path, address: Path) -> str:
        if name == "ledger":
            self._kept[name] = KeptServer(name, data_dir, "always")
        else:
            self._kept[name] = KeptServer(name, data_dir, "everysec", self._people)
        return self._kept[name].start(address)
