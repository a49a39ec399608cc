"""The data directory: one supervisor each, and what it leaves there for others to find.

Place: service.py takes the folder before anything else.
Shapes: `lock` (whose process), `run/worker-<slot>.tally` (counters; `.b.tally` those of a second process of the slot),
    `run/ports.json` (what was bound), `redis.url`, `ledger.url` (of the embedded servers, for their owner alone),
    `redis/`, `ledger/` (their data), `spool/` (notices accepted and not yet charged), `journal/` (of the ledger),
    `events/` (what was recorded), `token.keys`: these outlive every run.
Raises: FolderTaken, one line for an operator.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

_SECOND: Final = ".b"


class FolderTaken(Exception):
    """The data directory cannot be used; `str()` says which and why."""


class Ports(Struct, frozen=True):
    """`run/ports.json`: where the service listens."""

    pid: int
    exchange: int
    public: int
    ops: int


class Folder:
    """The paths in a data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run"
        self.ports = self.run / "ports.json"
        self.redis_url = path / "redis.url"
        self.redis = path / "redis"
        self.ledger_url = path / "ledger.url"
        self.ledger = path / "ledger"
        self.spool = path / "spool"
        self.journal = path / "journal"

    def tally(self, slot: int) -> Path:
        """The counters of one worker."""
        return self.run / f"worker-{slot}.tally"

    def helper_tally(self, name: str) -> Path:
        """The counters of the bookkeeper or the caretaker."""
        return self.run / f"{name}.tally"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the folder; counters of an earlier run begin anew. Raises FolderTaken."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for inside in (self.run, self.spool):
                inside.mkdir(exist_ok=True, mode=0o700)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise FolderTaken(f"the data directory {self.path} cannot be used: {error.strerror}") from None
        try:
            self._lock(descriptor)
            for old in (*self.run.glob("*.tally"), *self._told()):
                old.unlink(missing_ok=True)
            try:
                yield
            finally:
                for told in self._told():
                    told.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def journal_dir(self, configured: str) -> Path:
        """The folder of the ledger's journal, made where it is not there yet; raises FolderTaken."""
        path = Path(configured).absolute() if configured else self.journal
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise FolderTaken(f"the journal's folder {path} cannot be used: {error.strerror}") from None
        return path

    def _told(self) -> tuple[Path, ...]:
        """What speaks of a run and ends with it."""
        return self.ports, self.redis_url, self.ledger_url

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            raise FolderTaken(
                f"the data directory {self.path} is in use by another paceline serve (process {holder})"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def holder_of(path: Path) -> int | None:
    """The process that serves from a data directory; None where none does, or it is not ours to look at."""
    try:
        descriptor = os.open(path / "lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        told = os.read(descriptor, 20).decode("ascii", "replace").strip()
        return int(told) if told.isdecimal() else 0
    finally:
        os.close(descriptor)
    return None


def read_ports(folder: Folder) -> Ports | None:
    """Where the service that has the folder listens; None where it does not yet."""
    try:
        return msgspec.json.decode(folder.ports.read_bytes(), type=Ports)
    except (OSError, msgspec.MsgspecError):
        return None


def second_tally(tally: Path) -> Path:
    """The other one of the two files in which the processes of a slot count."""
    stem = tally.name.removesuffix(".tally")
    other = stem.removesuffix(_SECOND) if stem.endswith(_SECOND) else stem + _SECOND
    return tally.with_name(f"{other}.tally")


def write_private(path: Path, text: str) -> None:
    """Write a file whole, readable by its owner alone."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.rename(path)


def write_ports(folder: Folder, ports: Ports) -> None:
    """Tell where the service listens."""
    write_private(folder.ports, msgspec.json.encode(ports).decode() + "\n")
