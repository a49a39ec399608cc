"""A spool loses nothing that it took: whenever its process dies, and wherever its files end."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.spending import spool as module
from bidder.spending.segments import READERS, SUFFIX, framed, records
from bidder.spending.sources import Held, Source
from bidder.spending.spool import Spool, write_out
from tests.bidder.spending.test_segments import disk_of

ROOT = Path(__file__).parents[3]


def drained(source: Source, reader: int = 0, limit: int = 3) -> list[bytes]:
    """All that a reader gets, finishing each batch."""
    found: list[bytes] = []
    while (batch := source.peek(reader, limit)) is not None:
        assert 1 <= len(batch.payloads) <= limit
        source.send(reader, batch.end)
        source.finish(reader, batch.end)
        found += batch.payloads
    return found


def after_death(spool: Spool, parent: Path) -> Path:
    """The folder as it is now, held by nobody."""
    return Path(shutil.copytree(spool.folder, parent / "left"))


texts = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=30)


@contextlib.contextmanager
def left_behind(written: list[bytes], applied: int) -> Iterator[Path]:
    """The folder of a process that wrote these records to segments of 200 bytes, applied some, and died."""
    with TemporaryDirectory() as parent, patch.object(module, "SEGMENT_BYTES", 200):
        spool = Spool.create(Path(parent), 3)
        for payload in written:
            assert spool.append(payload)
        for reader in range(READERS):
            batch = spool.peek(reader, 1) if applied else None
            for _ in range(applied):
                if batch is not None:
                    spool.finish(reader, batch.end)
                    batch = spool.peek(reader, 1)
        yield after_death(spool, Path(parent))
        drained(spool)
        drained(spool, 1)
        spool.close()


def adopted(folder: Path) -> Spool:
    spool = Spool.adopt(folder)
    assert spool is not None
    return spool


@settings(deadline=None)
@given(texts, st.integers(0, 40), st.binary(max_size=40))
def test_killed_inside_a_write_it_loses_nothing_that_was_accepted(
    written: list[bytes], applied: int, torn: bytes
) -> None:
    """All records that were accepted and not applied come back, in order, for either reader, and the rest of a
    record whose write was cut short does not."""
    with left_behind(written, applied) as folder:
        last = max(folder.glob(f"*{SUFFIX}"))
        with last.open("ab") as file:
            file.write(framed(b"never accepted".ljust(40))[: len(torn)])
        spool = adopted(folder)
        for reader in range(READERS):
            assert drained(spool, reader) == written[applied:]
        assert spool.damaged == len(torn)
        spool.close()
        assert not folder.exists()


@settings(deadline=None)
@given(texts, st.integers(0, 40), st.data())
def test_cut_at_any_byte_it_loses_only_what_was_cut(
    written: list[bytes], applied: int, data: st.DataObject
) -> None:
    """After a power loss the last file ends anywhere: every record before that comes back at least once."""
    with left_behind(written, applied) as folder:
        last = max(folder.glob(f"*{SUFFIX}"))
        cut = data.draw(st.integers(0, last.stat().st_size))
        content = last.read_bytes()
        whole = len(list(records(content)))
        kept = len(list(records(content[:cut])))
        last.write_bytes(content[:cut])
        spool = adopted(folder)
        found = drained(spool)
        intact = written[: len(written) - whole + kept]
        assert found == intact[len(intact) - len(found) :]
        assert len(found) >= len(intact) - applied
        drained(spool, 1)
        spool.close()


def test_a_process_that_is_killed_loses_nothing_that_it_had_told(tmp_path: Path) -> None:
    """A real process appends and tells each number after it; killed by -9 at once, every number told is on disk."""
    script = (
        "import sys; from pathlib import Path; from bidder.spending.spool import Spool\n"
        "spool = Spool.create(Path(sys.argv[1]), 0); n = 0\n"
        "while True:\n"
        "    assert spool.append(b'%d' % n); print(n, flush=True); n += 1\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        told = [process.stdout.readline() for _ in range(300)]
        (folder,) = tmp_path.iterdir()
        assert Spool.adopt(folder) is None, "its process lives"
        process.kill()
        told += process.stdout.readlines()
    process.wait()
    spool = adopted(folder)
    found = [int(payload) for payload in drained(spool, limit=500)]
    assert found == list(range(len(found)))
    assert len(found) >= len([line for line in told if line.endswith("\n")])
    drained(spool, 1, 500)
    spool.close()


def test_only_one_process_holds_a_spool(tmp_path: Path) -> None:
    """Nobody adopts a spool that is held, one that is adopted, or one that is gone."""
    spool = Spool.create(tmp_path, 0)
    spool.append(b"a")
    folder = spool.folder
    assert Spool.adopt(folder) is None
    spool.close()
    first = adopted(folder)
    assert Spool.adopt(folder) is None
    assert (drained(first), drained(first, 1)) == ([b"a"], [b"a"])
    first.close()
    assert Spool.adopt(folder) is None
    assert Spool.adopt(tmp_path) is None


def test_what_was_sent_and_not_finished_is_doubtful(tmp_path: Path) -> None:
    """Who takes over knows which records may have been applied: those before the mark, and no batch mixes them."""
    spool = Spool.create(tmp_path, 0)
    for n in range(6):
        spool.append(b"%d" % n)
    first = spool.peek(0, 2)
    assert first is not None
    assert not first.doubtful
    spool.finish(0, first.end)
    second = spool.peek(0, 2)
    assert second is not None
    spool.send(0, second.end)
    folder = after_death(spool, tmp_path)
    spool.close()
    again = adopted(folder)
    found = []
    while (batch := again.peek(0, 100)) is not None:
        found.append((batch.payloads, batch.doubtful))
        again.finish(0, batch.end)
    assert found == [((b"2", b"3"), True), ((b"4", b"5"), False)]
    again.close()


def test_a_cursor_that_cannot_be_true_reads_everything_again(tmp_path: Path) -> None:
    """Where the cursor survived a power loss that the records did not, no record is skipped."""
    spool = Spool.create(tmp_path, 0)
    spool.append(b"a")
    end = spool.end
    spool.append(b"b" * 50)
    assert drained(spool) == [b"a", b"b" * 50]
    folder = after_death(spool, tmp_path)
    spool.close()
    (segment,) = folder.glob(f"*{SUFFIX}")
    segment.write_bytes(segment.read_bytes()[:end])
    again = adopted(folder)
    assert drained(again) == [b"a"]
    again.close()


def test_segments_go_when_every_reader_is_behind_them(tmp_path: Path) -> None:
    """Disk is freed as the slower reader moves; the file being written stays."""
    with patch.object(module, "SEGMENT_BYTES", 100):
        spool = Spool.create(tmp_path, 0)
        for _ in range(20):
            spool.append(b"x" * 32)
    assert len(list(spool.folder.glob(f"*{SUFFIX}"))) == 10
    assert drained(spool) == [b"x" * 32] * 20
    assert len(list(spool.folder.glob(f"*{SUFFIX}"))) == 10
    assert drained(spool, 1) == [b"x" * 32] * 20
    assert len(list(spool.folder.glob(f"*{SUFFIX}"))) == 1
    assert spool.empty
    assert spool.size <= 100
    spool.close()
    assert not list(tmp_path.iterdir())


def test_what_is_applied_leaves_the_disk(tmp_path: Path) -> None:
    """A file whose records are all applied is replaced; one that a reader is not done with stays."""
    spool = Spool.create(tmp_path, 0)
    spool.renew()
    assert spool.append(b"somebody was here")
    for reader in range(READERS):
        spool.renew()
        assert b"somebody" in b"".join(path.read_bytes() for path in spool.folder.glob(f"*{SUFFIX}"))
        assert drained(spool, reader) == [b"somebody was here"]
    spool.renew()
    assert [path.read_bytes() for path in spool.folder.glob(f"*{SUFFIX}")] == [b""]
    assert spool.append(b"next")
    assert [drained(spool, reader) for reader in range(READERS)] == [[b"next"]] * READERS
    spool.close()


def test_a_disk_that_takes_no_more_is_told_and_recovers(tmp_path: Path) -> None:
    """An append that the disk refuses is False and leaves no trace; the next one counts."""
    spool = Spool.create(tmp_path, 0)
    assert spool.append(b"a" * 100)
    with disk_of(150):
        assert not spool.append(b"b" * 100)
    assert spool.append(b"c" * 100)
    assert drained(spool) == [b"a" * 100, b"c" * 100]
    spool.close()


def test_damage_inside_a_file_ends_it_and_is_counted(tmp_path: Path) -> None:
    """A record that does not match ends its segment; the next segments are read."""
    with patch.object(module, "SEGMENT_BYTES", 100):
        spool = Spool.create(tmp_path, 0)
        for n in range(6):
            spool.append(b"%d" % n * 32)
    folder = after_death(spool, tmp_path)
    spool.close()
    first = min(folder.glob(f"*{SUFFIX}"))
    content = bytearray(first.read_bytes())
    content[45] ^= 1
    first.write_bytes(content)
    again = adopted(folder)
    assert drained(again) == [b"%d" % n * 32 for n in (0, 2, 3, 4, 5)]
    assert again.damaged == 40
    again.close()


def test_what_is_not_on_disk_yet_is_written_out_once(tmp_path: Path) -> None:
    """Every file with news, and its folder, is synced; without news there is nothing to do."""
    with patch.object(module, "SEGMENT_BYTES", 100):
        spool = Spool.create(tmp_path, 0)
        assert spool.unsynced() == []
        for _ in range(5):
            spool.append(b"x" * 32)
    files = spool.unsynced()
    assert len(files) == 4
    write_out(files)
    assert spool.unsynced() == []
    for file in files:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)
    spool.close()


@given(st.lists(st.integers(1, 5), max_size=20))
def test_memory_keeps_the_same_promises(batches: list[int]) -> None:
    """Records in memory come in order to either reader, and leave when both are behind them."""
    held = Held(limit=10)
    taken = [held.append(b"%d" % n) for n in range(12)]
    assert taken == [True] * 10 + [False] * 2
    for size in batches:
        if (batch := held.peek(0, size)) is not None:
            held.send(0, batch.end)
            held.finish(0, batch.end)
    rest = drained(held)
    assert rest == [b"%d" % n for n in range(10 - len(rest), 10)]
    assert not held.append(b"full until the other reader is there too")
    assert drained(held, 1) == [b"%d" % n for n in range(10)]
    assert held.append(b"room")
    assert (held.waiting(0), held.waiting(1)) == (1, 1)


def test_doubt_in_memory() -> None:
    """What was sent once and not finished is doubtful."""
    held = Held()
    held.append(b"a")
    batch = held.peek(0, 5)
    assert batch is not None
    assert not batch.doubtful
    held.send(0, batch.end)
    again = held.peek(0, 5)
    assert again is not None
    assert again.doubtful
