"""How files of events are replaced, and who may: whole or not at all, by one process at a time.

Place: segments.py, parquet.py and whoever rewrites what is recorded.
Shapes: the folder of events holds `segments/`, one folder per kind and `lock`; what is not whole yet ends in PART.
Raises: OSError where the disk refuses.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PART: Final = ".part"
"""Of whatever is not whole yet: nobody reads it, and what a killed process left is deleted."""
_LOCK: Final = "lock"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only process that rewrites what is recorded here; waits for the one before. For threads."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def part_of(path: Path) -> Path:
    """Where a file is written before it takes its name."""
    return path.with_name(f".{path.name}-{secrets.token_hex(4)}{PART}")


def publish(part: Path, path: Path) -> None:
    """Give a file that is whole its name, in place of the one before; it is on the disk then."""
    _sync(part)
    part.rename(path)
    _sync(path.parent)


def replace(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file whole in place of the one before."""
    part = part_of(path)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(chunks)
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
