"""What the shop's rooms need of others: stores, the recorder, catalogues.

Place: household.py hands them over; tests bring their own of the same shape.
Raises: the stores redis.RedisError or OSError; nothing else raises.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.audience.handles import Handles
from bidder.audience.known import Seen, ShopRules
from bidder.events.records import Record
from bidder.stores.people_writer import Matched


class Observation(Protocol):
    """What became of visits: stores.visitors.Observed."""

    @property
    def kept(self) -> int:
        """Visits that are new."""

    @property
    def repeated(self) -> int:
        """Visits of events that were known."""

    @property
    def opted_out(self) -> bool:
        """Nothing was written: the person wants no part in it."""

    @property
    def lost(self) -> int:
        """Visits that could not be written."""


class Visitors(Protocol):
    """Where people's visits are kept: stores.visitors.VisitorStore."""

    async def observe(
        self, person_id: bytes, shop: ShopRules, seen: Sequence[Seen], now_s: int, ttl_s: float
    ) -> Observation:
        """Add visits to what an advertiser knows of a person."""

    async def join(self, person_id: bytes, advertiser_id: str, login: str, now_s: int) -> object:
        """Let a person be one of those who share a login with an advertiser."""

    async def erased(self, person_id: bytes) -> bool:
        """Whether a person was erased: a browser may still bring the number, out of a cookie that it keeps apart."""

    async def resolve(self, matches: Sequence[str]) -> bytes | None:
        """The person that the first known of these `source/id` leads to."""

    async def traced(self, matches: Sequence[str]) -> tuple[bytes | None, int]:
        """`resolve`, and up to when, in seconds, whoever these led to was erased; -1: nobody was."""

    async def lives(self, person_id: bytes) -> bool:
        """Whether something is known of a person who has not opted out."""


class Matcher(Protocol):
    """Where rows of the match table are written: stores.people_writer.PeopleWriter."""

    async def match(
        self, source: str, uid: str, person_id: bytes, now_s: float, ttl_s: float = ...
    ) -> Matched:
        """Let a source's id lead to a person; false where one of them was opted out, or the person erased."""

    async def opted_out(self, person_id: bytes) -> bool:
        """Whether a person has opted out."""


class SyncTimes(Protocol):
    """How often a person's id was handed out: stores.sync_times.SyncTimes."""

    async def take(
        self, person_id: bytes, limits: Sequence[tuple[str, int]], most: int, now_s: float
    ) -> list[str] | None:
        """The names, at most `most` of them, that may have the id today once more, counted; None: opted out."""


class Recording(Protocol):
    """Takes records: events.writer.Recorder."""

    def record(self, record: Record) -> bool:
        """Never waits; False: it was dropped, and counted."""


class ShopProduct(Protocol):
    """Of a product, what an event does not say."""

    @property
    def category(self) -> str:
        """Empty: none."""


class ShopCatalogue(Protocol):
    """One advertiser's products: catalogue.snapshot.Catalogue."""

    def find(self, key: int) -> int:
        """The row of a product's key, or -1."""

    def product(self, row: int) -> ShopProduct:
        """The product of a row."""

    def vector(self, row: int) -> NDArray[np.float16] | None:
        """Where it lies in the space of affinity."""


class ShopCatalogues(Protocol):
    """Those of all advertisers: catalogue.snapshot.Catalogues."""

    def of(self, advertiser_id: str) -> ShopCatalogue | None:
        """An advertiser's, where it has one."""


class Hands(Struct, frozen=True):
    """All of them."""

    visitors: Visitors
    matcher: Matcher
    recorder: Recording
    catalogues: ShopCatalogues
    handles: Handles
