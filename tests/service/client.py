"""A light keep-alive HTTP client, and a crowd of them: what an exchange does to the service.

Shapes: a `Client` asks one request at a time and counts connections lost; `Crowd` keeps a steady, open rate.
Units: seconds, requests per second.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Address = tuple[str, int]
ANSWER_S = 30.0
"""A client that waits so long has met a hang; no test is judged by less."""


class Answer(NamedTuple):
    """One answer off the wire."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the connection ends with it."""
        return self.fields.get("connection") == "close"

    def json(self) -> Any:
        """The body, inflated where it is gzip."""
        body = gzip.decompress(self.body) if self.fields.get("content-encoding") == "gzip" else self.body
        return json.loads(body)


class Client:
    """One connection of an exchange; it connects anew where it is told to close, and counts what was cut."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.connections = 0
        self.lost = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, data: bytes) -> Answer:
        """One request, one answer. A ConnectionError means that it was cut without one."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self.address)
            self.connections += 1
        assert self._reader is not None
        try:
            async with asyncio.timeout(ANSWER_S):
                self._writer.write(data)
                answer = await _read(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.lost += 1
            await self.close()
            raise ConnectionError("cut without an answer") from error
        if answer.closes:
            await self.close()
        return answer

    async def close(self) -> None:
        """Hang up."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(
        int(first.split()[1]), fields, await reader.readexactly(int(fields.get("content-length", "0")))
    )


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[Client]:
    """A client that hangs up at the end."""
    client = Client(address)
    try:
        yield client
    finally:
        await client.close()


def post(body: bytes, exchange: str = "generic", *fields: str) -> bytes:
    """A bid request as bytes."""
    lines = [
        f"POST /bid/{exchange} HTTP/1.1",
        "Host: bidder.example",
        *fields,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def bid_request(number: int = 0, **more: Any) -> bytes:
    """A request that the shop of data/book.yaml bids for; `more` are further fields of it."""
    request: dict[str, Any] = {
        "id": f"r{number}",
        "at": 1,
        "tmax": 250,
        "imp": [{"id": "1", "banner": {"format": [{"w": 300, "h": 250}]}, "secure": 1}],
        "site": {"id": "s1", "domain": "news.example", "page": "https://news.example/"},
        "device": {"ua": "Mozilla/5.0", "ip": "192.0.2.1", "geo": {"country": "USA"}},
    }
    return json.dumps(request | more, separators=(",", ":")).encode()


class Crowd:
    """Clients that ask at a steady rate, however slow the answers are, until told to stop."""

    def __init__(self, address: Address, rate: float, clients: int = 8, exchange: str = "generic") -> None:
        self.statuses: Counter[int] = Counter()
        self.refused = 0
        """Connections that nobody took: nothing was asked on them."""
        self.prices: Counter[float] = Counter()
        """Of the bids: what was offered, and how often."""
        self.by_body: Counter[tuple[int, float]] = Counter()
        """The same by the number of the body that was asked for."""
        self._exchange = exchange
        self._pause_s = clients / rate
        self._clients = [Client(address) for _ in range(clients)]
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._bodies: Sequence[bytes] = ()
        self._next = 0

    @property
    def lost(self) -> int:
        """Requests that were sent and cut without an answer."""
        return sum(client.lost for client in self._clients)

    @property
    def connections(self) -> int:
        """Connections made."""
        return sum(client.connections for client in self._clients)

    @property
    def answered(self) -> int:
        """Answers of any status."""
        return sum(self.statuses.values())

    def start(self, bodies: Sequence[bytes]) -> None:
        """Begin to ask."""
        self._bodies = bodies
        self._tasks = [asyncio.create_task(self._live(client)) for client in self._clients]

    async def more(self, count: int) -> None:
        """Wait until so many more answers came."""
        goal = self.answered + count
        await self.until(lambda: self.answered >= goal)

    async def sees(self, price: float, count: int = 20) -> None:
        """Wait until so many more bids at a price came."""
        goal = self.prices[price] + count
        await self.until(lambda: self.prices[price] >= goal)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait while the clients go on; raises what one of them met."""
        while not holds():
            self.check()
            await asyncio.sleep(0.005)

    def check(self) -> None:
        """Raise what a client met."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def stop(self) -> None:
        """Stop asking, wait for the last answers, hang up."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        for client in self._clients:
            await client.close()

    async def _live(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not self._stopping.is_set():
            self._next += 1
            number = self._next % len(self._bodies)
            try:
                self._note(number, await client.ask(post(self._bodies[number], self._exchange)))
            except ConnectionRefusedError:
                self.refused += 1
            except ConnectionError:
                pass  # the client counted it
            due_s += self._pause_s
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), max(0.0, due_s - loop.time()))

    def _note(self, number: int, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        if answer.status == 200:
            for bid in bids(answer):
                self.prices[bid["price"]] += 1
                self.by_body[number, bid["price"]] += 1


@asynccontextmanager
async def load(
    address: Address, bodies: Sequence[bytes], rate: float = 400.0, exchange: str = "generic"
) -> AsyncIterator[Crowd]:
    """A crowd at work; it stops at the end."""
    crowd = Crowd(address, rate, exchange=exchange)
    crowd.start(bodies)
    try:
        yield crowd
    finally:
        await crowd.stop()


def bids(answer: Answer) -> Iterator[dict[str, Any]]:
    """The bids of an answer."""
    for seat in answer.json()["seatbid"]:
        yield from seat["bid"]
