"""Files and folders to a Book, whole or not at all: round trips, several files, limits, anything at all as input."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.campaigns import load as loading
from bidder.campaigns.document import MAX_FILE_BYTES
from bidder.campaigns.index import Index
from bidder.campaigns.load import MAX_BOOK_BYTES, MAX_FILES, CampaignError, load, load_book
from bidder.campaigns.model import Book
from bidder.campaigns.rates import load_rates
from tests.bidder.campaigns.generated import books, written_out
from tests.bidder.campaigns.written import RICH, change, told, write

_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def shop(name: str, line_item: str = "viewers") -> str:
    """BOOK under another name."""
    text = change("id: shop", f"id: {name}", change("id: spring", f"id: {name}-spring"))
    return change("id: viewers", f"id: {line_item}", text)


@settings(_ONE_FOLDER, max_examples=40)
@given(book=books(), flow=st.sampled_from([None, True, False]), width=st.sampled_from([20, 80, 10_000]))
def test_round_trip(book: Book, flow: bool | None, width: int, tmp_path: Path) -> None:
    """Any book written as YAML, in any layout, loads as the same book."""
    text = yaml.safe_dump(written_out(book), default_flow_style=flow, width=width, allow_unicode=True)
    loaded = load_book(write(tmp_path, text))
    assert loaded == book


def test_amounts_are_exact(tmp_path: Path) -> None:
    """An amount is what was written, quoted or not; no float comes between."""
    for written in ("0.1", '"0.1"', "0.10", "+0.1", "1.0e-1"):
        book = load_book(write(tmp_path, change("value: 2.5", f"value: {written}")))
        assert book.advertisers[0].campaigns[0].line_items[0].goal.value * 10 == 1


def test_a_short_list_is_include(tmp_path: Path) -> None:
    """A plain list means what `include` means."""
    short = load_book(write(tmp_path, change("targeting: {}", "targeting: {os: [ios], categories: [IAB1]}")))
    long = change("targeting: {}", "targeting: {os: {include: [ios]}, categories: {include: [IAB1]}}")
    assert short == load_book(write(tmp_path, long))


def test_null_is_absent_only_where_a_field_may_be(tmp_path: Path) -> None:
    """`daily:` without a value is no daily budget; a name without one is missing."""
    assert (
        load_book(write(tmp_path, change("daily: 10", "daily: "))).advertisers[0].campaigns[0].budget.daily
        is None
    )
    assert len(told(write(tmp_path, change("name: Shop", "name: ")))) == 1


def test_a_book_of_nothing(tmp_path: Path) -> None:
    """An empty list of advertisers is a book; an empty file is none."""
    assert load_book(write(tmp_path, "advertisers: []")) == Book()
    assert told(write(tmp_path, "{}")) == ["book.yaml:1: advertisers: is missing"]


def test_a_folder_is_merged_by_name(tmp_path: Path) -> None:
    """*.yaml and *.yml of a folder make one book in the order of their names; nothing else in it is looked at."""
    write(tmp_path, shop("second", "l2"), "b.yml")
    write(tmp_path, shop("first", "l1"), "a.yaml")
    write(tmp_path, "]", ".hidden.yaml")
    write(tmp_path, "]", "notes.txt")
    write(tmp_path, "]", "old.yaml.bak")
    (tmp_path / "c.yaml").mkdir()
    write(tmp_path / "c.yaml", "]", "deeper.yaml")
    assert [advertiser.id for advertiser in load_book(tmp_path).advertisers] == ["first", "second"]


def test_problems_of_all_files(tmp_path: Path) -> None:
    """Every file of a folder is looked at, and each problem names its file; ids are taken across files."""
    write(tmp_path, shop("one"), "a.yaml")
    write(tmp_path, shop("two"), "b.yaml")
    write(tmp_path, "advertisers: [", "c.yaml")
    write(tmp_path, shop("one", "other").replace("w: 300", "w: -1"), "d.yaml")
    assert told(tmp_path) == [
        'b.yaml:18: advertisers[0].campaigns[0].line_items[0].id: "viewers" is taken: a.yaml:18 has it',
        "c.yaml:2: not YAML: did not find expected node content",
        'd.yaml:2: advertisers[0].id: "one" is taken: a.yaml:2 has it',
        "d.yaml:9: advertisers[0].creatives[0].w: expected a whole number from 1 to 10,000, found -1",
        'd.yaml:14: advertisers[0].campaigns[0].id: "one-spring" is taken: a.yaml:14 has it',
    ]


def test_shops_do_not_share_creatives(tmp_path: Path) -> None:
    """Two shops may call a creative the same; a line item uses its own shop's only."""
    write(tmp_path, shop("one", "l1"), "a.yaml")
    write(tmp_path, shop("two", "l2"), "b.yaml")
    assert told(tmp_path) == []
    write(tmp_path, shop("two", "l2").replace("- id: banner", "- id: own"), "b.yaml")
    assert told(tmp_path) == [
        "b.yaml:21: advertisers[0].campaigns[0].line_items[0].creatives[0]: "
        'the advertiser has no creative "banner"'
    ]


def test_what_is_no_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, an absent file, and a folder named by a dot: each is told by a name."""
    assert told(tmp_path) == [f"{tmp_path}: no *.yaml file is in this folder"]
    assert told(tmp_path / "none.yaml") == [
        f"{tmp_path}/none.yaml: cannot be read: No such file or directory"
    ]
    monkeypatch.chdir(tmp_path)
    assert told(Path()) == [".: no *.yaml file is in this folder"]


def test_files_at_their_edge(tmp_path: Path) -> None:
    """MAX_FILES are read, one more is refused before any is."""
    for number in range(MAX_FILES):
        write(tmp_path, "advertisers: []", f"{number}.yaml")
    assert told(tmp_path) == []
    write(tmp_path, "]", "more.yaml")
    assert told(tmp_path) == [f"{tmp_path}: a book holds at most 2,000 files and 512 MiB"]


def test_bytes_of_a_book_at_their_edge(tmp_path: Path) -> None:
    """MAX_BOOK_BYTES in all are read, one byte more is refused before any is."""
    count = MAX_BOOK_BYTES // MAX_FILE_BYTES
    for number in range(count):
        with (tmp_path / f"{number}.yaml").open("wb") as file:
            file.truncate(MAX_FILE_BYTES)
    with patch.object(loading, "read", return_value=None) as read:
        load(tmp_path)
        assert read.call_count == count
        write(tmp_path, "#", "more.yaml")
        assert told(tmp_path) == [f"{tmp_path}: a book holds at most 2,000 files and 512 MiB"]
        assert read.call_count == count


def test_every_file_name_is_told(tmp_path: Path) -> None:
    """A name that is no text is shown escaped."""
    odd = tmp_path / "\udcff.yaml"
    try:
        odd.write_text("]")
    except OSError:
        pytest.skip("this file system takes names of UTF-8 alone")
    (line,) = told(tmp_path)
    assert line.startswith("\\udcff.yaml:1: not YAML: ")


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with each of its keys."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from places(tree[key])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates()
    | st.sampled_from(("shop", "banner", "viewers", "NaN", "sNaN", "-Infinity", "1e999999", "IAB1", "mon-fri 08-20")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@_ONE_FOLDER
@given(seed=st.integers(0, 2**32), values=st.lists(VALUES, min_size=1, max_size=5))
def test_mutated_trees(seed: int, values: list[Any], tmp_path: Path) -> None:
    """A real book with values replaced, dropped, doubled or renamed: a book that compiles, or a CampaignError whose
    lines are all in the file."""
    rng = random.Random(seed)
    tree = yaml.safe_load(RICH)
    for value in values:
        found = list(places(tree))
        if not found:
            break  # everything was dropped
        holder, key = rng.choice(found)
        change = rng.choice(("replace", "drop", "double", "rename"))
        if change == "replace":
            holder[key] = value
        elif change == "drop":
            del holder[key]
        elif isinstance(holder, list):
            holder.append(holder[key])
        else:
            holder[str(value)[:20] if change == "rename" else rng.choice(list(holder))] = holder[key]
    text = yaml.safe_dump(tree, allow_unicode=True)
    checked(write(tmp_path, text), len(text.splitlines()))


@_ONE_FOLDER
@given(seed=st.integers(0, 2**32), count=st.integers(1, 8))
def test_mutated_bytes(seed: int, count: int, tmp_path: Path) -> None:
    """A real file with some bytes changed: the same."""
    rng = random.Random(seed)
    data = bytearray(RICH.encode())
    for _ in range(count):
        place = rng.randrange(len(data))
        data[place : place + rng.choice((0, 1, 9))] = rng.choice(
            (b"", rng.randbytes(1), b"-", b"1", b"N", b"\n", b" ")
        )
    checked(write(tmp_path, bytes(data)), len(data.splitlines()))


def checked(file: Path, lines: int) -> None:
    """Load it: what loads compiles too."""
    rates = load_rates()
    try:
        book = load_book(file, rates)
    except CampaignError as error:
        problems = error.problems
    else:
        Index(book, rates)
        return
    assert problems
    assert all(problem.file == "book.yaml" and problem.line <= lines + 1 for problem in problems)
