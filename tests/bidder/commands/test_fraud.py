"""`paceline fraud`: abnormal sources, and lists that have something wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.fraud.report import Report, write_report
from bidder.fraud.sources import Source

SOURCES = [
    Source("xandr", "pub-1", "news.example", "site", "news.example", 10_000, 12, 2, 16),
    Source("xandr", "pub-2", "\x1b[2Jevil.example", "site", "evil.example", 500, 450, 400, 1 | 2_048),
    Source("google", "pub-3", "clean.example", "site", "clean.example", 90_000, 0, 0, 0),
]
TABLE = """\
1 worker(s), from 2026-11-25 12:00:00Z to 2026-11-25 13:00:00Z; sources with fewer than 7 requests may be missing
EXCHANGE  PUBLISHER  SITE OR APP       REQUESTS  SUSPECT  FILTERED  SHARE  REASONS
xandr     pub-2      ?[2Jevil.example       500      450       400  90.0%  crawler source_rate
xandr     pub-1      news.example        10,000       12         2   0.1%  datacentre

crawler: on the list of crawlers
datacentre: from a listed network
source_rate: most of the placement is suspect
"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of a service that ran."""
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    write_report(tmp_path / "run", Report(0, 1_795_608_000.0, 1_795_611_600.0, 7, SOURCES))
    return tmp_path


def test_report(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The worst source comes first, clean ones are left out, and nothing in a name reaches the terminal."""
    assert main(["fraud", "report"]) == 0
    assert capsys.readouterr().out == TABLE


def test_report_for_programs(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has all that the table has, and all sources where they are asked for."""
    assert main(["fraud", "report", "--json", "--all", "--top", "3"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [source["publisher"] for source in told["sources"]] == ["pub-3", "pub-1", "pub-2"]
    assert told["sources"][2]["reasons"] == ["crawler", "source_rate"]
    assert (told["workers"], told["missed_requests"]) == (1, 7)


def test_nothing_abnormal(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That nothing is wrong is said."""
    write_report(house / "run", Report(0, 1.0, 2.0, 0, SOURCES[2:]))
    assert main(["fraud", "report"]) == 0
    assert capsys.readouterr().out.endswith("\nno source is abnormal\n")


def test_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no service ran there is nothing to tell, and that is an error."""
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path))
    assert main(["fraud", "report"]) == 1
    assert "no worker has written a report" in capsys.readouterr().err


def test_lists(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists are checked line by line, and a bad line is told with its place."""
    clouds = house / "clouds.txt"
    clouds.write_text("203.0.113.0/24\n2001:db8::/32\n")
    config = house / "paceline.toml"
    config.write_text(f'[fraud]\ndatacenter_networks = ["{clouds}"]\n')
    sellers = house / "sellers"
    sellers.mkdir()
    (sellers / "news.example.ads.txt").write_text("owner.example, 1, DIRECT")
    assert main(["fraud", "lists", "--config", str(config)]) == 0
    assert capsys.readouterr().out == (
        "networks: 2 ranges\nsellers: 1 ads.txt and app-ads.txt, 0 sellers.json\n"
    )
    clouds.write_text("203.0.113.0/24\n203.0.113/24\n")
    (sellers / "page.example.ads.txt").write_text("<html>")
    assert main(["fraud", "lists", "--config", str(config)]) == 1
    told = capsys.readouterr().err
    assert "clouds.txt:2: '203.0.113/24' is no network" in told
    assert "1 files are not what their names say" in told
