"""`paceline erase`, `export` and `retention sweep` on a real store and real files."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.commands.erase import MAX_WAIT_S, NOBODY, PENDING, wait
from bidder.events.compaction import compact
from bidder.events.erased import digest
from bidder.events.frames import encode_record, framed
from bidder.events.records import ShopEvent
from bidder.events.requests import ERASURES
from bidder.events.segments import OpenSegment
from bidder.metrics import Tally
from bidder.rights.pending import Pending
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter, open_client
from bidder.stores.visitors import VisitorStore
from tests.deeds import told_of, without
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
    told = capsys.readouterr()
    assert told.out.startswith("erased; 1 recorded event cleaned on this host\nnothing is left of 1 id")
    assert f"erased person digest:{digest(ONE).hex()}, asked by" in told.err
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
    assert "1 place still holds the person" in out


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
    assert "erased all that was held of 2 of those named; nothing was held of 1 other" in told.out
    with service.client() as client:
        assert not client.exists(keys.person_key(keys.person_tag(ONE)))
        assert not client.exists(keys.cluster_key(keys.cluster_tag("shop", LOGIN)))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TWO.hex()}\n"))
    assert main(["erase", "--file", "-", "--verify"]) == 0
    assert main(["erase", "--file", str(tmp_path / "absent")]) == 1


@pytest.mark.parametrize("lines", [f"exchange/{ONE.hex()}", "nonsense", "# nobody"])
def test_nobody_is_no_proof(
    service: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str
) -> None:
    """Where lines lead to nobody, since the row is gone, or name nobody, no proof is printed and the exit code says
    so."""
    with service.client() as client:
        client.delete(keys.match_key(keys.match_tag(f"exchange/{ONE.hex()}")))
    file = tmp_path / "batch.txt"
    file.write_text(lines)
    assert main(["erase", "--file", str(file), "--verify"]) == (1 if lines == "nonsense" else NOBODY)
    out = capsys.readouterr().out
    assert "nobody to verify: " in out
    assert "nothing is left" not in out


def test_one_of_two_is_no_proof_of_both(
    service: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is shown of one person is said of that one; the other is told as not verified."""
    file = tmp_path / "batch.txt"
    file.write_text(f"{ONE.hex()}\nexchange/unknown\n")
    assert main(["erase", "--file", str(file), "--verify"]) == NOBODY
    out = capsys.readouterr().out
    assert "nothing is left of 1 id" in out
    assert "not verified: 1 of 2 named led to no id" in out


def test_what_is_pending_is_told_once(
    service: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An event in an open segment is pending, with when it goes; a second run by an id that leads to nobody any more
    says so, too; after the compaction the same commands tell of nothing pending."""
    events = tmp_path / "data" / "events"
    segment = OpenSegment(events, 0, NOW_S)
    record = ShopEvent(id="late", at_ms=NOW_S * 1_000, advertiser="shop", kind="cart", person=ONE)
    segment.append(framed(encode_record(record)))
    file = tmp_path / "batch.txt"
    file.write_text(f"exchange/{ONE.hex()}")
    by_id, by_other = ["erase", "--id", ONE.hex(), "--verify"], ["erase", "--file", str(file), "--verify"]
    line = (
        "pending: 1 event in segments not sealed yet; cleaned at the next compaction, within about 2 minutes"
    )
    assert main(by_other) == PENDING
    for arguments in (by_id, by_other):
        assert main(arguments) == PENDING
        out = capsys.readouterr().out
        assert out.count(line) == out.splitlines().count(line)
        assert "nothing is left" not in out
        assert segment.path.name not in out
    assert "nobody to verify: " in out
    segment.seal()
    compact(events, NOW_S)
    assert main([*by_id, "--wait"]) == 0
    assert main(by_other) == NOBODY
    assert "pending: " not in capsys.readouterr().out


def test_an_erasure_that_has_not_begun_here(
    service: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who was erased on another host, and cannot be named any more, is pending in this host's files."""
    with service.client() as client:
        client.zadd(ERASURES, {digest(ONE): time.time()})
        client.delete(keys.match_key(keys.match_tag(f"exchange/{ONE.hex()}")))
    file = tmp_path / "batch.txt"
    file.write_text(f"exchange/{ONE.hex()}")
    assert main(["erase", "--file", str(file), "--verify"]) == PENDING
    out = capsys.readouterr().out
    assert out.startswith("the store held nothing of whom you named\n")
    assert "pending: 1 event in segments" in out
    assert "pending: 1 person's erasure from this host's files; the caretaker begins it within" in out


async def test_waiting_has_an_end() -> None:
    """It looks again until nothing is pending, and gives up after its limit."""
    looks: list[Pending] = []
    pauses: list[float] = []

    async def look() -> Pending:
        looks.append(Pending(events=1 if len(looks) < 3 else 0))
        return looks[-1]

    async def never() -> Pending:
        return Pending(people=1)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    assert await wait(look, pause)
    assert len(looks) == len(pauses) + 1 == 4
    pauses.clear()
    assert not await wait(never, pause)
    assert sum(pauses) == MAX_WAIT_S


def test_export(service: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Readable and for programs, with what is recorded; nothing is exit code 3."""
    assert main(["export", "--id", ONE.hex()]) == 0
    out = capsys.readouterr().out
    assert "known by exchange since" in out
    assert "1 recorded event\n" in out
    assert main(["export", "--id", f"exchange/{ONE.hex()}"]) == 0
    assert capsys.readouterr().out == out
    assert main(["export", "--id", ONE.hex().upper(), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["held"]["id"] == ONE.hex()
    assert told["recorded"][0]["kind"] == "cart"
    for nobody in ("ff" * 16, "ifa/00000000-1111-2222-3333-444444444444"):
        assert main(["export", "--id", nobody]) == 3
        assert capsys.readouterr().out == "nothing is held\n"
        assert main(["export", "--id", nobody, "--json"]) == 3
        assert json.loads(capsys.readouterr().out)["recorded"] == []


def test_export_of_somebody_who_opted_out(service: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    """An id that led to somebody who opted out leads to nobody: that is said."""
    with service.client() as client:
        client.set(keys.match_key(keys.match_tag("exchange/out")), keys.OPTED_OUT)
    assert main(["export", "--id", "exchange/out"]) == 0
    assert capsys.readouterr().out.startswith("opted out: ")
    assert main(["export", "--id", "exchange/out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["opted_out"] is True


def test_retention(service: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A key without an end is mended and exit code 0 says that nothing is open; looking alone leaves it open."""
    with service.client() as client:
        client.persist(keys.person_key(keys.person_tag(ONE)))
        assert main(["retention", "sweep", "--look", "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert (told["violations"], told["open"]) == ({"p": 1}, 1)
        assert main(["retention", "sweep"]) == 0
        out = capsys.readouterr().out
        assert "and 1 file looked at: 1 could outlive 30 days" in out
        assert "mended: 1 key given an end" in out
        assert out.endswith("open: nothing\n")
        assert main(["retention", "sweep"]) == 0
        assert "1 file looked at: every personal one ends within 30 days" in capsys.readouterr().out
        client.set("strange", "1")
        assert main(["retention", "sweep", "--look"]) == 1
        out = capsys.readouterr().out
        assert "keys that Paceline does not write, so they are not touched: 1" in out
        assert "mended: nothing, since --look" in out
        assert "open: 1 still" in out


def test_wrong_command_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """No id, a wrong id, or both ways at once: exit code 2."""
    for arguments in (
        ["erase"],
        ["erase", "--id", "me"],
        ["export"],
        ["export", "--id", f"shop {LOGIN}"],
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
    """One line on stderr beside the audit's, exit code 1; so is no store at all."""
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PACELINE_REDIS_URL", own_server.url)
    own_server.kill()
    assert main(["erase", "--id", "00" * 16]) == 1
    monkeypatch.delenv("PACELINE_REDIS_URL")
    assert main(["retention", "sweep"]) == 1
    err = capsys.readouterr().err
    assert len(without(err).splitlines()) == 2
    assert [(told["action"], told["result"]) for told in told_of(err)] == [
        ("erase", "exit code 1"),
        ("retention sweep", "exit code 1"),
    ]
