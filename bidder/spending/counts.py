"""What the treasurer counts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bidder.metrics import Metric, Tally
from budget.store import Grant, Inbox, LedgerDown, Status

_US = 1_000
_MS = 1_000_000

METRICS: tuple[Metric, ...] = (
    Metric(
        "paceline_leases_total",
        "counter",
        "Answers to requests for money; part: less than was wanted",
        labels=("result",),
    ),
    Metric("paceline_leases_given_back_total", "counter", "Times that free money of a lease went home"),
    Metric(
        "paceline_leases_lost_total",
        "counter",
        "Times that the ledger took this worker for dead, or had forgotten its leases",
    ),
    Metric("paceline_leases_reclaimed_total", "counter", "Dead workers whose leases were sent home"),
    Metric(
        "paceline_ledger_heard_total",
        "counter",
        "Bids of this worker that were told to be over",
        labels=("fate",),
    ),
    Metric("paceline_ledger_expired_total", "counter", "Times that reservations were freed by time"),
    Metric(
        "paceline_ledger_seconds",
        "histogram",
        "From a call of the treasurer to the ledger's answer",
        labels=("verb",),
        scale=1e-9,
        buckets=(
            *(200 * _US, 500 * _US, 1 * _MS, 2 * _MS, 5 * _MS, 10 * _MS, 20 * _MS, 50 * _MS),
            *(100 * _MS, 200 * _MS, 500 * _MS, 1_000 * _MS, 5_000 * _MS),
        ),
    ),
    Metric("paceline_ledger_failures_total", "counter", "Calls that the ledger did not answer"),
    Metric("paceline_ledger_down", "gauge", "1: the last call found no ledger", merge="max"),
    Metric(
        "paceline_ledger_ahead_seconds",
        "gauge",
        "The ledger's clock less the worker's, as last heard; above 60 nothing is bid",
        merge="max",
    ),
)
_SECONDS = next(metric for metric in METRICS if metric.name == "paceline_ledger_seconds")
VERBS = ("incarnation", "lease", "give_back", "poll", "reclaim", "goodbye")


class Counts:
    """The cells that a treasurer touches."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._seconds = {verb: tally.histogram(_SECONDS, verb) for verb in VERBS}
        self.down(False)

    @contextmanager
    def ledger(self, verb: str) -> Iterator[None]:
        """One call: how long it took, and whether there was a ledger."""
        start_ns = time.monotonic_ns()
        try:
            yield
        except LedgerDown:
            self._tally.count("paceline_ledger_failures_total")
            self.down(True)
            raise
        self.down(False)
        self._seconds[verb].observe(time.monotonic_ns() - start_ns)

    def down(self, down: bool) -> None:
        """Whether the last call found no ledger."""
        self._tally.set("paceline_ledger_down", value=int(down))

    def ahead(self, seconds: float) -> None:
        """How far the ledger's clock is before ours."""
        self._tally.set("paceline_ledger_ahead_seconds", value=round(seconds))

    def lease(self, grant: Grant, wanted: int) -> None:
        """One answer to a request for money."""
        part = grant.status is Status.DONE and grant.granted < wanted
        self._tally.count("paceline_leases_total", "part" if part else grant.status.value)

    def given_back(self) -> None:
        """Free money went home."""
        self._tally.count("paceline_leases_given_back_total")

    def lost(self) -> None:
        """The ledger took this worker for dead."""
        self._tally.count("paceline_leases_lost_total")

    def reclaimed(self) -> None:
        """A dead worker's leases went home."""
        self._tally.count("paceline_leases_reclaimed_total")

    def heard(self, entries: tuple[Inbox, ...], expired: int) -> None:
        """One poll's news."""
        settled = sum(1 for entry in entries if entry.amount)
        if settled:
            self._tally.count("paceline_ledger_heard_total", "settled", by=settled)
        if len(entries) > settled:
            self._tally.count("paceline_ledger_heard_total", "released", by=len(entries) - settled)
        if expired:
            self._tally.count("paceline_ledger_expired_total")
