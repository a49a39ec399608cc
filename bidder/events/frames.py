"""Records as bytes: frames in a file, each read back whole or known to be torn.

Place: writer.py appends frames, segments.py reads them.
Shapes: a segment is MAGIC and frames; a frame is `<II` (length, CRC-32) and one record as msgpack.
Limits: MAX_RECORD bytes per record, none of them empty: a disk that lost power shows zeros where nothing was written.
"""

import struct
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Final
from zlib import crc32

import msgspec

from bidder.events.records import Record

MAGIC: Final = b"PACEEVT1"
MAX_RECORD: Final = 65_536

_HEAD: Final = struct.Struct("<II")
HEAD_BYTES: Final = _HEAD.size
encode_record: Final = msgspec.msgpack.Encoder().encode
_pack: Final = _HEAD.pack
_decoder: Final[msgspec.msgpack.Decoder[Record]] = msgspec.msgpack.Decoder(Record)


def framed(payload: bytes) -> bytes:
    """An encoded record as it stands in a file; 1 to MAX_RECORD bytes."""
    return _pack(len(payload), crc32(payload)) + payload


def payloads(file: BufferedIOBase) -> Iterator[bytes]:
    """The whole records of a segment, in order, one at a time; stops at what is torn or damaged."""
    if file.read(len(MAGIC)) != MAGIC:
        return
    while len(head := file.read(HEAD_BYTES)) == HEAD_BYTES:
        size, check = _HEAD.unpack(head)
        if not 0 < size <= MAX_RECORD:
            return
        payload = file.read(size)
        if len(payload) != size or crc32(payload) != check:
            return
        yield payload


def decoded(payload: bytes) -> Record | None:
    """A record; None where it is none that this version knows."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
