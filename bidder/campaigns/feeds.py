"""Product feeds that campaign files name by a path: where they stand, and whether the files are there.

Place: references.py notes them; `campaigns apply` copies the files; `campaigns check` and `check` tell what is absent.
Rule: a path is meant from the campaign files' folder, or the configured one, and must stay in it.
"""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from bidder.campaigns.located import Problem


class FeedPath(Struct, frozen=True):
    """A feed's location that is no address, and its place in the campaign files."""

    location: str
    file: str
    line: int
    field: str

    def problem(self, message: str) -> Problem:
        """Something that is said of it."""
        return Problem(self.file, self.line, self.field, message)


def feeds_folder(campaigns: Path, configured: str = "") -> Path:
    """What paths of feeds are meant from: the configured folder, else a campaign file's or a folder of them."""
    if configured:
        return Path(configured)
    return campaigns if campaigns.is_dir() else campaigns.parent


def fault(location: str, home: Path) -> str:
    """Why the feed of a path cannot be read; empty: its file is there."""
    path = home / location
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(home.resolve()):
            return f"{path} lies outside of the folder that feeds are meant from"
        return "" if real.is_file() else f"{path} is not a file"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    except (RuntimeError, ValueError) as error:  # links in a circle; a name that no file can have
        return f"{path} cannot be read: {error}"


def faults(feeds: Iterable[FeedPath], home: Path) -> list[Problem]:
    """The feeds that cannot be read, located."""
    return [feed.problem(words) for feed in feeds if (words := fault(feed.location, home))]
