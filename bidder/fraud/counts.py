"""What is counted of invalid traffic: requests and notices, by exchange, reason and what was done.

Place: score.py and beacons.py count here, and only what is suspect, so that clean traffic pays nothing.
Limits: exchanges are configured, reasons an enum; sources have SOURCE_SERIES series, the rest is "other".
"""

from typing import Final

from bidder.fraud.reasons import MARKS, names
from bidder.metrics import Metric, Tally

SOURCE_SERIES: Final = 100

METRICS: Final = (
    Metric(
        "paceline_invalid_traffic_requests_total",
        "counter",
        "Bid requests suspected to be invalid traffic, each once; filtered ones were not bid on",
        ("exchange", "action"),
    ),
    Metric(
        "paceline_invalid_traffic_reasons_total",
        "counter",
        "Suspected bid requests by each of their reasons",
        ("exchange", "reason", "action"),
    ),
    Metric(
        "paceline_invalid_traffic_source_requests_total",
        "counter",
        "Suspected bid requests by publisher and by site or app, for the first of them; the rest is other",
        ("exchange", "publisher", "place"),
    ),
    Metric(
        "paceline_suspect_notices_total",
        "counter",
        "Beacons and clicks suspected to be invalid traffic, by each of their marks",
        ("exchange", "kind", "mark"),
    ),
    Metric(
        "paceline_fraud_fetches_total",
        "counter",
        "ads.txt and app-ads.txt that the caretaker asked for, by whether it got one",
        ("result",),
    ),
    Metric(
        "paceline_fraud_list_entries",
        "gauge",
        "Entries of the lists in use: networks, ads.txt, sellers.json",
        ("list",),
        merge="max",
    ),
    Metric(
        "paceline_fraud_list_problems",
        "gauge",
        "Lines or files of a list that could not be read",
        ("list",),
        merge="max",
    ),
)


class Counts:
    """The counters of one worker."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._cells = tally.cells
        self._slots: dict[tuple[str, int, bool], list[int]] = {}
        self._sources: dict[tuple[str, str, str], int] = {}

    def request(self, exchange: str, reasons: int, filtered: bool) -> None:
        """One suspected request."""
        key = (exchange, reasons, filtered)
        slots = self._slots.get(key)
        if slots is None:
            slots = self._slots[key] = self._request_slots(*key)
        for slot in slots:
            self._cells[slot] += 1

    def _request_slots(self, exchange: str, reasons: int, filtered: bool) -> list[int]:
        action = "filtered" if filtered else "marked"
        slot = self._tally.slot
        return [
            slot("paceline_invalid_traffic_requests_total", exchange, action),
            *[
                slot("paceline_invalid_traffic_reasons_total", exchange, reason, action)
                for reason in names(reasons)
            ],
        ]

    def source(self, exchange: str, publisher: str, place: str) -> None:
        """One suspected request of a source."""
        key = (exchange, publisher, place)
        slot = self._sources.get(key)
        if slot is None:
            full = len(self._sources) >= SOURCE_SERIES
            labels = ("other", "other", "other") if full else key
            slot = self._tally.slot("paceline_invalid_traffic_source_requests_total", *labels)
            if not full:
                self._sources[key] = slot
        self._cells[slot] += 1

    def notice(self, exchange: str, kind: str, marks: int) -> None:
        """One suspected notice."""
        for mark in names(marks, MARKS):
            self._tally.count("paceline_suspect_notices_total", exchange, kind, mark)

    def entries(self, name: str, entries: int, problems: int) -> None:
        """A list was read."""
        self._tally.set("paceline_fraud_list_entries", name, value=entries)
        self._tally.set("paceline_fraud_list_problems", name, value=problems)
