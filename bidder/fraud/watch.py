"""What a worker does for its screen beside the path of a bid: reads lists when they change, writes its report.

Place: the worker runs `Watch.run` as a task; files are read in a thread.
Rule: a list that cannot be read leaves the last good one in its place; what is wrong with it is logged and counted.
Limits: looks every `report_every_s`; a list of 42,566 networks takes 0.5 s of a thread.
"""

import asyncio
import logging
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from bidder.clock import Clock
from bidder.fraud.networks import MAX_PROBLEMS, Networks, parse
from bidder.fraud.report import Report, write_report
from bidder.fraud.score import Screen
from bidder.fraud.supply import read_folder
from bidder.screening import FraudRules

NETWORKS, SELLERS = "networks", "sellers"
_UNREAD: Final = ("", 0, 0)

log = logging.getLogger(__name__)


class Watch:
    """The lists and the report of one worker."""

    def __init__(
        self, screen: Screen, rules: FraudRules, folders: tuple[Path, Path, int], clock: Clock
    ) -> None:
        """`folders`: the service's `run` folder, that of cached seller files, and the worker's slot."""
        self._screen, self._rules, self._clock = screen, rules, clock
        self._run, self._sellers, self._slot = folders
        self._since_s = clock.now_s()
        self._files: object = None
        self._cached: object = None

    async def run(self) -> None:
        """Look at the lists and write the report, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._rules.report_every_s)

    async def look(self) -> None:
        """Once."""
        await self._networks()
        await self._chain()
        try:
            await asyncio.to_thread(write_report, self._run, self.report())
        except OSError as error:
            log.warning("the report of sources is not written: %s", error)

    def report(self) -> Report:
        """What this worker saw so far."""
        now_s, sources = self._clock.now_s(), self._screen.sources
        self._screen.count(now_s)
        return Report(self._slot, self._since_s, now_s, sources.missed, sources.table())

    async def _networks(self) -> None:
        paths = [Path(name) for name in self._rules.datacenter_networks]
        stamps = [_stamp(path) for path in paths]
        if stamps == self._files:
            return
        self._files = stamps
        read = await asyncio.to_thread(read_networks, paths)
        for problem in read[1][:MAX_PROBLEMS]:
            log.warning("list of networks: %s", problem)
        if read[0] is not None:
            self._screen.networks = read[0]
        self._screen.counts.entries(NETWORKS, len(self._screen.networks), len(read[1]))

    async def _chain(self) -> None:
        stamps = _stamps(self._sellers)
        if stamps == self._cached:
            return
        self._cached = stamps
        try:
            read = await asyncio.to_thread(read_folder, self._sellers, self._rules.exchange_domains)
        except OSError as error:
            log.warning("the folder of seller files is not read: %s", error)
            return
        self._screen.chain = read.supply
        self._screen.counts.entries(SELLERS, read.ads + read.sellers, read.problems)


def read_networks(paths: Iterable[Path]) -> tuple[Networks | None, list[str]]:
    """The networks of all files, and what is wrong with them; None where a file cannot be read at all."""
    networks: list[IPv4Network | IPv6Network] = []
    problems: list[str] = []
    whole = True
    for path in paths:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                parsed = parse(file, path.name)
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
            whole = False
            continue
        networks += parsed.networks
        problems += parsed.problems
        unnamed = parsed.bad_lines - len(parsed.problems)
        if unnamed:
            problems.append(f"{path.name}: {unnamed} more lines are no networks")
    return Networks(networks) if whole else None, problems


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return _UNREAD
    return str(path), stat.st_mtime_ns, stat.st_size


def _stamps(folder: Path) -> frozenset[tuple[str, int, int]]:
    try:
        return frozenset(_stamp(path) for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return frozenset()
