"""`paceline erase`, `export` and `retention sweep` on a real store and real files."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.config import Stores
from bidder.events.frames import encode_record, framed
from bidder.events.records import ShopEvent
from bidder.events.segments import OpenSegment
from bidder.metrics import Tally
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter, open_client
from bidder.stores.visitors import VisitorStore
from tests.servers import RealServer

ONE, TWO, NOW_S = bytes(range(16)), bytes(range(50, 66)), 1_790_000_000
LOGIN = "cd" * 32


@pytest.fixture
def service(redis_server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealServer:
    """The environment of a service in which ONE and TWO are known, and ONE is recorded."""
    monkeypatch.setenv("PACELINE_REDIS_URL", redis_server.url)
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path / "data"))

    async def fill() -> None:
        client = open_client(Stores(redis_url=redis_server.url))
        writer, visitors = PeopleWriter(client), VisitorStore(client, Tally())
        for person in (ONE, TWO):
            await writer.match("exchange", person.hex(), person, NOW_S)
        await visitors.join(TWO, "shop", LOGIN, NOW_S)
        await client.aclose()

    asyncio.run(fill())
    segment = OpenSegment(tmp_path / "data" / "events", 0, NOW_S)
    record = ShopEvent(id="e", at_ms=NOW_S * 1_000, advertiser="shop", kind="cart", person=ONE)
    segment.append(framed(encode_record(record)))
    segment.seal()
    return redis_server


def test_erasing_one_and_proving_it(service: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The store and this host's records are clean, the proof says so, and others are still known."""
    assert main(["erase", "--id", ONE.hex(), "--verify"]) == 0
    out = capsys.readouterr().out
    assert "erased 1 of 1" in out
    assert "1 recorded events" in out
    assert "nothing is left" in out
    with service.client() as client:
        assert not client.exists(keys.person_key(keys.person_tag(ONE)))
        assert client.exists(keys.person_key(keys.person_tag(TWO)))


def test_a_proof_that_fails(service: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    """What names the person outside of what is known is printed, and the exit code says so."""
    with service.client() as client:
        client.set("ml:note", ONE.hex())
    assert main(["erase", "--id", ONE.hex(), "--verify"]) == 1
    out = capsys.readouterr().out
    assert "value of ml:note" in out
    assert "1 places are left" in out


def test_a_batch(
    service: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, ids of others and logins; wrong lines are told with their numbers and the others are done all the same."""
    lines = ["# of today", "", f"exchange/{ONE.hex()}", f"shop {LOGIN}", "ff" * 16, "nonsense", "a b c"]
    file = tmp_path / "batch.txt"
    file.write_text("\n".join(lines))
    assert main(["erase", "--file", str(file)]) == 1
    told = capsys.readouterr()
    assert "line 6: " in told.err
    assert "line 7: " in told.err
    assert "erased 2 of 3" in told.out
    with service.client() as client:
        assert not client.exists(keys.person_key(keys.person_tag(ONE)))
        assert not client.exists(keys.cluster_key(keys.cluster_tag("shop", LOGIN)))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TWO.hex()}\n"))
    assert main(["erase", "--file", "-", "--verify"]) == 0
    assert main(["erase", "--file", str(tmp_path / "absent")]) == 1


def test_export(service: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Readable and for programs, with what is recorded; nothing is exit code 3."""
    assert main(["export", "--id", ONE.hex()]) == 0
    out = capsys.readouterr().out
    assert "known by exchange since" in out
    assert "1 recorded events" in out
    assert main(["export", "--id", ONE.hex().upper(), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["held"]["id"] == ONE.hex()
    assert told["recorded"][0]["kind"] == "cart"
    assert main(["export", "--id", "ff" * 16]) == 3


def test_retention(service: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A key without an end is mended and exit code 0 says that nothing is open; looking alone leaves it open."""
    with service.client() as client:
        client.persist(keys.person_key(keys.person_tag(ONE)))
        assert main(["retention", "sweep", "--look", "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert (told["violations"], told["open"]) == ({"p": 1}, 1)
        assert main(["retention", "sweep"]) == 0
        assert "1 given an end" in capsys.readouterr().out
        client.set("strange", "1")
        assert main(["retention", "sweep"]) == 1
        assert "unknown: 1" in capsys.readouterr().out


def test_wrong_command_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """No id, a wrong id, or both ways at once: exit code 2."""
    for arguments in (
        ["erase"],
        ["erase", "--id", "me"],
        ["export"],
        ["erase", "--id", "00" * 16, "--file", "x"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    capsys.readouterr()


def test_a_store_that_is_away(
    own_server: RealServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line on stderr, exit code 1; so is no store at all."""
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PACELINE_REDIS_URL", own_server.url)
    own_server.kill()
    assert main(["erase", "--id", "00" * 16]) == 1
    monkeypatch.delenv("PACELINE_REDIS_URL")
    assert main(["retention", "sweep"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
