"""The demo's dealings with a ledger: wallets funded once, budgets exceeded told, the books proven or not."""

from pathlib import Path

import pytest

from benchmarks.demo.ledger import PLAY_MONEY, Ledger, Proof, overspend
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Book
from budget.accounts import WALLET, Level
from budget.entries import Entry
from budget.journal import Archive, archive
from budget.memory_store import MemoryStore
from budget.money import Micros, micros_from_text
from budget.store import Balance, LeaseRequest, Settlement
from tests.corpus import ROOT

SHOP = ROOT / "tests" / "benchmarks" / "data" / "shop.yaml"
NOW_S = 1_795_000_000.0
PATH = (WALLET, "campaign/shoes-all", "line/shoes-open")


@pytest.fixture
def book() -> Book:
    """One shop: campaigns of 100 and of 200 USD."""
    return load_book(SHOP)


async def spend(store: MemoryStore, amount: int, limit: int | None = None) -> None:
    """One impression of the shop's line item."""
    levels = (Level(PATH[0]), Level(PATH[1], Micros(limit) if limit else None), Level(PATH[2]))
    request = LeaseRequest("lease", 1, 1 << 32 | 1, levels, Micros(amount), Micros(amount), 60.0)
    (grant,) = await store.lease("shoes", [request], NOW_S)
    assert grant.granted == amount
    settlement = Settlement(bytes(12), 1 << 32 | 1, Micros(amount), Micros(amount), int(NOW_S) + 30, (*PATH,))
    await store.settle("shoes", [settlement], NOW_S)


async def prove(store: MemoryStore, folder: Path, book: Book) -> Proof:
    """The one shop's."""
    (proof,) = await Ledger(store, folder, book).prove()
    return proof


async def test_a_wallet_gets_what_its_campaigns_may_spend(tmp_path: Path, book: Book) -> None:
    """Once, however often it is asked for."""
    store = MemoryStore(lambda: NOW_S)
    ledger = Ledger(store, tmp_path, book)
    for _ in range(2):
        await ledger.fund()
    assert (await ledger.accounts())["shoes"][WALLET].limit == micros_from_text(300)


async def test_campaigns_without_a_total_get_play_money(tmp_path: Path) -> None:
    """There is no sum to tell."""
    text = SHOP.read_text().replace("budget: {total: 100}", "budget: {daily: 100}")
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    ledger = Ledger(MemoryStore(lambda: NOW_S), tmp_path, load_book(path))
    await ledger.fund()
    assert (await ledger.accounts())["shoes"][WALLET].limit == PLAY_MONEY


async def test_sound_books_are_proven(tmp_path: Path, book: Book) -> None:
    """From the journal, on disk or still in the store."""
    store = MemoryStore(lambda: NOW_S)
    await Ledger(store, tmp_path, book).fund()
    await archive(store, tmp_path)
    await spend(store, 7_000_000)
    proof = await prove(store, tmp_path, book)
    assert (proof.spent, proof.absorbed, proof.findings, proof.entries) == (7_000_000, 0, (), 3)
    assert proof.overspend
    assert not any(proof.overspend.values())


async def test_a_journal_with_a_hole_proves_nothing(tmp_path: Path, book: Book) -> None:
    """What is missing is told."""
    store = MemoryStore(lambda: NOW_S)
    await Ledger(store, tmp_path, book).fund()
    await spend(store, 7_000_000)
    last: list[Entry] = await store.entries("shoes", 0, 10)
    await store.trim("shoes", last[0].n)
    proof = await prove(store, tmp_path, book)
    assert any("missing" in finding for finding in proof.findings)


async def test_a_damaged_segment_proves_nothing(tmp_path: Path, book: Book) -> None:
    """What cannot be read is a finding, not a crash."""
    store = MemoryStore(lambda: NOW_S)
    await Ledger(store, tmp_path, book).fund()
    await spend(store, 7_000_000)
    with_entries = Archive(tmp_path, "shoes")
    with_entries.append(await store.entries("shoes", 0, 10))
    with_entries.close()
    (segment,) = with_entries.folder.glob("0*.jsonl")
    segment.write_bytes(b"nonsense\n" + segment.read_bytes())
    await store.trim("shoes", 3)
    assert (await prove(store, tmp_path, book)).findings


async def test_a_budget_that_the_ledger_did_not_know_is_held_against_it(tmp_path: Path, book: Book) -> None:
    """The campaign file says 100 USD; a ledger that was told nothing lets 120 through, and that is told."""
    store = MemoryStore(lambda: NOW_S)
    await Ledger(store, tmp_path, book).fund()
    await spend(store, 120_000_000)
    over = (await prove(store, tmp_path, book)).overspend
    assert {name: more for name, more in over.items() if more} == {"campaign/shoes-all": 20_000_000}


def test_overspend_of_every_account(book: Book) -> None:
    """Campaigns and line items by their file, the wallet by what was funded; who has no limit has none."""
    accounts = {
        WALLET: Balance(Micros(5), spent=Micros(6)),
        "campaign/shoes-all": Balance(None, spent=Micros(100_000_000)),
        "campaign/shoes-visitors": Balance(None, spent=Micros(200_000_003)),
        "line/shoes-open": Balance(None, spent=Micros(10**12)),
    }
    over = overspend(book.advertisers[0], accounts)
    assert over == {WALLET: 1, "campaign/shoes-all": 0, "campaign/shoes-visitors": 3}
