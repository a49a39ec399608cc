"""What is recorded, on real processes: from a notice to a Parquet file, through kills, and away again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from bidder.events import parquet, segments
from tests.bidder.supervisor.serving import until
from tests.processes import command
from tests.service.service import Service, started
from tests.service.test_notices_money import bills, send

pytestmark = pytest.mark.process

EVENTS = {"flush_s": 0.1, "segment_s": 0.5, "compact_s": 0.5}


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers that record, and a caretaker that hurries."""
    folder = tmp_path_factory.mktemp("recorded") / "data"
    with started(folder, workers=2, settings={"events": EVENTS}) as running:
        yield running


def told(folder: Path, query: str) -> list[tuple[object, ...]]:
    """What the impressions say; nothing while there are none, or while a file is replaced."""
    files = [str(path) for path in parquet.hour_files(folder, "impression")]
    if not files:
        return []
    with duckdb.connect() as sql:
        try:
            return sql.execute(f"SELECT {query} FROM read_parquet($files)", {"files": files}).fetchall()
        except duckdb.IOException:
            return []


def test_bills_become_rows_once_each(service: Service) -> None:
    """Every accepted bill is one impression in Parquet with its cost, though it is sent twice."""
    events = service.data_dir / "events"
    targets = bills(service, 30)
    assert asyncio.run(send(service, targets)) == [204] * len(targets)
    assert asyncio.run(send(service, targets)) == [204] * len(targets)
    wanted = [(len(targets), len(targets), 250)]
    until(
        lambda: told(events, "count(*), count(DISTINCT id), min(spent_micros)") == wanted, "every impression"
    )
    assert service.scrape().total("paceline_events_dropped_total") == 0
    until(
        lambda: service.scrape().total("paceline_chore_last_success_timestamp_seconds", chore="compact"),
        "it told",
    )


def test_a_worker_that_is_killed_loses_what_it_had_not_flushed_and_no_more(service: Service) -> None:
    """kill -9 of workers and caretaker: what was on disk becomes rows when the next caretaker seals what they left."""
    events = service.data_dir / "events"
    targets = bills(service, 20)
    asyncio.run(send(service, targets))
    until(lambda: service.scrape().total("paceline_events_queue_bytes") == 0, "a flush")
    until(lambda: len(on_disk(events)) >= len(targets), "what was flushed")
    before = on_disk(events)
    for process in service.descendants():
        if {"worker", "caretaker"} & set(command(process)):
            process.send_signal(signal.SIGKILL)
    until(lambda: service.scrape().total("paceline_caretaker_restarts_total") == 1, "another caretaker")
    service.ready()
    until(lambda: len(told(events, "DISTINCT id")) >= len(before), "every impression that was on disk")
    assert {event for (event,) in told(events, "DISTINCT id")} >= before
    assert not re.findall("Traceback", service.log.read_text())


def on_disk(events: Path) -> set[object]:
    """The ids of all impressions that are in a file."""
    found: set[object] = {event for (event,) in told(events, "DISTINCT id")}
    for path in segments.readable(events):
        found |= {record.id for record in segments.records_or_none(path)}
    return found


def test_an_orderly_end_leaves_sealed_segments_alone(service: Service) -> None:
    """A service that is told to stop has written everything: no segment stays open."""
    events = service.data_dir / "events"
    targets = bills(service, 10)
    asyncio.run(send(service, targets))
    os.kill(service.process.pid, signal.SIGTERM)
    service.wait()
    assert len(on_disk(events)) == len(targets)
    assert not [path for path in segments.readable(events) if path.suffix == segments.OPEN]
