"""What lies beside campaign files when they go live: feed files that they name, and files that are others' business.

Place: live.py.
Shapes: a feed keeps its path from the campaign files' folder. One that the new campaigns do not bring along, and that
    is in its live place already, stays there.
Raises: CampaignError where a feed that is named is in neither place, OSError where the disk refuses.
Never: overwrites the only copy of anything: a feed that is replaced stays as `.bak`, or in the folder's backup.
"""

import filecmp
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from bidder.campaigns.feeds import FeedPath, fault
from bidder.campaigns.load import CampaignError


def stage_feeds(feeds: Iterable[FeedPath], source: Path, live: Path, staged: Path) -> None:
    """Copy feeds from beside the source into `staged`; CampaignError, located, where one is neither there nor live."""
    wrong = []
    for feed in feeds:
        path = Path(feed.location)
        found = fault(feed.location, source)
        into = staged / path
        if path.is_absolute() or found:
            if fault(feed.location, live):
                wrong.append(feed.problem(found or f"{path} lies outside of the live campaigns' folder"))
        elif ".." in path.parts:
            wrong.append(feed.problem(f'{path} must be written without ".."'))
        elif not into.exists():  # two may share one
            into.parent.mkdir(parents=True, exist_ok=True)
            copy_file(source / path, into)
            sync_folder(into.parent)
    if wrong:
        raise CampaignError(wrong)


def publish_feeds(staged: Path, home: Path) -> None:
    """Put staged feeds in their places under a folder, each in one step; what differs there stays as `.bak`."""
    for file in sorted(path for path in staged.rglob("*") if path.is_file()):
        place = home / file.relative_to(staged)
        if place.is_file() and filecmp.cmp(file, place, shallow=False):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(place):
            kept = file.with_name(file.name + ".kept")
            link_or_copy(place, kept)
            kept.replace(place.with_name(place.name + ".bak"))
        file.replace(place)
        sync_folder(place.parent)


def keep_others(old: Path, new: Path, without: Iterable[Path] = ()) -> None:
    """Give a new folder what the old one has and it has not, `without` some files; both hold the same files then."""
    left_out = {path.name for path in without}
    for path in old.iterdir():
        into = new / path.name
        if path.name in left_out:
            continue
        if path.is_dir() and not path.is_symlink():
            if not into.is_dir():
                into.mkdir()
                shutil.copystat(path, into)
            keep_others(path, into)
        elif into.is_dir():
            raise OSError(f"{path.name} is a folder in the new campaigns, and in the live ones it is none")
        elif not os.path.lexists(into):
            link_or_copy(path, into)


def link_or_copy(path: Path, into: Path) -> None:
    """The same file under a second name; a copy where the system does not link it. A link stays one."""
    try:
        os.link(path, into, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, into, follow_symlinks=False)


def copy_file(source: Path, into: Path) -> None:
    """Copy what is in a file, and have it on the disk."""
    with source.open("rb") as reader, into.open("wb") as writer:
        shutil.copyfileobj(reader, writer)
        writer.flush()
        os.fsync(writer.fileno())


def sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
