"""How much disk what is recorded takes, and what is still recorded where it is too much.

Place: the recorder of each worker looks, from its thread.
Rule: anybody can send a shop's pixels without a person, and an advertiser pays for what its people do and see: so the
    former stop at NOBODYS_SHARE of the bound, and the rest at the bound.
Limits: LOOK_S between two looks (30,000 files: 0.1 s): so much may still be written beyond the bound.
"""

import os
from enum import IntEnum
from pathlib import Path
from typing import Final

LOOK_S: Final = 30.0
NOBODYS_SHARE: Final = 0.8


class Room(IntEnum):
    """What the disk has room for."""

    ALL = 0
    PEOPLES = 1
    """Not for a shop's events of nobody."""
    NONE = 2


def room_in(folder: Path, max_bytes: int) -> Room:
    """What a folder of events has room for, by the size of all its files."""
    size = size_of(folder)
    if size >= max_bytes:
        return Room.NONE
    return Room.PEOPLES if size >= max_bytes * NOBODYS_SHARE else Room.ALL


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; what goes meanwhile counts as nothing."""
    found, folders = 0, [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        found += _bytes(entry)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return found


def _bytes(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
