"""The journal survives what a disk and a process can do to it, and is whole and in order for who reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from budget.entries import Entry, Verb
from budget.journal import Archive, Busy, Damaged, archive, folder_of, lost, read, whole_journal
from budget.memory_store import MemoryStore
from budget.money import Micros
from budget.redis_store import RedisStore
from tests.budget.calls import ADV, T0, leased, settlement
from tests.servers import RealServer


@pytest.fixture
async def real(redis_server: RealServer) -> AsyncIterator[RedisStore]:
    """An empty ledger on a real server."""
    store = RedisStore.connect(redis_server.url)
    yield store
    await store.close()


def entry(n: int) -> Entry:
    """One with a number."""
    return Entry(n, T0 + n, Verb.FUND, op_id=f"op-{n}", amount=Micros(n))


def segments(folder: Path) -> list[Path]:
    """Files, in order."""
    return sorted(folder_of(folder, ADV).glob("0*.jsonl"))


async def whole(store: MemoryStore | RedisStore, folder: Path) -> list[Entry]:
    """Everything that `whole_journal` tells."""
    return [entry async for entry in whole_journal(store, folder, ADV)]


async def test_what_is_drained_is_on_the_disk_and_no_more_in_the_store(
    real: RedisStore, tmp_path: Path
) -> None:
    """Before, between and after, the whole journal is the same."""
    lease_id = await leased(real)
    await real.settle(ADV, [settlement(lease_id, 1) for _ in range(20)], T0)
    before = await whole(real, tmp_path)
    assert await archive(real, tmp_path, segment_bytes=1) == {ADV: 22}
    assert await real.entries(ADV, 0, 10) == []
    assert await archive(real, tmp_path) == {ADV: 0}
    await real.settle(ADV, [settlement(lease_id, 2)], T0)
    after = await whole(real, tmp_path)
    assert after[:-1] == before
    assert [entry.n for entry in after] == list(range(1, 24))


async def test_an_entry_comes_once_however_often_it_is_drained(tmp_path: Path) -> None:
    """Killed between writing and trimming, the archiver finds the same entries in the stream again."""
    store = MemoryStore()
    lease_id = await leased(store)
    await store.settle(ADV, [settlement(lease_id, 1)], T0)
    entries = await store.entries(ADV, 0, 10)
    with Archive(tmp_path, ADV) as segments:
        segments.append(entries[:2])
    assert await archive(store, tmp_path) == {ADV: 1}
    assert list(read(folder_of(tmp_path, ADV), 0)) == entries
    assert lost(tmp_path, ADV) == []


def test_segments_rotate_by_size(tmp_path: Path) -> None:
    """Each is named by its first entry; together they are in order, from any number on."""
    with Archive(tmp_path, ADV, segment_bytes=300) as archive:
        for n in range(1, 20):
            archive.append([entry(n)])
    paths = segments(tmp_path)
    assert len(paths) > 3
    for path in paths:
        assert path.read_bytes().startswith(b'{"n":%d,' % int(path.stem))
    for after in range(20):
        assert [e.n for e in read(folder_of(tmp_path, ADV), after)] == list(range(after + 1, 20))


@pytest.mark.parametrize("rest", [b"", b"\n", b"\x00\x00\x00\n"])
def test_a_torn_last_line_loses_no_whole_entry(tmp_path: Path, rest: bytes) -> None:
    """Wherever kill -9 or a power cut tore it: the whole entries stay, the torn one comes again."""
    with Archive(tmp_path, ADV) as archive:
        archive.append([entry(n) for n in range(1, 4)])
    (path,) = segments(tmp_path)
    full = path.read_bytes()
    end = full.rindex(b"{")
    for cut in range(end, len(full) - 1):
        path.write_bytes(full[:cut] + rest)
        if not rest:
            assert [e.n for e in read(path.parent, 0)] == [1, 2]
        with Archive(tmp_path, ADV) as archive:
            assert archive.last == 2
            archive.append([entry(2), entry(3)])
        assert path.read_bytes() == full


def test_a_segment_of_nothing_whole_is_dropped(tmp_path: Path) -> None:
    """Killed in the first write to it."""
    with Archive(tmp_path, ADV) as archive:
        archive.append([entry(1)])
    (path,) = segments(tmp_path)
    (path.parent / f"{2:016d}.jsonl").write_bytes(b'{"n":2,"at')
    with Archive(tmp_path, ADV) as archive:
        assert archive.last == 1
    assert segments(tmp_path) == [path]


def test_a_long_last_entry_is_found(tmp_path: Path) -> None:
    """A reclaim of thousands of leases is longer than the block that is read first."""
    leases = tuple((i, Micros(i)) for i in range(20_000))
    long = Entry(2, T0, Verb.RECLAIM, leases=leases)
    with Archive(tmp_path, ADV) as archive:
        archive.append([entry(1), long])
    with segments(tmp_path)[0].open("ab") as file:
        file.write(b'{"torn')
    with Archive(tmp_path, ADV) as archive:
        assert archive.last == 2
    assert list(read(folder_of(tmp_path, ADV), 1)) == [long]


def test_a_line_in_the_middle_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    """It says which line of which file."""
    with Archive(tmp_path, ADV) as archive:
        archive.append([entry(n) for n in range(1, 4)])
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'{"n":2', b'{"n":x'))
    with pytest.raises(Damaged, match=r"0001\.jsonl, line 2"):
        list(read(path.parent, 0))


def test_a_hole_is_never_written(tmp_path: Path) -> None:
    """An entry without its predecessor is refused, and nothing of its batch is kept."""
    with Archive(tmp_path, ADV) as archive:
        archive.append([entry(1)])
        with pytest.raises(Damaged, match="entries 3 to 4 are missing"):
            archive.append([entry(2), entry(5)])
        assert archive.last == 1


def test_two_archivers_do_not_write_into_one_folder(tmp_path: Path) -> None:
    """The second is told; after the first is gone, it may."""
    with Archive(tmp_path, ADV), pytest.raises(Busy):
        Archive(tmp_path, ADV)
    Archive(tmp_path, ADV).close()


def test_an_advertisers_id_cannot_leave_the_folder(tmp_path: Path) -> None:
    """Whatever it is made of, its segments stand right below."""
    for advertiser in ("../x", "..", "a/b", "a b"):
        assert folder_of(tmp_path, advertiser).resolve().parent == tmp_path.resolve()


async def test_what_the_store_has_forgotten_is_set_aside(tmp_path: Path) -> None:
    """After a power cut with `everysec` it counts on from an earlier number: the archive follows, and says so."""
    store = MemoryStore()
    await leased(store)
    await archive(store, tmp_path)
    again = MemoryStore()
    await again.fund(ADV, "funds", Micros(7), T0)
    await again.fund(ADV, "other", Micros(8), T0)
    expected = await again.entries(ADV, 0, 10)
    assert await archive(again, tmp_path) == {ADV: 2}
    assert await whole(again, tmp_path) == expected
    assert lost(tmp_path, ADV) == [f"lost-{1:016d}-{2:016d}.jsonl"]


async def test_a_store_that_fell_back_and_did_nothing_since_is_followed(tmp_path: Path) -> None:
    """Its last number is below what is archived: the segments end where it ends."""
    store = MemoryStore()
    lease_id = await leased(store)
    await archive(store, tmp_path, segment_bytes=1)
    ledger = store.ledger(ADV)
    ledger.sequence = 1
    assert await archive(store, tmp_path) == {ADV: 0}
    assert [entry.n for entry in read(folder_of(tmp_path, ADV), 0)] == [1]
    await store.settle(ADV, [settlement(lease_id, 1)], T0)
    assert [entry.n for entry in await whole(store, tmp_path)] == [1, 2]


async def test_an_archiver_that_is_quicker_than_the_reader_hides_nothing(tmp_path: Path) -> None:
    """What was trimmed between reading the segments and reading the store is looked for on the disk again."""

    class Racing(MemoryStore):
        """An archiver runs just before each of the reader's looks into the store, and money moves after."""

        racing = False

        async def entries(self, advertiser: str, after: int, count: int) -> list[Entry]:
            if self.racing:
                self.racing = False
                await archive(self, tmp_path)
                await self.settle(ADV, [settlement(lease_id, 1)], T0)
                self.racing = self.ledger(ADV).sequence < 6
            return await super().entries(advertiser, after, count)

    store = Racing()
    lease_id = await leased(store)
    store.racing = True
    assert [entry.n for entry in await whole(store, tmp_path)] == [1, 2, 3, 4, 5, 6]
