"""Where a worker's orders wait: its own spool, those of the dead, memory; and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.metrics import Tally
from bidder.spending.segments import READERS
from bidder.spending.sources import Held
from bidder.spending.spools import Spools
from tests.bidder.spending.house import order
from tests.bidder.spending.test_segments import disk_of


def finish(spools: Spools) -> int:
    """Apply everything for every reader; returns how many records reader 0 saw."""
    seen = 0
    for source in spools.sources():
        for reader in range(READERS):
            while (batch := source.peek(reader, 100)) is not None:
                source.finish(reader, batch.end)
                seen += len(batch.payloads) if reader == 0 else 0
    return seen


def kept(tally: Tally, where: str) -> int:
    return tally.cells[tally.slot("paceline_spool_records_total", where)]


def adopted(tally: Tally) -> int:
    return tally.cells[tally.slot("paceline_spools_adopted_total")]


def test_a_clean_end_leaves_nothing(tmp_path: Path) -> None:
    """What is applied is deleted with its folder."""
    spools = Spools(tmp_path, 0, Tally())
    assert spools.accept(order())
    assert finish(spools) == 1
    spools.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("slot", [0, 5], ids=["its successor", "a sibling, when its slot is no more"])
def test_whoever_comes_next_takes_over_what_a_dead_worker_left(tmp_path: Path, slot: int) -> None:
    """At the start, exactly one worker adopts a spool without a process, applies it and deletes it."""
    dead = Spools(tmp_path, 0, Tally())
    for number in range(3):
        dead.accept(order(number))
    dead.own.abandon()
    tallies = Tally(), Tally()
    first, second = Spools(tmp_path, slot, tallies[0]), Spools(tmp_path, 1, tallies[1])
    assert [adopted(tally) for tally in tallies] == [1, 0]
    assert (finish(first), finish(second)) == (3, 0)
    first.look()
    assert {path.name[:3] for path in tmp_path.iterdir()} == {f"{slot:03d}", "001"}
    first.close()
    second.close()
    assert not list(tmp_path.iterdir())


def test_a_worker_that_dies_later_is_found_by_looking(tmp_path: Path) -> None:
    """A living worker's spool is left alone; after its death a look takes it over."""
    tally = Tally()
    living, dying = Spools(tmp_path, 0, tally), Spools(tmp_path, 1, Tally())
    dying.accept(order())
    living.look()
    assert adopted(tally) == 0
    dying.own.abandon()
    living.look()
    assert (adopted(tally), finish(living)) == (1, 1)
    living.close()
    assert not list(tmp_path.iterdir())


def test_what_was_adopted_and_not_applied_is_adopted_again(tmp_path: Path) -> None:
    """A worker that dies over a dead one's spool leaves both to the next."""
    for _ in range(2):
        dead = Spools(tmp_path, 0, Tally())
        dead.accept(order())
        for spool in (dead.own, *dead.adopted):
            spool.abandon()
    last = Spools(tmp_path, 0, Tally())
    assert finish(last) == 2
    last.close()
    assert not list(tmp_path.iterdir())


def test_above_the_limit_of_the_folder_memory_takes_over_then_nothing(tmp_path: Path) -> None:
    """The limit counts the whole folder, dead workers' spools too; what is beyond is kept in memory as far as that
    is bounded, then refused: each counted."""
    other = Spools(tmp_path, 1, Tally())
    other.accept(order())
    tally = Tally()
    spools = Spools(tmp_path, 0, tally, max_bytes=3 * other.own.size)
    spools.held = Held(limit=2)
    assert [spools.accept(order(number)) for number in range(6)] == [True] * 4 + [False] * 2
    assert [kept(tally, where) for where in ("disk", "memory", "refused")] == [2, 2, 2]
    finish(other)
    other.close()
    assert finish(spools) == 4
    spools.close()


def test_a_full_disk_means_memory(tmp_path: Path) -> None:
    """Where the disk takes nothing, orders wait in memory and are applied from there; a close says what is lost."""
    tally = Tally()
    spools = Spools(tmp_path, 0, tally)
    with disk_of(10):
        assert spools.accept(order(1))
    assert spools.accept(order(2))
    assert [kept(tally, where) for where in ("disk", "memory", "refused")] == [1, 1, 0]
    assert finish(spools) == 2
    spools.close()


def test_what_memory_holds_at_the_end_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Notices that found no room on disk and were not applied die with the process, and the log says how many."""
    spools = Spools(tmp_path, 0, Tally(), max_bytes=0)
    spools.accept(order())
    spools.close()
    assert "1 notices that the disk had no room for are lost" in caplog.text


def test_strangers_in_the_folder_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files, half-made spools and folders that are no spool stop nobody; a spool with a strange file is told."""
    (tmp_path / "readme").write_text("x")
    (tmp_path / ".new-000-a").mkdir()
    (tmp_path / "empty").mkdir()
    odd = tmp_path / "000-odd"
    odd.mkdir()
    (odd / "lock").touch()
    (odd / "zz.spool").touch()
    spools = Spools(tmp_path, 0, Tally())
    spools.close()
    assert "the spool 000-odd cannot be opened" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new-000-a", "000-odd", "empty", "readme"]


def test_damage_is_counted(tmp_path: Path) -> None:
    """Bytes that could not be read are counted when the spool is let go."""
    dead = Spools(tmp_path, 0, Tally())
    dead.accept(order())
    dead.own.abandon()
    (segment,) = dead.own.folder.glob("*.spool")
    size = segment.stat().st_size
    segment.write_bytes(segment.read_bytes()[:-1])
    tally = Tally()
    spools = Spools(tmp_path, 0, tally)
    finish(spools)
    spools.look()
    assert tally.cells[tally.slot("paceline_spool_damaged_bytes_total")] == size - 1
    spools.close()


def test_the_gauge_is_what_waits(tmp_path: Path) -> None:
    """Bytes that some reader has not applied; 0 when all are."""
    tally = Tally()
    spools = Spools(tmp_path, 0, tally)
    gauge = tally.slot("paceline_spool_bytes")
    spools.accept(order())
    spools.look()
    assert tally.cells[gauge] == spools.own.size
    finish(spools)
    spools.look()
    assert tally.cells[gauge] == 0
    spools.close()
