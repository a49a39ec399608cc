"""`paceline events`: what is recorded is told, compacted and asked, and nothing outside of it is reached."""

import json
from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.commands.events import MAX_ROWS
from tests.bidder.events.samples import ANNA, impression, shop, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of recorded events of a service that has this data directory."""
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path / "o'data"))
    return tmp_path / "o'data" / "events"


def record(folder: Path, count: int = 3) -> None:
    import time

    now_s = time.time()
    write(folder, [shop(number, at_s=now_s) for number in range(count)] + [impression(1, at_s=now_s)], now_s)


def test_list_tells_files_rows_and_bytes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Segments before, Parquet after; text and JSON agree."""
    record(folder)
    assert main(["events", "list", "--json"]) == 0
    before = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert before["segments"]["files"] == 1
    assert before["shop"]["rows"] == 0
    assert main(["events", "compact"]) == 0
    assert "1 segments with 4 events became 2 files" in capsys.readouterr().out
    assert main(["events", "list", "--json"]) == 0
    after = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert after["segments"]["files"] == 0
    assert (after["shop"]["files"], after["shop"]["rows"], after["impression"]["rows"]) == (1, 3, 1)
    assert after["shop"]["bytes"] > 0
    assert after["shop"]["oldest"]
    assert main(["events", "list"]) == 0
    assert "shop" in capsys.readouterr().out


def test_query_reads_all_kinds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables are there also where nothing of their kind was recorded; people are shown in hexadecimal."""
    record(folder)
    main(["events", "compact"])
    capsys.readouterr()
    query = "SELECT (SELECT count(*) FROM shop), (SELECT count(*) FROM click), person FROM impression"
    assert main(["events", "query", query]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"3\t0\t{ANNA.hex()}"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT 1) TO '{secret}",
        "SELECT 1; COPY shop TO '{secret}'",
        "DROP VIEW shop",
        "SELECT nothing FROM shop",
    ],
)
def test_a_query_reaches_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str], query: str) -> None:
    """Whatever is no SELECT over the events is one line on stderr."""
    record(folder)
    secret = folder.parent / "token.keys"
    secret.write_text("1:secret")
    assert main(["events", "query", query.format(secret=str(secret).replace("'", "''"))]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("paceline: ")
    assert "secret" not in told.out
    assert secret.read_text() == "1:secret"


def test_an_answer_has_an_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beyond MAX_ROWS it says that there is more."""
    record(folder, MAX_ROWS + 5)
    main(["events", "compact"])
    capsys.readouterr()
    assert main(["events", "query", "SELECT id FROM shop"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == MAX_ROWS + 1
    assert "only the first" in told.err


@pytest.mark.parametrize("action", [["list"], ["compact"], ["query", "SELECT 1"]])
def test_where_nothing_is_recorded_it_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], action: list[str]
) -> None:
    """One line that names the folder, and exit code 1."""
    assert main(["events", *action]) == 1
    assert str(folder) in capsys.readouterr().err
