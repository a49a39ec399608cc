"""One connection to one server for all callers of a process: many commands in flight, one write per tick.

Place: stores/people and stores/cluster read through it. Writing and administration use redis.asyncio instead.
Shapes: callers submit packed commands as one Batch and get the replies in order, as hiredis makes them
    (RESP3: bytes, int, dict, list, None; an error is a hiredis.ReplyError among the replies).
Limits: RESP3: Redis 6 or later, any Valkey. `max_in_flight` commands without a reply, MAX_UNSENT_BYTES of
    back-pressure: above either a batch is refused at once. A connection whose oldest reply is overdue by
    OVERDUE_S is closed and made anew.
Raises: StoreDown, StoreOverloaded from `submit`; `call` and `batch` also StoreLate and StoreReplyError.
Source: one Redis call for all requests of a tick costs a tenth of one call each (benchmarks/micro/people_read).
Never: cancels a command. A reply that nobody waits for any more still takes its place in the order,
    so that no reply is ever given to another's command.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import hiredis

from bidder.metrics import Metric, Tally
from bidder.stores.address import Address
from bidder.stores.errors import StoreDown, StoreError, StoreLate, StoreOverloaded, StoreReplyError

CONNECT_TIMEOUT_S = 2.0
OVERDUE_S = 2.0  # a server that is silent for so long is paused or gone: only a new connection will tell
WATCH_S = 0.25  # how often the oldest reply is looked at
MAX_UNSENT_BYTES = 1 << 20  # 4,000 reads are 240 KB: a megabyte unsent means that the server does not read
FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 2.0
SETTLED_S = 1.0  # a connection that lived so long starts the back-off anew

METRICS: tuple[Metric, ...] = (
    Metric("paceline_store_connects_total", "counter", "Connections made to the people store"),
    Metric("paceline_store_losses_total", "counter", "Connections to the people store that broke"),
    Metric("paceline_store_overdue_total", "counter", "Connections closed because a reply was overdue"),
    Metric("paceline_store_refused_total", "counter", "Batches refused at the in-flight or write bound"),
)

Reply = Any
"""What hiredis makes of a reply; its type is checked where it is used."""

NOT_YET = StoreLate("no reply yet")
"""Stands in a list of replies where order does not tell which have come."""

log = logging.getLogger(__name__)


class Batch:
    """Commands that were submitted together, and the replies that have come so far, in order."""

    __slots__ = ("count", "done", "error", "replies", "sent_s")

    def __init__(self, count: int, done: "Done") -> None:
        self.count = count
        self.done = done
        """Called once: with all replies in place, or with `error` set and those that came before it."""
        self.replies: list[Reply] = []
        self.error: StoreError | None = None
        self.sent_s = time.monotonic()

    @property
    def outstanding(self) -> int:
        """Commands whose replies have not come."""
        return self.count - sum(reply is not NOT_YET for reply in self.replies)


Done = Callable[[Batch], None]
_NOTHING = object()


class _Wire(asyncio.Protocol):
    """The life of one socket: bytes out, replies in order, one end."""

    def __init__(self, max_in_flight: int, loop: asyncio.AbstractEventLoop) -> None:
        self.in_flight = 0
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._max_in_flight = max_in_flight
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._waiting: deque[Batch] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._paused = False

    def submit(self, commands: Sequence[bytes], done: Done) -> Batch:
        """Queue commands for the write of this tick."""
        if self._transport is None:
            raise StoreDown("no connection")
        count = len(commands)
        if self._paused or self.in_flight + count > self._max_in_flight:
            raise StoreOverloaded(f"{self.in_flight} commands without a reply")
        batch = Batch(count, done)
        self._waiting.append(batch)
        self.in_flight += count
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.extend(commands)
        return batch

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        reader.feed(data)
        gets, nothing, push = reader.gets, _NOTHING, hiredis.PushNotification
        missing = 0
        try:
            while (reply := gets()) is not nothing:
                if type(reply) is push:
                    continue  # out of band: it answers nobody
                if not missing:
                    batch = waiting[0]
                    replies = batch.replies
                    missing = batch.count - len(replies)
                replies.append(reply)
                missing -= 1
                if not missing:
                    waiting.popleft()
                    self.in_flight -= batch.count
                    self._tell(batch)
        except (hiredis.ProtocolError, IndexError) as error:  # not RESP, or a reply that nobody asked for
            log.warning("store spoke out of turn: %s", type(error).__name__)
            self.abort()

    def _tell(self, batch: Batch) -> None:
        try:
            batch.done(batch)
        except Exception as error:  # a caller's bug must not shift the replies of the others
            context = {"message": "a store's callback failed", "exception": error}
            self._loop.call_exception_handler(context)

    def overdue(self, now_s: float) -> bool:
        """Has the oldest batch waited for longer than OVERDUE_S?"""
        return bool(self._waiting) and now_s - self._waiting[0].sent_s > OVERDUE_S

    def abort(self) -> None:
        """Close without waiting for anything; whoever waits is told by connection_lost."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._unsent.clear()
        self.in_flight = 0
        while self._waiting:
            batch = self._waiting.popleft()
            batch.error = StoreDown("connection lost")
            self._tell(batch)
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False


class Connection:
    """A connection that comes back: `open` it once, submit for ever, `close` it at the end."""

    def __init__(self, address: Address, max_in_flight: int, tally: Tally) -> None:
        """Nothing is connected yet; `max_in_flight` counts commands; raises AddressError."""
        self.address = address
        self.last_error = ""
        """Why there is no connection; empty while there is one."""
        self._max_in_flight = max_in_flight
        self._ssl = address.ssl_context()
        self._tally = tally
        self._wire: _Wire | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Is there a connection now?"""
        return self._wire is not None

    @property
    def in_flight(self) -> int:
        """Commands without a reply."""
        return self._wire.in_flight if self._wire is not None else 0

    async def open(self) -> bool:
        """Start connecting; returns after the first try, and says whether it worked. Tries go on if not."""
        if self._keeper is None:
            self._tried.clear()
            self._keeper = asyncio.create_task(self._keep())
        await self._tried.wait()
        return self.ready

    async def close(self) -> None:
        """Break off: whoever waits is told StoreDown."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        self._tried.set()

    def submit(self, commands: Sequence[bytes], tags: Sequence[bytes], done: Done) -> Batch:
        """Send packed commands in this tick's write; `done(batch)` is called once, later.

        `tags` are for a cluster; one server has no use for them.
        Raises StoreDown, StoreOverloaded: then nothing was sent and `done` is never called.
        """
        wire = self._wire
        if wire is None:
            raise StoreDown(self.last_error or "not connected")
        try:
            return wire.submit(commands, done)
        except StoreOverloaded:
            self._tally.count("paceline_store_refused_total")
            raise

    async def batch(self, commands: Iterable[tuple[str | bytes | int, ...]], timeout_s: float) -> list[Reply]:
        """Send commands and wait for all their replies; an error reply stands in the list as it is."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Batch] = loop.create_future()
        self.submit([pack(command) for command in commands], (), _fulfil(answered))
        timer = loop.call_later(timeout_s, _give_up, answered)
        try:
            return (await answered).replies
        finally:
            timer.cancel()

    async def call(self, *command: str | bytes | int, timeout_s: float = CONNECT_TIMEOUT_S) -> Reply:
        """Send one command and wait for its reply; raises StoreReplyError for an error reply."""
        (reply,) = await self.batch([command], timeout_s)
        if isinstance(reply, hiredis.ReplyError):
            raise StoreReplyError(str(reply))
        return reply

    async def _keep(self) -> None:
        """Connect, watch, and connect again, until `close`."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                wire = await self._connect()
            except (OSError, ValueError, StoreError) as error:
                self._note(error)
            else:
                made_s = time.monotonic()
                await self._hold(wire)
                if time.monotonic() - made_s > SETTLED_S:
                    pause_s = FIRST_PAUSE_S
            self._tried.set()
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # workers must not all come back at once
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    async def _connect(self) -> _Wire:
        """A socket that has been let in: HELLO 3 with the credentials, then the database."""
        loop = asyncio.get_running_loop()
        wire = _Wire(self._max_in_flight, loop)
        address = self.address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if address.path:
                    await loop.create_unix_connection(lambda: wire, address.path)
                else:
                    await loop.create_connection(lambda: wire, address.host, address.port, ssl=self._ssl)
                await self._greet(wire)
        except BaseException:
            wire.abort()
            raise
        return wire

    async def _greet(self, wire: _Wire) -> None:
        address = self.address
        hello: tuple[str | int, ...] = ("HELLO", 3)
        if address.password:
            hello = (*hello, "AUTH", address.user or "default", address.password)
        commands = [hello]
        if address.db:
            commands.append(("SELECT", address.db))
        answered: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        wire.submit([pack(command) for command in commands], _fulfil(answered))
        try:
            batch = await answered
        except StoreDown as error:
            raise StoreDown(f"{error}{address.tls_hint}") from None
        for reply in batch.replies:
            if isinstance(reply, hiredis.ReplyError):
                raise StoreReplyError(str(reply))

    async def _hold(self, wire: _Wire) -> None:
        """The life of a connection: returns when it is lost."""
        self._wire, self.last_error = wire, ""
        self._tally.count("paceline_store_connects_total")
        self._tried.set()
        log.info("store %s: connected", self.address)
        try:
            while not wire.lost.done():
                await asyncio.wait([wire.lost], timeout=WATCH_S)
                if wire.overdue(time.monotonic()):
                    self._tally.count("paceline_store_overdue_total")
                    wire.abort()
        finally:
            self._wire = None
            wire.abort()
            await asyncio.wait([wire.lost])  # `abort` brings it about at the next turn of the loop
        self._tally.count("paceline_store_losses_total")
        self._note(StoreDown("connection lost"))

    def _note(self, error: BaseException) -> None:
        reason = str(error) or type(error).__name__
        if reason != self.last_error:  # one line per change, not one per try
            log.warning("store %s: %s", self.address, reason)
        self.last_error = reason


def pack(command: tuple[str | bytes | int, ...]) -> bytes:
    """A command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # the stub knows 1-tuples only
    return packed


def _fulfil(future: "asyncio.Future[Batch]") -> Done:
    def done(batch: Batch) -> None:
        if future.done():
            return  # abandoned: the reply took its place in the order, nobody wants it
        if batch.error is not None:
            future.set_exception(batch.error)
        else:
            future.set_result(batch)

    return done


def _give_up(future: "asyncio.Future[Batch]") -> None:
    if not future.done():
        future.set_exception(StoreLate("no reply in time"))
