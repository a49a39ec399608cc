"""Snapshots: what is written is what is found, versions are swapped whole, damaged files are refused."""

from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest

from bidder.catalogue import build
from bidder.catalogue.product import EVERYTHING
from bidder.catalogue.sections import KEPT, ArtifactError, pointer
from bidder.catalogue.snapshot import Catalogue, Catalogues, open_catalogue, write_snapshot
from bidder.keys import category_key, product_key
from bidder.metrics import Tally
from tests.bidder.catalogue.shelf import SHOP, model, product


def key(number: int) -> int:
    return product_key(SHOP, f"p{number}")


def opened(folder: Path) -> Catalogue:
    catalogues = Catalogues(folder)
    catalogues.refresh()
    found = catalogues.of(SHOP)
    assert found is not None
    return found


def test_every_product_is_found_by_its_key_as_the_feed_gave_it(tmp_path: Path) -> None:
    """`find` and `product` give back each product, and -1 for what is not listed."""
    products = [product(number) for number in range(300)]
    write_snapshot(tmp_path, SHOP, products, None)
    catalogue = opened(tmp_path)
    assert catalogue.count == 300
    assert [catalogue.product(catalogue.find(key(number))) for number in range(300)] == products
    assert catalogue.find(key(300)) == -1
    assert catalogue.find(0) == -1
    assert catalogue.find(2**64 - 1) == -1


def test_the_later_of_two_products_with_one_id_counts(tmp_path: Path) -> None:
    """The same id twice is one row with the later contents."""
    write_snapshot(tmp_path, SHOP, [product(1), product(2), product(1, category="Tents")], None)
    catalogue = opened(tmp_path)
    assert catalogue.count == 2
    assert catalogue.product(catalogue.find(key(1))).category == "Tents"


def test_what_is_out_of_stock_is_neither_similar_nor_best(tmp_path: Path) -> None:
    """A product that is not available stays known, but nothing offers it."""
    products = [product(1), product(2, available=False), product(3)]
    write_snapshot(tmp_path, SHOP, products, model({1: [(2, 0.9), (3, 0.5), (77, 0.4)]}))
    catalogue = opened(tmp_path)
    rows, scores = catalogue.similar(catalogue.find(key(1)))
    assert rows.tolist() == [catalogue.find(key(3))]
    assert scores.tolist() == [0.5]
    assert not catalogue.available(catalogue.find(key(2)))
    assert catalogue.find(key(2)) not in catalogue.best(EVERYTHING, 10)


def test_best_of_a_category_and_of_those_above_it(tmp_path: Path) -> None:
    """Most viewed first, then in the feed's order; a category holds all that lies below it."""
    products = [product(1), product(2), product(3, category="Boots"), product(4, category="Tents > Light")]
    write_snapshot(tmp_path, SHOP, products, model({}, {2: 9, 4: 20}))
    catalogue = opened(tmp_path)

    def best(name: str, count: int = 20) -> list[str]:
        return [catalogue.product(row).id for row in catalogue.best(category_key(SHOP, name), count)]

    assert best("boots >  TRAIL") == ["p2", "p1"]
    assert best("Boots") == ["p2", "p1", "p3"]
    assert best("") == ["p4", "p2", "p1", "p3"]
    assert best("", 2) == ["p4", "p2"]
    assert best("Lamps") == []
    assert catalogue.category(catalogue.find(key(3))) == category_key(SHOP, "Boots")


def test_a_category_keeps_no_more_than_the_best(tmp_path: Path) -> None:
    """Each list holds BEST rows at most."""
    write_snapshot(tmp_path, SHOP, [product(number) for number in range(build.BEST + 30)], None)
    assert len(opened(tmp_path).best(EVERYTHING, 10_000)) == build.BEST


def test_vectors_are_those_of_the_model(tmp_path: Path) -> None:
    """A product that training saw has its vector, another has none, and neither has any without a model."""
    write_snapshot(tmp_path, SHOP, [product(1), product(2)], model({1: []}))
    catalogue = opened(tmp_path)
    vector = catalogue.vector(catalogue.find(key(1)))
    assert vector is not None
    assert np.flatnonzero(vector).tolist() == [1]
    assert catalogue.vector(catalogue.find(key(2))) is None
    write_snapshot(tmp_path, SHOP, [product(1)], None)
    assert opened(tmp_path).vector(0) is None


def test_the_same_contents_are_the_same_version(tmp_path: Path) -> None:
    """Nothing is swapped where nothing has changed, whenever it was written."""
    first = write_snapshot(tmp_path, SHOP, [product(1)], None, 1)
    catalogues = Catalogues(tmp_path)
    assert catalogues.refresh()
    assert write_snapshot(tmp_path, SHOP, [product(1)], None, 2) == first
    assert not catalogues.refresh()


def test_a_new_version_is_taken_over_and_the_old_one_goes_on(tmp_path: Path) -> None:
    """Whoever holds a catalogue can read on in it after the swap and after its file is gone."""
    catalogues = Catalogues(tmp_path)
    write_snapshot(tmp_path, SHOP, [product(1)], None)
    catalogues.refresh()
    held = catalogues.of(SHOP)
    for number in range(2, 6):
        write_snapshot(tmp_path, SHOP, [product(number)], None)
    assert catalogues.refresh()
    assert held is not None
    assert held.product(0).id == "p1"
    assert catalogues.of(SHOP) is not held
    assert len(list((tmp_path / SHOP).glob("*.bin"))) == KEPT


def test_it_is_told_when_what_is_in_use_was_published(tmp_path: Path) -> None:
    """Of a damaged version nothing is: the last good one is still in use. Of a catalogue that went, nothing either."""
    tally = Tally()
    catalogues = Catalogues(tmp_path, tally)
    loaded = tally.slot("paceline_catalogue_loaded_timestamp_seconds", SHOP)
    write_snapshot(tmp_path, SHOP, [product(1)], None, 1_000)
    catalogues.refresh()
    assert tally.cells[loaded] == 1_000
    version = write_snapshot(tmp_path, SHOP, [product(2)], None, 2_000)
    (tmp_path / SHOP / f"{version}.bin").write_bytes(b"no")
    catalogues.refresh()
    assert tally.cells[loaded] == 1_000
    rmtree(tmp_path / SHOP)
    catalogues.refresh()
    assert tally.cells[loaded] == 0


def test_an_advertiser_without_a_folder_has_no_catalogue(tmp_path: Path) -> None:
    """What is not there is None, and what was removed goes."""
    catalogues = Catalogues(tmp_path / "none")
    assert not catalogues.refresh()
    assert catalogues.of(SHOP) is None


@pytest.mark.parametrize("place", [0, 20, 60, 700, -1])
def test_a_damaged_file_is_refused_and_the_last_good_one_stays(tmp_path: Path, place: int) -> None:
    """One changed byte anywhere is found."""
    write_snapshot(tmp_path, SHOP, [product(1)], None)
    tally = Tally()
    catalogues = Catalogues(tmp_path, tally)
    catalogues.refresh()
    version = write_snapshot(tmp_path, SHOP, [product(2)], None)
    file = tmp_path / SHOP / f"{version}.bin"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    assert not catalogues.refresh()
    found = catalogues.of(SHOP)
    assert found is not None
    assert found.product(0).id == "p1"
    assert not catalogues.refresh()
    assert catalogues.refusals == 1
    assert tally.cells[tally.slot("paceline_catalogue_refusals_total")] == 1
    write_snapshot(tmp_path, SHOP, [product(2)], None, 9)
    assert catalogues.refresh(), "written again, it is whole"


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    """A file cut short anywhere raises ArtifactError."""
    version = write_snapshot(tmp_path, SHOP, [product(1)], None)
    file = tmp_path / SHOP / f"{version}.bin"
    data = file.read_bytes()
    for length in (0, 5, 39, 50, 300, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(ArtifactError):
            open_catalogue(tmp_path / SHOP, SHOP, version)


def test_another_advertisers_file_is_refused(tmp_path: Path) -> None:
    """A snapshot in the wrong folder is not taken over."""
    write_snapshot(tmp_path, SHOP, [product(1)], None)
    (tmp_path / SHOP).rename(tmp_path / "voltaro")
    catalogues = Catalogues(tmp_path)
    assert not catalogues.refresh()
    assert catalogues.of("voltaro") is None


def test_a_pointer_leads_nowhere_else(tmp_path: Path) -> None:
    """A damaged pointer, or one with a path in it, is no pointer."""
    (tmp_path / "current").write_text('{"version": "../../etc/passwd", "written_s": 1}')
    assert pointer(tmp_path) is None
    (tmp_path / "current").write_text("{")
    assert pointer(tmp_path) is None


def test_an_empty_catalogue_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither nothing nor more than MAX_PRODUCTS becomes a snapshot."""
    monkeypatch.setattr(build, "MAX_PRODUCTS", 2)
    for products in ([], [product(1), product(2), product(3)]):
        with pytest.raises(ValueError, match="a catalogue holds"):
            write_snapshot(tmp_path, SHOP, products, None)
