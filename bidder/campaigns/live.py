"""The live campaigns on disk: have they changed, and putting others in their place.

Place: the service compares fingerprints; `paceline campaigns apply` replaces; beside.py moves what lies with them.
Shapes: the previous file or folder stays beside the live one, its name ending in `.bak`; killed on the way, the
    live one is the old or the new, and a backup that was there is still there. The feed files that the campaigns name
    come along; whatever else lies in the live folder stays in it.
Raises: CampaignError where the new campaigns are not fit, OSError where the disk is not; the live ones then
    stay as they were.
Limits: a file is replaced in one step. So is a folder where the file system can exchange two names (Linux);
    elsewhere it is absent for the moment between two renames, which the service takes for a bad file: it
    keeps what it has.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bidder.campaigns.beside import copy_file, keep_others, publish_feeds, stage_feeds, sync_folder
from bidder.campaigns.feeds import faults, feeds_folder
from bidder.campaigns.load import CampaignError, Loaded, campaign_files, load
from bidder.campaigns.rates import Rates

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def fingerprint(path: Path) -> str:
    """Changes when a campaign file is added, removed, replaced or written to; names, sizes and times only.

    "" where the path is absent or cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        for file in campaign_files(path):
            stat = file.stat()
            facts = f"\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}\n"
            digest.update(os.fsencode(file.name) + facts.encode())
    except OSError:
        return ""
    return digest.hexdigest()


def apply(source: Path, target: Path, rates: Rates | None = None, configured_feeds: str = "") -> Loaded:
    """Check `source`, then put a copy of it where `target` is; a file goes into the place of a file, a folder
    into that of a folder. Feed files come along, unless they are meant from a configured folder, where they must be."""
    target = target.resolve()
    if target.exists() and target.is_dir() != source.is_dir():
        kinds = ("a folder", "a file") if source.is_dir() else ("a file", "a folder")
        raise OSError(f"{source.name} is {kinds[0]}, {target.name} is {kinds[1]}: both must be of one kind")
    room = target.with_name(f".{target.name}.new")
    staged = room / source.resolve().name  # problems name the file as the advertiser knows it
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.parent):
        _remove(room)
        try:
            room.mkdir()
            _copy(source, staged)
            loaded = load(staged, rates, source)
            if not configured_feeds:
                _bring_feeds(source, staged, target, loaded)
            elif wrong := faults(loaded.feeds, Path(configured_feeds)):
                raise CampaignError(wrong)
            _swap(staged, target)
        finally:
            _remove(room)
    return loaded


def _bring_feeds(source: Path, staged: Path, target: Path, loaded: Loaded) -> None:
    """Feeds of a folder are swapped with it; those of a file go to their places beside the live one."""
    beside = feeds_folder(source)
    if source.is_dir():
        stage_feeds(loaded.feeds, beside, target, staged)
        return
    feeds = staged.parent / ".feeds"
    feeds.mkdir()
    stage_feeds(loaded.feeds, beside, target.parent, feeds)
    publish_feeds(feeds, target.parent)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else applies in this folder meanwhile; the lock ends with the process, however it ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"campaigns are being applied in {folder} right now") from None
        yield
    finally:
        os.close(descriptor)


def _copy(source: Path, staged: Path) -> None:
    """Copy the campaign files alone, and have them on the disk."""
    if source.is_dir():
        staged.mkdir()
        for file in campaign_files(source):
            copy_file(file, staged / file.name)
        sync_folder(staged)
        return
    copy_file(source, staged)


def _swap(staged: Path, target: Path) -> None:
    backup = target.with_name(target.name + ".bak")
    if not target.exists():
        staged.rename(target)
    elif target.is_dir():
        _swap_folder(staged, target, backup)
    else:
        if backup.is_dir():  # what was live before was a folder
            _remove(backup)
        kept = staged.with_name(staged.name + ".bak")
        os.link(target, kept)
        kept.replace(backup)
        staged.replace(target)
    sync_folder(target.parent)


def _swap_folder(staged: Path, target: Path, backup: Path) -> None:
    keep_others(target, staged, campaign_files(target))
    if _exchange(staged, target):
        if not _exchange(staged, backup):  # no backup yet
            staged.rename(backup)
        keep_others(backup, target, campaign_files(backup))  # what came while we were at it
        return
    _remove(backup)
    target.rename(backup)
    try:
        staged.rename(target)
    except OSError:
        backup.rename(target)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
