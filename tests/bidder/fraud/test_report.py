"""Abnormal sources for operators."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.fraud import report
from bidder.fraud.report import Report, abnormal, added, domains, read_reports, write_report
from bidder.fraud.sources import Source


def source(place: str, requests: int, suspect: int = 0, **more: str) -> Source:
    fields = {"exchange": "generic", "publisher": "pub", "kind": "site", "domain": place} | more
    return Source(
        place=place,
        requests=requests,
        suspect=suspect,
        filtered=suspect // 2,
        reasons=1 if suspect else 0,
        **fields,
    )


def made(slot: int, *sources: Source, at_s: float = 1_000.0) -> Report:
    return Report(slot, 100.0, at_s, 0, list(sources))


def test_workers_add_up(tmp_path: Path) -> None:
    """What several workers saw of one source is one row."""
    write_report(tmp_path, made(0, source("a.example", 10, 4), source("b.example", 3)))
    write_report(tmp_path, made(1, source("a.example", 7, 1), source("c.example", 9, 9)))
    sources = added(read_reports(tmp_path))
    assert [(row.place, row.requests, row.suspect, row.filtered) for row in sources] == [
        ("a.example", 17, 5, 2),
        ("c.example", 9, 9, 4),
        ("b.example", 3, 0, 0),
    ]
    assert [row.place for row in abnormal(sources)] == ["c.example", "a.example"]
    assert [row.place for row in abnormal(sources, 6)] == ["c.example"]


def test_written_whole(tmp_path: Path) -> None:
    """A report replaces the last one and is its owner's alone; a crash between leaves a part that nobody reads."""
    (tmp_path / "fraud-0.json.part").write_text("half")
    for requests in (1, 2):
        write_report(tmp_path, made(0, source("a.example", requests)))
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert added(read_reports(tmp_path))[0].requests == 2


def test_what_is_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken, foreign, large and stale files are passed over."""
    write_report(tmp_path, made(0, source("a.example", 1), at_s=5_000.0))
    write_report(tmp_path, made(1, source("old.example", 1), at_s=4_000.0))
    (tmp_path / "fraud-2.json").write_text("{")
    (tmp_path / "fraud-3.json").write_text('{"slot": 3}')
    (tmp_path / "fraud-4.json").write_bytes(b"\xff\xfe")
    assert [each.slot for each in read_reports(tmp_path)] == [0]
    monkeypatch.setattr(report, "MAX_BYTES", 10)
    assert read_reports(tmp_path) == []
    assert read_reports(tmp_path / "absent") == []


def test_domains() -> None:
    """The domains of sites and of apps' developers, those that ask most first; no bundle, no address, no screen."""
    sources = [
        source("a.example", 5),
        source("b.example", 9),
        source("a.example", 6, publisher="another"),
        source("com.maker.game", 7, kind="app", domain="maker.example"),
        source("123456", 99, kind="app", domain=""),
        source("10.0.0.1", 99),
        source("localhost", 99),
        source("screen.example", 99, kind="dooh"),
    ]
    assert domains(sources, 10) == [("site", "a.example"), ("site", "b.example"), ("app", "maker.example")]
    assert domains(sources, 1) == [("site", "a.example")]
