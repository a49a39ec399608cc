"""Abnormal sources for operators: each worker writes down its table, whoever asks adds them up.

Place: watch.py writes, `paceline fraud report` and the caretaker read.
Shapes: `fraud-<slot>.json` in the service's `run` folder: one Report.
Limits: MAX_BYTES of a file; reports that are STALE_S older than the newest are of workers that are no more.
Never: an address, an id: a report names exchanges, publishers, sites and apps.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bidder.fraud.sellers import is_domain
from bidder.fraud.sources import Source

MAX_BYTES: Final = 8 << 20
STALE_S: Final = 600.0
_NAME: Final = "fraud-{}.json"


class Report(Struct, frozen=True):
    """What one worker saw since it began."""

    slot: int
    since_s: float
    at_s: float
    missed: int
    """No source that is not in the table had more requests."""
    sources: list[Source]


_decode = msgspec.json.Decoder(Report).decode


def write_report(folder: Path, report: Report) -> None:
    """Write the report of a worker, whole, readable by its owner alone; raises OSError."""
    path = folder / _NAME.format(report.slot)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(report))
    part.replace(path)


def read_reports(folder: Path) -> list[Report]:
    """The reports of the workers that there are; a file that is none is passed over."""
    found = []
    for path in sorted(folder.glob(_NAME.format("*"))):
        try:
            if path.stat().st_size <= MAX_BYTES:
                found.append(_decode(path.read_bytes()))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
    newest_s = max([report.at_s for report in found], default=0.0)
    return [report for report in found if report.at_s >= newest_s - STALE_S]


def added(reports: Iterable[Report]) -> list[Source]:
    """The sources of all workers, the largest first."""
    rows: dict[tuple[str, str, str], Source] = {}
    for source in (source for report in reports for source in report.sources):
        key = (source.exchange, source.publisher, source.place)
        before = rows.get(key)
        rows[key] = source if before is None else _sum(before, source)
    return sorted(rows.values(), key=lambda source: source.requests, reverse=True)


def _sum(one: Source, two: Source) -> Source:
    return msgspec.structs.replace(
        one,
        requests=one.requests + two.requests,
        suspect=one.suspect + two.suspect,
        filtered=one.filtered + two.filtered,
        reasons=one.reasons | two.reasons,
    )


def abnormal(sources: Iterable[Source], least: int = 1) -> list[Source]:
    """Those with at least so many suspect requests, the worst first."""
    found = [source for source in sources if source.suspect >= least]
    return sorted(found, key=lambda source: (source.suspect, source.requests), reverse=True)


def domains(sources: Iterable[Source], most: int) -> list[tuple[str, str]]:
    """(kind, domain) of the sites and apps that ask most: whose ads.txt is worth having."""
    found: dict[tuple[str, str], int] = {}
    for source in sources:
        if source.kind in ("site", "app") and is_domain(source.domain):
            key = (source.kind, source.domain)
            found[key] = found.get(key, 0) + source.requests
    return sorted(found, key=lambda key: found[key], reverse=True)[:most]
