"""A cluster as one Source: reads go to the master of their slot, one shared connection per master.

Place: stores/people reads through it where several URLs or `cluster` are configured.
Shapes: `submit` splits a batch by node and puts the replies back in the order of the commands; one whose node
    failed has a StoreError in its place, a refused one a hiredis.ReplyError.
Limits: one redirection per command; the slot map is read anew at most every REFRESH_S; MAX_PARKED commands
    wait for it, those beyond fail at once.
Raises: StoreDown from `submit` where no node takes anything.
Source: Redis Cluster specification: CLUSTER SLOTS, MOVED, ASK.
Never: writes; that is redis.asyncio's RedisCluster.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from functools import partial

import hiredis

from bidder.metrics import Metric, Tally
from bidder.settings import Stores
from bidder.stores.address import Address, parse_all
from bidder.stores.connection import NOT_YET, Batch, Connection, Done, Reply, pack
from bidder.stores.errors import StoreDown, StoreError
from bidder.stores.keys import SLOTS, tag_slot

REFRESH_S = 0.1
MISSING_REFRESH_S = 1.0  # how often to look for the master of a slot that has none
ASK_TIMEOUT_S = 2.0
MAX_PARKED = 1_024  # a refresh takes milliseconds: more than this at once is better refused

METRICS: tuple[Metric, ...] = (
    Metric("paceline_store_moved_total", "counter", "Reads that a cluster's node sent elsewhere"),
    Metric("paceline_store_slot_maps_total", "counter", "Times the cluster's slot map was read"),
)

_ASKING = pack(("ASKING",))
log = logging.getLogger(__name__)


class Cluster:
    """One Connection per master, a slot map, and what keeps both true."""

    def __init__(self, addresses: Sequence[Address], max_in_flight: int, tally: Tally) -> None:
        """`addresses` are where to ask first; `max_in_flight` is per node."""
        self._seeds = tuple(addresses)
        self._max_in_flight = max_in_flight
        self._tally = tally
        self._nodes: dict[tuple[str, int], Connection] = {}
        self._slots: list[Connection | None] = [None] * SLOTS
        self._parked: list[tuple[bytes, bytes, Done]] = []
        self._stale = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Commands without a reply, over all nodes."""
        return sum(node.in_flight for node in self._nodes.values())

    @property
    def ready(self) -> bool:
        """Has every slot a master, and every master a connection?"""
        return None not in self._slots and all(node.ready for node in self._nodes.values())

    async def open(self) -> bool:
        """Read the slot map and connect; returns after the first try and says whether all is ready."""
        if self._keeper is None:
            await self._refresh()
            self._keeper = asyncio.create_task(self._keep())
        return self.ready

    async def close(self) -> None:
        """Break off on all nodes."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        await asyncio.gather(*(node.close() for node in self._nodes.values()))

    def submit(self, commands: Sequence[bytes], tags: Sequence[bytes], done: Done) -> Batch:
        """As Connection.submit; `tags[i]` is the hash tag of the key of `commands[i]`."""
        spread = _Spread(self, commands, tags, done)
        shares: dict[Connection | None, list[int]] = {}
        slots = self._slots
        for place, tag in enumerate(tags):
            shares.setdefault(slots[tag_slot(tag)], []).append(place)
        errors = [spread.send(node, places) for node, places in shares.items()]
        refused = [error for error in errors if error is not None]
        if refused:
            self._stale.set()
            if len(refused) == len(errors):
                raise refused[0]
        return spread.batch

    def redirect(self, reply: hiredis.ReplyError, command: bytes, tag: bytes, done: Done) -> bool:
        """Send a command where MOVED or ASK says, or once the map is known; False where it must fail."""
        kind, _, place = str(reply).split(" ", 2)
        self._tally.count("paceline_store_moved_total")
        if kind == "MOVED":
            self._stale.set()
        host, _, port = place.rpartition(":")
        node = self._nodes.get((host, int(port)))
        if node is not None:
            with contextlib.suppress(StoreError):
                node.submit([_ASKING, command] if kind == "ASK" else [command], (), done)
                return True
        if len(self._parked) >= MAX_PARKED:
            return False
        self._parked.append((command, tag, done))
        self._stale.set()
        return True

    def _unpark(self) -> None:
        """Send on what waited for the map."""
        parked, self._parked = self._parked, []
        for command, tag, done in parked:
            try:
                node = self._slots[tag_slot(tag)]
                if node is None:
                    raise StoreDown("a slot without a master")
                node.submit([command], (), done)
            except StoreError as error:
                failed = Batch(1, done)
                failed.error = error
                done(failed)

    async def _keep(self) -> None:
        """Read the slot map anew when a node says it is stale, or when something is missing."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self.ready else MISSING_REFRESH_S):
                    await self._stale.wait()
            self._stale.clear()
            await self._refresh()
            self._unpark()
            await asyncio.sleep(REFRESH_S)

    async def _refresh(self) -> None:
        """Ask one node after the other until one knows the slots; keep the old map if none does."""
        known = [node for node in self._nodes.values() if node.ready]
        for node in known:
            if await self._learn(node):
                return
        for address in self._seeds:
            if (address.host, address.port) in self._nodes:
                continue
            seed = Connection(address, self._max_in_flight, self._tally)
            try:
                if await seed.open() and await self._learn(seed):
                    return
            finally:
                await seed.close()

    async def _learn(self, node: Connection) -> bool:
        try:
            ranges = await node.call("CLUSTER", "SLOTS", timeout_s=ASK_TIMEOUT_S)
        except StoreError as error:
            log.warning("store %s: slot map: %s", node.address, error)
            return False
        self._tally.count("paceline_store_slot_maps_total")
        await self._adopt(ranges, node.address)
        return bool(ranges)

    async def _adopt(self, ranges: list[Reply], teller: Address) -> None:
        """Take a map over: connect to new masters, route, then leave those who are masters no more."""
        masters: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for first, last, master, *_replicas in ranges:
            host = (master[0] or b"").decode() or teller.host  # empty: the node that was asked
            masters.setdefault((host, master[1]), []).append((first, last))
        fresh = [place for place in masters if place not in self._nodes]
        for host, port in fresh:
            address = teller.at(host, port)
            self._nodes[host, port] = Connection(address, self._max_in_flight, self._tally)
        await asyncio.gather(*(self._nodes[place].open() for place in fresh))
        slots: list[Connection | None] = [None] * SLOTS
        for place, owned in masters.items():
            for first, last in owned:
                slots[first : last + 1] = [self._nodes[place]] * (last - first + 1)
        self._slots = slots
        gone = [self._nodes.pop(place) for place in list(self._nodes) if place not in masters]
        await asyncio.gather(*(node.close() for node in gone))


class _Spread:
    """A batch that went to several nodes: replies come back into their places."""

    __slots__ = ("_cluster", "_commands", "_open", "_tags", "batch")

    def __init__(
        self, cluster: Cluster, commands: Sequence[bytes], tags: Sequence[bytes], done: Done
    ) -> None:
        self._cluster = cluster
        self._commands = commands
        self._tags = tags
        self._open = len(commands)
        self.batch = Batch(len(commands), done)
        self.batch.replies = [NOT_YET] * len(commands)

    def send(self, node: Connection | None, places: list[int]) -> StoreError | None:
        """Give a node its share; the error where it does not take it."""
        commands = self._commands
        try:
            if node is None:
                raise StoreDown("a slot without a master")
            node.submit([commands[place] for place in places], (), partial(self._arrived, places))
        except StoreError as error:
            for place in places:
                self.batch.replies[place] = error
            self._open -= len(places)
            return error
        return None

    def _arrived(self, places: list[int], share: Batch) -> None:
        """A node's replies, or as many as came before it failed."""
        replies, come = self.batch.replies, len(share.replies)
        for place, reply in zip(places, share.replies, strict=False):
            if isinstance(reply, hiredis.ReplyError) and str(reply).startswith(("MOVED ", "ASK ")):
                again = partial(self._redirected, place)
                if self._cluster.redirect(reply, self._commands[place], self._tags[place], again):
                    continue
            replies[place] = reply
            self._open -= 1
        for place in places[come:]:
            replies[place] = share.error
            self._open -= 1
        self._finish()

    def _redirected(self, place: int, answer: Batch) -> None:
        """The reply of the second node: the last one, behind that to ASKING."""
        self.batch.replies[place] = answer.error or answer.replies[-1]
        self._open -= 1
        self._finish()

    def _finish(self) -> None:
        if self._open == 0:
            self.batch.done(self.batch)


async def open_source(stores: Stores, tally: Tally) -> Connection | Cluster:
    """What the configuration names, connecting; it may not be `ready` yet. Raises AddressError."""
    addresses = parse_all(stores.redis_url)
    source: Connection | Cluster
    if stores.cluster or len(addresses) > 1:
        source = Cluster(addresses, stores.max_in_flight, tally)
    else:
        source = Connection(addresses[0], stores.max_in_flight, tally)
    await source.open()
    return source
