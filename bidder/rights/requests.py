"""Requests for others: batches of advertisers, and data deletion requests that were accepted; carried out out of band.

Place: `paceline erase --file`, web/deletion and the caretaker.
Shapes: a line of a batch names somebody: our id (32 hexadecimal digits), `source/id` of the match table, or an
    advertiser and a hashed login, parted by spaces; lines that begin with # are remarks. `deletions` is a hash of
    accepted requests (digest of issuer and jti) -> whom, as the tag of a person or of a row of the match table;
    `j:<digest>` remembers those that came.
Rule: an accepted request stands in Redis before it is acknowledged, and until it is carried out: at least once.
Limits: MAX_LINE characters; WAITING_S of a request that nobody carries out, SEEN_S of the memory of one.
Raises: redis.RedisError.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from bidder.audience.identity import MAX_ID_LENGTH, person_id
from bidder.rights.deletion import FUTURE_S, MAX_AGE_S, Accepted
from bidder.rights.erase import Erased, Eraser, audit
from bidder.stores import keys
from bidder.stores.removal import Client, done, remove_rows
from bidder.stores.visitors import MAX_LOGIN, VisitorStore

MAX_LINE: Final = 512
WAITING_S: Final = 7 * 86_400
SEEN_S: Final = MAX_AGE_S + FUTURE_S
WAITING: Final = "deletions"
SEEN: Final = "j:"
MAX_AT_ONCE: Final = 1_000

_PERSON: Final = b"p:"
_ROW: Final = b"m:"


class Named(Struct, frozen=True):
    """Whom a line names: one of the three."""

    person: bytes | None = None
    match: str = ""
    login: tuple[str, str] | None = None
    """(advertiser's id, hashed login)"""


class Done(Struct, frozen=True):
    """What became of a batch."""

    people: int = 0
    unknown: int = 0
    """Lines that name nobody of whom anything was held."""


def parse(lines: Iterable[str]) -> Iterator[Named | str]:
    """Whom each line names, or what is wrong with it: `line N: ...`."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            named = named_by(text)
            yield named if named is not None else f"line {number}: {_EXPECTED}"


_EXPECTED: Final = "expected 32 hexadecimal digits, source/id, or an advertiser and a hashed login"


def named_by(text: str) -> Named | None:
    """Whom one line names; None where it is none of the three."""
    person, parts = person_id(text), text.split()
    if len(text) > MAX_LINE:
        return None
    if person is not None:
        return Named(person)
    if len(parts) == 2 and "/" not in parts[0]:
        return Named(login=(parts[0], parts[1])) if len(parts[1]) <= MAX_LOGIN else None
    source, _, uid = text.partition("/")
    return Named(match=text) if source and uid and len(uid) <= MAX_ID_LENGTH else None


class Desk:
    """Carries requests out."""

    def __init__(self, client: Client, eraser: Eraser, visitors: VisitorStore) -> None:
        self._client, self._eraser, self._visitors = client, eraser, visitors

    async def erase(self, named: Named, now_s: float, asked_by: str) -> Erased | None:
        """Erase whom a line names; None where nothing is held of them."""
        if named.person is not None:
            found = await self._eraser.erase(named.person, now_s, asked_by)
            return found if found.keys or found.linked else None
        if named.login is not None:
            split = await self._visitors.split(*named.login)
            return Erased(0, split) if split else None
        return await self._erase_row(keys.match_tag(named.match), now_s, asked_by)

    async def accept(self, accepted: Accepted) -> bool:
        """Keep a data deletion request until it is carried out; False where it came before."""
        if await done(self._client.exists(SEEN + accepted.name)):
            return False
        whom = accepted.identifier
        value = (
            _PERSON + keys.person_tag(whom.person)
            if whom.person is not None
            else _ROW + keys.match_tag(whom.match)
        )
        await done(self._client.hset(WAITING, accepted.name, value))
        await done(self._client.expire(WAITING, WAITING_S))
        await done(self._client.set(SEEN + accepted.name, b"", ex=SEEN_S))
        return True

    async def work_off(self, now_s: float) -> int:
        """Carry out what was accepted; how many."""
        waiting: dict[bytes, bytes] = await done(self._client.hgetall(WAITING))
        for name, value in list(waiting.items())[:MAX_AT_ONCE]:
            kind, tag = value[:2], value[2:]
            if kind == _PERSON:
                person = person_id(tag.decode("ascii", "replace"))
                if person is not None:
                    await self._eraser.erase(person, now_s, "deletion request")
            else:
                await self._erase_row(tag, now_s, "deletion request")
            await done(self._client.hdel(WAITING, name))
        return min(len(waiting), MAX_AT_ONCE)

    async def _erase_row(self, tag: bytes, now_s: float, asked_by: str) -> Erased | None:
        """Erase whom a row of the match table leads to, and what was shown under its id."""
        person = await done(self._client.get(keys.match_key(tag)))
        if person is not None and len(person) == keys.PERSON_ID_BYTES and person != keys.OPTED_OUT:
            return await self._eraser.erase(bytes(person), now_s, asked_by)
        if person is not None:
            return None  # opted out: it names nobody
        removed = await remove_rows(self._client, b"", [tag], now_s)
        if removed:
            audit("erased views under an id that led to no", bytes.fromhex(tag.decode()), asked_by)
        return Erased(removed) if removed else None


async def work_off(client: Client, eraser: Eraser, visitors: VisitorStore, now_s: float) -> int:
    """For the caretaker: data deletion requests that a worker accepted and did not live to carry out."""
    return await Desk(client, eraser, visitors).work_off(now_s)
