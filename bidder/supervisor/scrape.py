"""One scrape: the workers' counters, and what the supervisor knows itself.

Place: service.py hands `Scrape.text` to the operators' port.
Shapes: counters live in the tally files of the processes that count, which a successor goes on with: none is lost
    with a process. All begin anew with the supervisor, as any counter of Prometheus may.
Limits: line items and sources of suspect traffic have series of their own as ranking.py says.
"""

import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

from bidder.fraud.counts import SOURCE_SERIES
from bidder.metrics import Metric, Tally
from bidder.settings import MetricRules
from bidder.supervisor.catalogue import catalogue
from bidder.supervisor.ranking import LINE_ITEMS, SOURCES, Ranking
from bidder.supervisor.servers import ServerState
from bidder.supervisor.slots import Slot
from bidder.web.exposition import Samples, Table, Tallies, render, source_of
from bidder.web.processes import memory_limit, process_use

METRICS = (
    Metric("paceline_workers_hung_total", "counter", "Workers that were killed because they hung"),
    Metric("paceline_ledger_restarts_total", "counter", "Times the embedded ledger was started again"),
    Metric("paceline_bookkeeper_up", "gauge", "1 while the bookkeeper paces or waits to take over"),
    Metric("paceline_bookkeeper_restarts_total", "counter", "Times the bookkeeper was started again"),
    Metric("paceline_caretaker_up", "gauge", "1 while the caretaker does its chores"),
    Metric("paceline_caretaker_restarts_total", "counter", "Times the caretaker was started again"),
)


def paceline_version() -> str:
    """The installed version."""
    try:
        return version("paceline")
    except PackageNotFoundError:
        return "source"


class Scrape:
    """Renders all metrics of the service."""

    def __init__(
        self,
        slots: Sequence[Slot],
        helpers: Mapping[str, Slot],
        tallies: Iterable[Path],
        servers: Callable[[], Mapping[str, ServerState]],
        counted: Tally | None = None,
    ) -> None:
        """`helpers` are the `bookkeeper` and the `caretaker`; `servers` tells how the embedded `store` and `ledger`
        are; `counted` is what the supervisor counts itself."""
        self._counted = counted or Tally()
        self.now_s = time.time
        """Tests move the clock."""
        self._table: Table | None = None
        self._rankings: tuple[Ranking, ...] = ()
        self.show(MetricRules().top_line_items)
        self._slots, self._helpers = slots, helpers
        self._reading = threading.Lock()  # a scrape and the operator's page ask in threads of their own
        self._tallies, self._servers = Tallies(tallies), servers

    def show(self, line_items: int) -> None:
        """So many line items have series of their own; said before the first scrape."""
        self._rankings = (Ranking(LINE_ITEMS, line_items), Ranking(SOURCES, SOURCE_SERIES))

    def warm(self) -> None:
        """Load what knows all metrics, which takes seconds, before the first scrape needs it."""
        catalogue()

    def text(self) -> bytes:
        """Prometheus text."""
        return render(catalogue(), self.samples())

    def samples(self) -> Samples:
        """All series of the service as they are now, in exposed units except bucket counts."""
        with self._reading:
            if self._table is None:
                self._table = Table(catalogue())
            table, now_s = self._table, self.now_s()
            table.read(chain(self._tallies.sources(), (source_of("supervisor", self._counted.samples()),)))
            hidden: set[int] = set()
            sums: Samples = {}
            for ranking in self._rankings:
                rows, summed = ranking.apply(table, now_s)
                hidden.update(rows)
                sums |= summed
            rows = [row for row in range(len(table.cells)) if row not in hidden]
            return table.samples(rows, now_s) | sums | self._own()

    def _own(self) -> Samples:
        servers = self._servers()
        pids: dict[str, int | None] = {f"worker-{slot.number}": slot.pid for slot in self._slots}
        pids |= {"supervisor": os.getpid()} | {name: state.pid for name, state in servers.items()}
        own: Samples = {
            ("paceline_workers_configured", ()): {"": len(self._slots)},
            ("paceline_workers_hung_total", ()): {"": sum(slot.hung for slot in self._slots)},
            ("paceline_workers_failing", ()): {"": sum(slot.failing for slot in self._slots)},
            **{
                (f"paceline_{name}_restarts_total", ()): {"": state.restarts}
                for name, state in servers.items()
            },
            ("paceline_build_info", (paceline_version(), platform.python_version())): {"": 1},
        }
        for slot in self._slots:
            own["paceline_worker_up", (str(slot.number),)] = {"": int(slot.ready)}
            own["paceline_worker_restarts_total", (str(slot.number),)] = {"": slot.restarts}
        for name, helper in self._helpers.items():
            pids[name] = helper.pid
            own[f"paceline_{name}_up", ()] = {"": int(helper.ready)}
            own[f"paceline_{name}_restarts_total", ()] = {"": helper.restarts}
        return own | _processes(pids)


def _processes(pids: Mapping[str, int | None]) -> Samples:
    samples: Samples = {}
    limit = memory_limit()
    if limit is not None:
        samples["paceline_memory_limit_bytes", ()] = {"": limit}
    for name, pid in pids.items():
        use = process_use(pid) if pid else None
        if use is not None:
            samples["paceline_process_resident_memory_bytes", (name,)] = {"": use.resident_bytes}
            samples["paceline_process_cpu_seconds_total", (name,)] = {"": use.cpu_s}
            samples["paceline_process_open_fds", (name,)] = {"": use.open_fds}
            samples["paceline_process_max_fds", (name,)] = {"": use.max_fds}
            samples["paceline_process_start_time_seconds", (name,)] = {"": use.started_s}
    return samples
