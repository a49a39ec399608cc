"""What a read of people asks, and what it makes of the replies; no I/O.

Place: stores/people sends the commands and hands in the replies.
Shapes: commands are hashes of known people first, then the match table. Where a place's views are asked for, both
    are calls of scripts: see the head of each in stores/lua for what it returns.
Never: raises for anything that a store may answer.
"""

import secrets
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import hiredis

from bidder.audience.frequency import Basis, Exposure
from bidder.audience.identity import MAX_MATCHES, Lookup, is_visitor
from bidder.audience.person import Person
from bidder.stores.connection import Batch, Reply
from bidder.stores.errors import StoreReplyError
from bidder.stores.keys import (
    OPT_OUT_FIELD,
    OPTED_OUT,
    PERSON_ID_BYTES,
    Frame,
    match_tag,
    person_tag,
    read_match,
    read_person,
)
from bidder.stores.reading import PendingRead, Sought
from bidder.stores.scripts import NO_SCRIPT

SEEN_PARTS: Final = 4
_NOTHING_SEEN: Final[tuple[Reply, Reply, Reply]] = (MappingProxyType({}), 0, 0)
"""Views, impressions of others, the store's clock."""
_PERSON: Final = Basis.PERSON  # an attribute of an Enum takes 40 ns to find
_VISITOR: Final = Basis.VISITOR
_MARKS: Final = 1 << 32
_NO_FRAME: Final[Frame] = ()


class Marks:
    """Marks of 8 bytes, no two alike: a random beginning for each reader, then a count."""

    __slots__ = ("_count", "_ours")

    def __init__(self) -> None:
        self._ours = secrets.token_bytes(4)
        self._count = secrets.randbelow(_MARKS)

    def next(self) -> bytes:
        """The next one."""
        self._count = (self._count + 1) % _MARKS
        return self._ours + self._count.to_bytes(4, "little")


def ask(read: PendingRead, lookups: Sequence[Lookup | None]) -> None:
    """The commands of a batch and their tags."""
    commands, tags, wanted = read.commands, read.tags, read.wanted
    sought = read.sought
    imps = sought.imps if sought is not None else (0,) * len(lookups)
    last, frame = 0, _NO_FRAME
    for place, lookup in enumerate(lookups):
        if lookup is None:
            continue
        person_id, count = lookup.person, imps[place]
        if person_id is None:
            if lookup.matches:
                read.followed.append((place, min(len(lookup.matches), MAX_MATCHES)))
                continue
            person_id = lookup.visitor
            if person_id is None or not count:
                continue
            read.visitors += 1
        if len(person_id) == PERSON_ID_BYTES:
            tag = person_tag(person_id)
            tags.append(tag)
            if sought is not None and count:
                if count != last:
                    last, frame = count, sought.frame(count)
                commands.append(tag.join(frame))
                wanted.append((place, person_id, tag))
            else:
                commands.append(read_person(tag))
                wanted.append((place, person_id, b""))
    for place, matches in read.followed:
        lookup = lookups[place]
        assert lookup is not None
        for number, match in enumerate(lookup.matches[:matches]):
            tag = match_tag(match)
            tags.append(tag)
            if sought is not None and imps[place] and not number:  # views are counted for the best id
                commands.append(tag.join(sought.match_frame(imps[place])))
            else:
                commands.append(read_match(tag))


def ask_found(read: PendingRead) -> None:
    """The commands for those whom the match table led to: `read.wanted`, as `follow` left it."""
    sought = read.sought
    read.tags = [person_tag(person_id) for _, person_id, _ in read.wanted]
    read.commands = [
        tag.join(sought.frame(sought.imps[place])) if sought and asked else read_person(tag)
        for tag, (place, _, asked) in zip(read.tags, read.wanted, strict=True)
    ]


def take(read: PendingRead, batch: Batch) -> None:
    """Put the hashes that came into their places; an empty hash is nobody."""
    people, sought = read.people, read.sought
    if sought is not None:
        exposures, by_tag, mark, until_ns = sought.exposures, sought.by_tag, sought.mark, sought.until_ns
    visitors = read.visitors
    for (place, person_id, tag), reply in zip(read.wanted, batch.replies, strict=False):
        views, busy, now_s = _NOTHING_SEEN
        if type(reply) is list and tag and len(reply) == SEEN_PARTS:
            reply, views, busy, now_s = reply
        if type(reply) is dict:
            read.answered = True
            if OPT_OUT_FIELD in reply:
                read.opted_out.add(place)
                continue
            new = reply and people[place] is None
            if new:
                people[place] = Person(person_id, reply)
            if tag and (new or exposures[place] is None):  # a tag stands only where views are sought
                exposure = by_tag.get(tag)
                if exposure is None:
                    basis = _VISITOR if visitors and is_visitor(person_id) else _PERSON
                    by_tag[tag] = exposure = Exposure(tag, basis, views, busy, now_s, mark, until_ns)
                exposures[place] = exposure
        elif _refused(reply):
            read.sound = False
    for place in read.opted_out:  # another id of the same request may have led to somebody
        people[place] = None
    if batch.error is not None:
        read.sound = False


def follow(read: PendingRead, rows: list[Reply]) -> bool:
    """Let `read.wanted` be those that the match table gave, best match first, each person once per place; whoever
    it gave nobody for is counted under the best id. Says whether it gave anybody."""
    found: dict[tuple[int, bytes, bytes], None] = {}
    sought, first, start = read.sought, len(read.wanted), 0
    for place, count in read.followed:
        asked = read.tags[first + start] if sought is not None and sought.imps[place] else b""
        led = False
        for row in rows[start : start + count]:
            if _refused(row):
                read.sound = False
                continue
            read.answered = True
            if row == OPTED_OUT:
                read.opted_out.add(place)
            elif type(row) is bytes and len(row) == PERSON_ID_BYTES:
                found[place, row, person_tag(row) if asked else b""] = None
                led = True
        if sought is not None and asked and not led and start < len(rows):
            _count_match(sought, place, asked, rows[start])
        start += count
    if read.opted_out:
        found = {key: None for key in found if key[0] not in read.opted_out}
    read.wanted = list(found)
    return bool(found)


def _count_match(sought: Sought, place: int, tag: bytes, row: Reply) -> None:
    """What was shown under an id that leads to nobody."""
    if row is None:
        views, busy, now_s = _NOTHING_SEEN
    elif type(row) is list and len(row) == SEEN_PARTS:
        _, views, busy, now_s = row
    else:
        return
    exposure = Exposure(tag, Basis.MATCH, views, busy, now_s, sought.mark, sought.until_ns)
    sought.exposures[place] = sought.by_tag.setdefault(tag, exposure)


def unknown_scripts(batch: Batch) -> list[int]:
    """Places of the calls that a server did not know."""
    replies = batch.replies
    if hiredis.ReplyError not in map(type, replies):
        return []
    return [place for place, reply in enumerate(replies) if str(reply).startswith(NO_SCRIPT)]


def refused_twice(reply: Reply) -> Reply:
    """A reply to a call with its text: a server that does not know even that refuses, and is not asked again."""
    return StoreReplyError(str(reply)) if type(reply) is hiredis.ReplyError else reply


def _refused(reply: Reply) -> bool:
    """Is this an error that speaks of the store? A key of another type is damage at one person."""
    return isinstance(reply, Exception) and not str(reply).startswith("WRONGTYPE")
