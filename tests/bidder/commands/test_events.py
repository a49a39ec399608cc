"""`paceline events`: what is recorded is told, compacted and asked, and nothing outside of it is reached."""

import csv
import io
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
    assert capsys.readouterr().out.splitlines()[1].split() == ["3", "0", ANNA.hex()]


def test_query_says_what_it_does_not_see(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Events in segments are told on stderr, and no more once they are compacted."""
    record(folder)
    assert main(["events", "query", "SELECT count(*) AS n FROM shop"]) == 0
    told = capsys.readouterr()
    assert told.out == "n\n0\n"
    assert told.err == "paceline: 4 events in segments not compacted yet are not counted\n"
    main(["events", "compact"])
    capsys.readouterr()
    assert main(["events", "query", "SELECT count(*) AS n FROM shop"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("n\n3\n", "")


def test_of_much_that_waits_the_segments_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond COUNTED_BYTES."""
    record(folder)
    monkeypatch.setattr("bidder.commands.events.COUNTED_BYTES", 10)
    assert main(["events", "query", "SELECT 1"]) == 0
    assert "the events of 1 segment not compacted yet are not counted" in capsys.readouterr().err


ODD = (
    "SELECT 'a' AS name, 7 AS n, unhex('00ff') AS who, NULL AS nothing, ['x'] AS list, 'nan'::DOUBLE AS odd, "
    "date '2026-01-02' AS day, {'a': true} AS inside UNION ALL "
    "SELECT 'b,' || chr(27), 1234, NULL, NULL, [], 1.5, NULL, NULL"
)


def test_an_answer_is_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers are flush right, texts left, nothing is a dash, and no terminal obeys what is shown."""
    record(folder)
    assert main(["events", "query", ODD]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "name       n  who   nothing  list   odd  day         inside",
        'a          7  00ff  -        ["x"]    -  2026-01-02  {"a": true}',
        "b,\\x1b  1234  -     -        []     1.5  -           -",
    ]


def test_answers_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON keeps numbers, lists and null; CSV quotes what must be; notes do not mix with either."""
    record(folder)
    assert main(["events", "query", ODD, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first == {
        "name": "a",
        "n": 7,
        "who": "00ff",
        "nothing": None,
        "list": ["x"],
        "odd": None,
        "day": "2026-01-02",
        "inside": {"a": True},
    }
    assert (second["name"], second["odd"]) == ("b,\x1b", 1.5)
    assert main(["events", "query", ODD, "--csv"]) == 0
    header, first, second = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header[:3] == ["name", "n", "who"]
    assert first == ["a", "7", "00ff", "", '["x"]', "", "2026-01-02", '{"a": true}']
    assert second[0] == "b,\x1b"


def test_the_schema_is_what_a_query_finds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every table's columns and types, each with its meaning; also where nothing is recorded yet."""
    assert main(["events", "schema", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(line["meaning"] for line in told)
    record(folder)
    main(["events", "compact"])
    for kind in ("shop", "impression", "click"):
        capsys.readouterr()
        assert main(["events", "query", f"DESCRIBE {kind}", "--json"]) == 0
        found = [(line["column_name"], line["column_type"]) for line in json.loads(capsys.readouterr().out)]
        assert found == [(line["column"], line["type"]) for line in told if line["table"] == kind]
    assert main(["events", "schema"]) == 0
    assert "millionths of the currency" in capsys.readouterr().out


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
