"""Samples of a service, as a scrape merges them, that a test makes well or ill."""

from __future__ import annotations

from collections.abc import Mapping

from bidder.console.state import View
from bidder.supervisor.catalogue import catalogue
from bidder.web.exposition import Samples

NOW_S = 1_790_000_000.0


class Service:
    """A service whose numbers the test sets; well, and without traffic, until told otherwise."""

    def __init__(self) -> None:
        self.samples: Samples = {}
        self.now_s = NOW_S
        self.view = View(lambda: dict(self.samples), catalogue)
        self.set("paceline_workers_configured", 2)
        for slot in "01":
            self.set("paceline_worker_up", 1, slot)
        self.set("paceline_bookkeeper_up", 1)
        self.set("paceline_caretaker_up", 1)
        self.set("paceline_build_info", 1, "1.2.3", "3.11")

    def set(self, name: str, value: float, *labels: str) -> None:
        """What a gauge says, or a counter counted."""
        assert name in catalogue(), name
        assert len(labels) == len(catalogue()[name].labels), name
        self.samples[name, labels] = {"": value}

    def add(self, name: str, value: float, *labels: str) -> None:
        """Count on."""
        self.set(name, self.samples.get((name, labels), {"": 0.0})[""] + value, *labels)

    def observe(self, name: str, values: Mapping[float, int], *labels: str) -> None:
        """Add so many of each value to a histogram, in the exposed unit."""
        metric = catalogue()[name]
        parts = dict(self.samples.get((name, labels), {}))
        for value, count in values.items():
            bucket = str(sum(bound * metric.scale < value for bound in metric.buckets))
            parts[bucket] = parts.get(bucket, 0) + count
            parts["sum"] = parts.get("sum", 0) + value * count
        self.samples[name, labels] = parts

    def serve(self, seconds: int, requests: int = 100, bids: int = 60) -> None:
        """So many seconds of traffic, looked at each second."""
        for _ in range(seconds):
            self.now_s += 1
            self.add("paceline_requests_total", requests, "google")
            self.add("paceline_slo_answers_total", requests, "google", "good")
            self.add("paceline_outcomes_total", bids, "google", "bid")
            self.add("paceline_outcomes_total", requests - bids, "google", "no_candidate")
            self.add("paceline_bids_total", bids, "google", "banner", "personal")
            self.observe("paceline_bid_latency_seconds", {0.0009: requests}, "google")
            self.view.look(self.now_s)
