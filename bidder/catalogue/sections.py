"""Arrays in one checksummed file that every worker maps: the form of catalogue snapshots and of models.

Place: snapshot.py and similar.py write and open their arrays through it.
Shapes: magic, BLAKE2b-256 of all that follows, length of the head, the head as JSON (kind, facts, sections), then
    each section at a multiple of ALIGNMENT, little-endian. A folder holds immutable files `<version>.bin` and
    `current`, which names one; a version is the first half of its file's digest, so that the same contents are the
    same version.
Limits: MAX_HEAD_BYTES; KEPT versions stay, so that a worker that just read `current` still finds its file.
Raises: ArtifactError where a file is damaged, of another kind or of another form; OSError where the disk is not fit.
"""

import contextlib
import hashlib
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[Any]

MAX_HEAD_BYTES: Final = 1 << 20
ALIGNMENT: Final = 64
KEPT: Final = 2

_MAGIC: Final = b"PACEARR1"
_DIGEST_BYTES: Final = 32
_HEAD_AT: Final = len(_MAGIC) + _DIGEST_BYTES
_DTYPES: Final = frozenset({"<u8", "<u4", "|u1", "<i4", "<f4", "<f2"})
_CHUNK: Final = 4 << 20
_POINTER: Final = "current"


class ArtifactError(Exception):
    """A file cannot be used; `str()` says why."""


class Facts(Struct, frozen=True, forbid_unknown_fields=True):
    """What a file says of itself."""

    advertiser: str
    count: int
    """Products."""
    model: str = ""
    """The version of the model that a snapshot was built with."""
    sessions: int = 0
    """Those that a model was trained from."""


class Pointer(Struct, frozen=True):
    """What `current` holds."""

    version: str
    written_s: int
    """Seconds since the epoch."""


class _Section(Struct, frozen=True, array_like=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    at: int
    """From the end of the head, rounded up to ALIGNMENT."""


class _Head(Struct, frozen=True):
    kind: str
    facts: Facts
    sections: tuple[_Section, ...]


class Opened(Struct, frozen=True):
    """A file whose checksum was right; the arrays are mapped and read-only, and keep the file open."""

    version: str
    facts: Facts
    arrays: dict[str, Array]


def publish(folder: Path, kind: str, facts: Facts, arrays: Mapping[str, Array], now_s: int) -> str:
    """Write a version and make it the current one, in one step; the version, which is the old one where nothing has
    changed."""
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f".{os.getpid()}.part"
    try:
        with staged.open("wb") as file:
            version = _write(file, kind, facts, arrays)
        before = pointer(folder)
        target = folder / f"{version}.bin"
        staged.replace(target)
        _point(folder, Pointer(version, now_s))
    finally:
        staged.unlink(missing_ok=True)
    _forget(folder, {version, before.version if before else version})
    return version


def pointer(folder: Path) -> Pointer | None:
    """Which version is the current one; None where there is none or its name is damaged."""
    try:
        found = msgspec.json.decode((folder / _POINTER).read_bytes(), type=Pointer)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.version.isalnum() and len(found.version) == _DIGEST_BYTES else None


def trace(folder: Path) -> tuple[int, int]:
    """Changes whenever `current` does, for a hundredth of the cost of reading it; (0, 0) where there is none."""
    try:
        stat = os.stat(folder / _POINTER)
    except OSError:
        return 0, 0
    return stat.st_ino, stat.st_mtime_ns


def open_version(folder: Path, kind: str, version: str) -> Opened:
    """Check and map one version; reads the whole file once, which takes some seconds per GB: not for an event loop."""
    with (folder / f"{version}.bin").open("rb") as file:
        digest = _checked(file)
        if digest[: len(version)] != version:
            raise ArtifactError(f"{version}.bin holds {digest[: len(version)]}")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _opened(mapped, kind, version)


def _write(file: BinaryIO, kind: str, facts: Facts, arrays: Mapping[str, Array]) -> str:
    sections, at = [], 0
    for name, array in arrays.items():
        assert array.dtype.str in _DTYPES, f"{name} is {array.dtype}"
        sections.append(_Section(name, array.dtype.str, array.shape, at))
        at += _aligned(array.nbytes)
    head = msgspec.json.encode(_Head(kind, facts, tuple(sections)))
    assert len(head) <= MAX_HEAD_BYTES
    file.write(_MAGIC + bytes(_DIGEST_BYTES))
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def put(data: Any) -> None:
        digest.update(data)
        file.write(data)

    put(len(head).to_bytes(4, "little") + head)
    put(bytes(_aligned(file.tell()) - file.tell()))
    for array in arrays.values():
        put(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        put(bytes(_aligned(array.nbytes) - array.nbytes))
    file.seek(len(_MAGIC))
    file.write(digest.digest())
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()[:_DIGEST_BYTES]


def _checked(file: BinaryIO) -> str:
    """The digest of a file that is what it was written as."""
    start = file.read(_HEAD_AT)
    if start[: len(_MAGIC)] != _MAGIC or len(start) != _HEAD_AT:
        raise ArtifactError("not a file of this form")
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    if digest.digest() != start[len(_MAGIC) :]:
        raise ArtifactError("damaged: the checksum differs")
    return digest.hexdigest()


def _opened(mapped: mmap.mmap, kind: str, version: str) -> Opened:
    length = int.from_bytes(mapped[_HEAD_AT : _HEAD_AT + 4], "little")
    begin = _HEAD_AT + 4
    if length > MAX_HEAD_BYTES:
        raise ArtifactError("its head is too long")
    try:
        head = msgspec.json.decode(mapped[begin : begin + length], type=_Head)
        if head.kind != kind:
            raise ArtifactError(f"a {head.kind}, not a {kind}")
        body = _aligned(begin + length)
        arrays = {section.name: _array(mapped, section, body) for section in head.sections}
    except (msgspec.MsgspecError, ValueError) as error:
        raise ArtifactError(f"its head cannot be read: {error}") from None
    return Opened(version, head.facts, arrays)


def _array(mapped: mmap.mmap, section: _Section, body: int) -> Array:
    if section.dtype not in _DTYPES or any(size < 0 for size in section.shape) or section.at < 0:
        raise ValueError(section.name)
    count = 1
    for size in section.shape:
        count *= size
    if not count:
        return np.zeros(section.shape, section.dtype)
    return np.frombuffer(mapped, section.dtype, count, body + section.at).reshape(section.shape)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _point(folder: Path, to: Pointer) -> None:
    staged = folder / f".{_POINTER}.{os.getpid()}"
    with staged.open("wb") as file:
        file.write(msgspec.json.encode(to))
        file.flush()
        os.fsync(file.fileno())
    staged.replace(folder / _POINTER)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(folder: Path, kept: set[str]) -> None:
    """Remove old versions; whoever has one mapped keeps it until it lets go."""
    files = [file for file in folder.glob("*.bin") if file.stem not in kept]
    files.sort(key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in files[max(0, KEPT - len(kept)) :]:
        with contextlib.suppress(OSError):
            file.unlink()
