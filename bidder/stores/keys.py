"""Every key of ours, in one place, with what the cluster needs to route it.

Place: stores/people builds its commands here; nothing else spells a key of people but guards.py (`x:`), which needs a
    slot to be found backwards. rights/sweep knows all kinds of keys, and how long each may live.
Shapes: `p:{<32 hex digits>}` is a person's hash, `m:{<32 hex digits>}` a row of the match table, `f:{...}` what was
    shown to whoever the digits stand for (a log per advertiser), `b:{...}` the requests that are being decided for
    them, `h:{...}` what the person did (a history per advertiser): the digits stand in braces (the cluster's hash
    tag), so that the slot is that of the digits alone (the `tag`). `c:{<32 hex digits>}` are the people of one login,
    `g:{<advertiser>}:<segment>:<day>` counts who was in a segment on a day (a HyperLogLog).
Source: Redis Cluster specification: slot = CRC16/XMODEM of the hash tag, modulo 16384.
Never: an exchange's id or a login in clear: a row of the match table is named by a hash of source and id.
"""

import hashlib
from binascii import crc_hqx, hexlify

from bidder.stores.scripts import MATCH, READ, bulk, number

SLOTS = 16_384
PERSON_ID_BYTES = 16
TAG_LENGTH = 32

MATCH_FIELD_PREFIX = b"m:"
"""Fields of a person's hash that list the person's rows of the match table, by tag."""
SEEN_FIELD = b"s"
"""Field of a person's hash: when the person was last seen, `<I` seconds since the epoch."""
OPT_OUT_FIELD = b"o"
"""The one field of the hash of a person who opted out: when, `<I` seconds. Nothing is written beside it."""
OPTED_OUT = b"\xff" * PERSON_ID_BYTES
"""The value of a row of the match table whose person opted out: it names nobody."""
SYNC_FIELD = b"y"
"""Field of a person's hash: when its id was last exchanged with each exchange."""
CLUSTER_FIELD_PREFIX = b"c:"
"""Fields of a person's hash that name the clusters that the person is in, by tag."""

_CLUSTER_DOMAIN = b"paceline-cluster"
_MATCH_DOMAIN = b"paceline-match"  # 16 bytes at most: blake2b's `person`
_HGETALL_HEAD = b"*2\r\n$7\r\nHGETALL\r\n$36\r\np:{"
_GET_HEAD = b"*2\r\n$3\r\nGET\r\n$36\r\nm:{"
_TAIL = b"}\r\n"
_READ_HEAD = READ.head(3, 4) + b"$36\r\np:{"
_MATCH_HEAD = MATCH.head(3, 4) + b"$36\r\nm:{"
_LOGS = b"}\r\n$36\r\nf:{"
_MARKS = b"}\r\n$36\r\nb:{"

Frame = tuple[bytes, ...]
"""What stands around a tag in a packed command: `tag.join(frame)` is the command, in one step for each person."""


def person_tag(person_id: bytes) -> bytes:
    """The tag of a person of 16 bytes: 32 hexadecimal digits."""
    return hexlify(person_id)


def match_tag(match: str) -> bytes:
    """The tag of a row of the match table, from `source/id`: blake2b-128, 32 hexadecimal digits."""
    data = match.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16, person=_MATCH_DOMAIN).hexdigest().encode()


def person_key(tag: bytes) -> bytes:
    """The key of a person's hash."""
    return b"p:{%b}" % tag


def match_key(tag: bytes) -> bytes:
    """The key of a row of the match table; its value is the person's 16 bytes."""
    return b"m:{%b}" % tag


def match_field(tag: bytes) -> bytes:
    """The field by which a person's hash lists a row of the match table."""
    return MATCH_FIELD_PREFIX + tag


def history_key(tag: bytes) -> bytes:
    """The key of what a person did: a hash with a history per advertiser, in the fields of the person's hash."""
    return b"h:{%b}" % tag


def cluster_tag(advertiser_id: str, login: str) -> bytes:
    """The tag of the people who showed one advertiser the same login: blake2b-128, 32 hexadecimal digits.

    It is another with every advertiser, so that nobody can join what two of them know.
    """
    owner = hashlib.blake2b(advertiser_id.encode(), digest_size=32).digest()
    data = login.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16, key=owner, person=_CLUSTER_DOMAIN).hexdigest().encode()


def cluster_key(tag: bytes) -> bytes:
    """The key of a cluster: a hash of its people's 16 bytes, and when each was last seen, `<I` seconds."""
    return b"c:{%b}" % tag


def cluster_field(tag: bytes) -> bytes:
    """The field by which a person's hash names a cluster; its value is `<I` seconds, then the advertiser's id."""
    return CLUSTER_FIELD_PREFIX + tag


def size_key(advertiser_id: str, segment_id: str, day: str) -> bytes:
    """The key of who was in a segment on a day (yyyymmdd, UTC), as a HyperLogLog; all of an advertiser's share a
    slot."""
    return f"g:{{{advertiser_id}}}:{segment_id}:{day}".encode()


def layout_key(line_item: int) -> bytes:
    """The key of the counts of a line item's layouts, by the line item's `key64`."""
    return b"l:%016x" % line_item


def read_person(tag: bytes) -> bytes:
    """The packed command that reads a person's hash; `tag` has 32 digits, or the stream breaks."""
    return _HGETALL_HEAD + tag + _TAIL


def read_match(tag: bytes) -> bytes:
    """The packed command that reads a row of the match table; `tag` has 32 digits."""
    return _GET_HEAD + tag + _TAIL


def views_key(tag: bytes) -> bytes:
    """The key of the logs of what was shown."""
    return b"f:{%b}" % tag


def marks_key(tag: bytes) -> bytes:
    """The key of the marks of requests that are being decided."""
    return b"b:{%b}" % tag


def marking(mark: bytes, imps: int, busy_ms: int, now_ms: int) -> bytes:
    """The end of `exposure_frame` and `match_frame`: our mark of 8 bytes, how many impressions it stands for
    and how long; `now_ms` 0 is the server's clock."""
    return b"}\r\n$8\r\n%b\r\n%b%b%b" % (mark, number(imps), number(busy_ms), bulk(b"%d" % now_ms))


def exposure_frame(marking: bytes) -> Frame:
    """Around a person's tag: the packed call that reads the person and what the person was shown, and leaves our
    mark."""
    return _READ_HEAD, _LOGS, _MARKS, marking


def match_frame(marking: bytes) -> Frame:
    """Around the tag of a row of the match table: the packed call that reads the row, or what was shown under an id
    that has none."""
    return _MATCH_HEAD, _LOGS, _MARKS, marking


def tag_slot(tag: bytes) -> int:
    """The cluster slot of every key with this tag."""
    return crc_hqx(tag, 0) % SLOTS
