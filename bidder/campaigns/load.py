"""Campaign files to a Book, whole or not at all.

Place: the service at start and whenever a file changes; `paceline campaigns check`.
Shapes: one YAML file, or a folder of *.yaml and *.yml that are merged in the order of their names.
Limits: MAX_FILES, MAX_BOOK_BYTES; document.py has those of one file.
Raises: CampaignError with every problem located; nothing else.
"""

from pathlib import Path

from msgspec import Struct

from bidder.campaigns.document import read
from bidder.campaigns.feeds import FeedPath
from bidder.campaigns.located import LocatedError, Problem, Problems
from bidder.campaigns.model import Advertiser, Book, Categories, Frequency, ItemFrequency, Terms
from bidder.campaigns.rates import Rates
from bidder.campaigns.references import References
from bidder.campaigns.rules import rules
from bidder.campaigns.structs import Filler

MAX_FILES = 2_000  # one per advertiser is usual
MAX_BOOK_BYTES = 512 * 1024 * 1024  # some 250,000 line items

_SHORT: dict[type, str] = {
    Terms: "include",
    Categories: "include",
    Frequency: "caps",
    ItemFrequency: "caps",
}


class CampaignError(LocatedError):
    """The campaigns cannot be used."""


class Loaded(Struct, frozen=True):
    """A book, and what works in it and is probably not meant."""

    book: Book
    advice: tuple[Problem, ...] = ()
    feeds: tuple[FeedPath, ...] = ()
    """The product feeds that are files."""


def load_book(path: Path, rates: Rates | None = None) -> Book:
    """The campaigns of a file or folder; with rates, every currency must be known to them."""
    return load(path, rates).book


def load(path: Path, rates: Rates | None = None, told_as: Path | None = None) -> Loaded:
    """The same, with the advice; `told_as` is what a person calls the path, where that is another."""
    problems = Problems()
    references = References(problems)
    named = rules(rates)
    advertisers: list[Advertiser] = []
    for file in book_files(path, problems, told_as or path):
        root = read(file, problems)
        if root is not None:
            book = Filler(file.name, problems, named, _SHORT).struct(Book, root, ())
            references.take(file.name, root)
            advertisers += book.advertisers if book else ()
    if problems.count:
        raise CampaignError(problems.listed())
    return Loaded(Book(advertisers=tuple(advertisers)), tuple(problems.advised()), tuple(references.feeds))


def book_files(path: Path, problems: Problems, told_as: Path) -> list[Path]:
    """The files that make up a book, by name; none, with the problem noted, where they cannot be read."""
    name = str(told_as)
    try:
        files = campaign_files(path)
        size = sum(file.stat().st_size for file in files)
    except OSError as error:
        problems.add(name, 0, "", f"cannot be read: {error.strerror or error}")
        return []
    if not files:
        problems.add(name, 0, "", "no *.yaml file is in this folder")
    elif len(files) > MAX_FILES or size > MAX_BOOK_BYTES:
        limits = f"{MAX_FILES:,} files and {MAX_BOOK_BYTES // 1024 // 1024} MiB"
        problems.add(name, 0, "", f"a book holds at most {limits}")
        return []
    return files


def campaign_files(path: Path) -> list[Path]:
    """The file itself, or a folder's YAML files by name, hidden ones left out; raises OSError."""
    if not path.is_dir():
        return [path]
    return sorted(
        (
            file
            for file in path.iterdir()
            if file.suffix in (".yaml", ".yml") and not file.name.startswith(".") and file.is_file()
        ),
        key=lambda file: file.name,
    )
