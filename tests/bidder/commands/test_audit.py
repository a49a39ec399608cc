"""`paceline audit`: proves books on a real server, and finds what was tampered with, forgotten or lost."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from bidder.__main__ import main
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from budget.accounts import Level
from budget.journal import archive, folder_of
from budget.money import micros_from_text
from budget.redis_store import RedisStore
from budget.store import LeaseRequest, Settlement
from tests.servers import RealServer

SHOP = load_book(demo_book_path()).advertisers[0]
LINE = SHOP.campaigns[0].line_items[0]
PATH = (Level("wallet"), Level(f"line/{LINE.id}", micros_from_text(50)))


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RealServer) -> Path:
    """100 funded, 8 leased, 2 of it settled, 1 late; half of the journal on the disk, half on the server."""
    for name in os.environ:
        if name.startswith("PACELINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PACELINE_LEDGER_URL", redis_server.url)
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "data" / "journal"
    folder.mkdir(parents=True)
    asyncio.run(_spend(redis_server.url, folder))
    return folder


async def _spend(url: str, folder: Path) -> None:
    store = RedisStore.connect(url)
    try:
        await store.fund(SHOP.id, "f", micros_from_text(100))
        worker, wanted = await store.incarnation(), micros_from_text(8)
        lease_id = worker << 32 | 1
        await store.lease(SHOP.id, [LeaseRequest("l", worker, lease_id, PATH, wanted, wanted, 60.0)])
        await archive(store, folder)
        now_s, names = (await store.books(SHOP.id)).clock_s, tuple(level.account for level in PATH)
        two, one = micros_from_text(2), micros_from_text(1)
        settlements = [
            Settlement(b"a" * 12, lease_id, two, two, int(now_s) + 600, names),
            Settlement(b"b" * 12, lease_id, one, one, int(now_s) - 60, names),
        ]
        await store.settle(SHOP.id, settlements)
    finally:
        await store.close()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `paceline audit`."""
    status = main(["audit", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def proven(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of the one shop."""
    status, out, _ = told(capsys, "--json")
    (found,) = json.loads(out)
    return status, found


def test_good_books_are_proven(capsys: pytest.CaptureFixture[str]) -> None:
    """Segments and stream together give the balances that the ledger holds; exit code 0."""
    status, out, err = told(capsys)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"{SHOP.id}  {SHOP.currency}  4 entries: every balance is proven",
        "  funded 100.00 = available 91.00 + leased 6.00 + spent 3.00",
        "  late 1.00 of what is spent; absorbed 0.00",
    ]
    status, found = proven(capsys)
    assert status == 0
    assert (found["proven"], found["findings"], found["overspend_micros"]) == (True, [], {})
    assert found["funded_micros"] == (
        found["available_micros"] + found["leased_micros"] + found["spent_micros"]
    )


def test_it_changes_nothing(
    capsys: pytest.CaptureFixture[str], journal: Path, redis_server: RealServer
) -> None:
    """Neither the ledger nor the segments: it may run beside a service."""

    def everything() -> list[object]:
        with redis_server.client() as client:
            kept: list[object] = [client.dump(key) for key in sorted(client.keys())]
        return kept + [path.read_bytes() for path in sorted(journal.rglob("*")) if path.is_file()]

    before = everything()
    assert told(capsys, SHOP.id)[0] == 0
    assert everything() == before


def test_a_balance_that_was_changed_is_found(
    capsys: pytest.CaptureFixture[str], redis_server: RealServer
) -> None:
    """Money that no entry tells of is named with its account; exit code 1."""
    with redis_server.client() as client:
        client.hincrby(f"ml:{{{SHOP.id}}}:a", "wallet|spent", -1)
    status, out, _ = told(capsys)
    assert status == 1
    assert "FINDINGS" in out.splitlines()[0]
    assert "WRONG wallet: spent is 2999999 in the books and 3000000 by the journal" in out
    status, found = proven(capsys)
    assert (status, found["proven"]) == (1, False)


def test_a_missing_segment_is_found(capsys: pytest.CaptureFixture[str], journal: Path) -> None:
    """A journal without its beginning proves nothing."""
    for path in folder_of(journal, SHOP.id).glob("*.jsonl"):
        path.unlink()
    status, out, _ = told(capsys)
    assert status == 1
    assert "WRONG journal: entries 1 to 2 are missing" in out


def test_a_ledger_without_its_data_is_found(
    capsys: pytest.CaptureFixture[str], redis_server: RealServer
) -> None:
    """A server that came back empty: the segments still name the advertiser and what is forgotten."""
    redis_server.flush()
    status, out, _ = told(capsys)
    assert status == 1
    assert f"{SHOP.id}  " in out
    assert "WRONG journal: the ledger has forgotten entries 1 to 2" in out


def test_a_damaged_segment_is_one_line(capsys: pytest.CaptureFixture[str], journal: Path) -> None:
    """A line that nobody can read is named with its file."""
    (segment,) = folder_of(journal, SHOP.id).glob("*.jsonl")
    segment.write_bytes(b"{]\n" + segment.read_bytes())
    status, out, err = told(capsys)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert f"{segment.name}, line 1" in err


def test_the_folder_is_that_of_the_configuration(
    capsys: pytest.CaptureFixture[str], journal: Path, tmp_path: Path
) -> None:
    """`ledger.journal_dir` is where segments are looked for; one that is not there is said."""
    moved = journal.rename(tmp_path / "elsewhere")
    status, _, err = told(capsys)
    assert status == 1
    assert f"there is no folder {journal}" in err
    settings = tmp_path / "paceline.yaml"
    settings.write_text(f"ledger: {{journal_dir: '{moved}'}}\n")
    assert told(capsys, "--config", str(settings))[0] == 0


def test_an_unknown_advertiser_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """One line with those that there are."""
    assert told(capsys, "nobody") == (1, "", f"paceline: nobody has no account; known: {SHOP.id}\n")


def test_an_empty_ledger_is_proven(
    capsys: pytest.CaptureFixture[str], redis_server: RealServer, journal: Path
) -> None:
    """Nothing to prove is nothing wrong."""
    redis_server.flush()
    journal.rename(journal.with_name("gone"))
    assert told(capsys) == (0, "no accounts yet\n", "")


def test_a_ledger_that_is_down(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, exit code 1: an audit that could not be made is none that passed."""
    monkeypatch.setenv("PACELINE_LEDGER_URL", "redis://127.0.0.1:1")
    status, out, err = told(capsys)
    assert (status, out) == (1, "")
    assert err.startswith("paceline: the ledger at redis://127.0.0.1:1 cannot be reached")
