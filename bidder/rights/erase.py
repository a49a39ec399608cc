"""Erasure: everything of a person goes, wherever it is kept, and nothing under way brings it back.

Place: the privacy pages, `paceline erase`, batches of advertisers and data deletion requests ask here.
Shapes: in this order:
    1. the request stands in `erasures` (a digest of the id and when), by which the caretaker of every host cleans the
       files of recorded events, and what still comes of the person out of queues;
    2. what the shop of a linked login knows of the other devices goes, since it holds what this one did; so does the
       cluster;
    3. the person's own keys, the rows of the match table that lead there, and what was shown under those ids go; each
       leaves a guard, so that a view which is notified later is not entered (stores/guards).
    Accepted notices on their way lie in spools, where they are applied within moments, and leave the disk then.
    Models and catalogues hold no person: co-visits are counted over all visitors, and each training reads what is left.
Raises: redis.RedisError; what was done stays done, and it may be asked for again.
Never: an id in a log: `audit` writes its digest, as `digest:...`.
"""

import logging
from typing import Final

from msgspec import Struct

from bidder.audience.person import field_name
from bidder.events import requests
from bidder.events.erased import digest
from bidder.logs import AUDIT
from bidder.metrics import Metric, Tally
from bidder.stores import keys, removal
from bidder.stores.removal import Client, call, done
from bidder.stores.visitors import DROP

MAX_MEMBERS: Final = 64
"""Of a cluster that are looked at: it has eight."""

METRICS: Final = (
    Metric("paceline_erasures_total", "counter", "People erased, by who asked", ("asked_by",)),
    Metric("paceline_erased_keys_total", "counter", "Keys of the people's store that erasures removed"),
    Metric(
        "paceline_choices_total", "counter", "People who opted out, or in again, on our pages", ("choice",)
    ),
)
_SECONDS_FIELD: Final = 4
_audit = logging.getLogger(AUDIT)


class Erased(Struct, frozen=True):
    """What an erasure removed."""

    keys: int = 0
    linked: int = 0
    """Devices linked by a login from which the shop's part went, too."""
    person: bytes = b""
    """Who it was; empty where nobody stood behind an id."""


class Eraser:
    """Erases people of one store."""

    def __init__(self, client: Client, tally: Tally | None = None) -> None:
        """The client stays its owner's to close."""
        self._client, self._tally = client, tally

    async def knows(self, person_id: bytes) -> bool:
        """Whether anything stands in the store under an id, a tombstone included: anybody can invent an id, and what is
        written for one stays for a month and more."""
        tag = keys.person_tag(person_id)
        own = (keys.person_key(tag), keys.history_key(tag), keys.views_key(tag), keys.marks_key(tag))
        return bool(await done(self._client.exists(*own)))

    async def ask_files(self, person_id: bytes, now_s: float, asked_by: str) -> None:
        """Have every host look for a person of whom the store knows nothing: an ad may be recorded for longer."""
        await requests.request(self._client, [person_id], now_s)
        audit("looked for", person_id, asked_by)

    async def erase(self, person_id: bytes, now_s: float, asked_by: str) -> Erased:
        """Remove everything of a person; twice is harmless."""
        await requests.request(self._client, [person_id], now_s)
        linked = await self._unlink(person_id)
        removed = await removal.erase(self._client, person_id, now_s)
        if self._tally is not None:
            self._tally.count("paceline_erasures_total", asked_by)
            self._tally.count("paceline_erased_keys_total", by=removed)
        audit("erased", person_id, asked_by)
        return Erased(removed, linked, person_id)

    async def opt_out(self, person_id: bytes, now_s: float, asked_by: str) -> None:
        """Remove everything of a person, and leave the word that nothing is to be kept; twice is harmless."""
        await requests.request(self._client, [person_id], now_s)
        await self._unlink(person_id)
        await removal.opt_out(self._client, person_id, now_s)
        audit("opted out", person_id, asked_by)

    async def _unlink(self, person_id: bytes) -> int:
        """Erase the clusters that a person is in, with what their shops know of the others in them."""
        fields: dict[bytes, bytes] = await done(
            self._client.hgetall(keys.person_key(keys.person_tag(person_id)))
        )
        linked = 0
        for name, value in fields.items():
            if name.startswith(keys.CLUSTER_FIELD_PREFIX):
                cluster = name.removeprefix(keys.CLUSTER_FIELD_PREFIX)
                owner = value[_SECONDS_FIELD:].decode("utf-8", "replace")
                linked += await self._split(person_id, owner, cluster)
        return linked

    async def _split(self, person_id: bytes, advertiser_id: str, cluster: bytes) -> int:
        members: list[bytes] = await done(self._client.hkeys(keys.cluster_key(cluster)))
        others = [member for member in members[:MAX_MEMBERS] if member != person_id]
        for member in others:
            tag = keys.person_tag(member)
            names = (keys.person_key(tag), keys.history_key(tag), keys.views_key(tag))
            await call(self._client, DROP, names, field_name(advertiser_id), keys.cluster_field(cluster))
        await done(self._client.unlink(keys.cluster_key(cluster)))
        return len(others)


def audit(what: str, person_id: bytes, asked_by: str) -> None:
    """One line of what was done for whom, by the digest that erasures are kept under."""
    _audit.info("%s person digest:%s, asked by %s", what, digest(person_id).hex(), asked_by)
