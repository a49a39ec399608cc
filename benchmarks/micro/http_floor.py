"""What the exchange port costs by itself: CPU per request of a server that decodes and answers a constant.

Place: run by hand: `python -m benchmarks.micro.http_floor [--connections 1 16 64] [--seconds S] [--gzip]`.
Shapes: a closed loop of raw connections with one request in flight each; the server is benchmarks.peers.lean.
Units: µs of CPU of the server's thread per request, from the kernel's accounting (Linux alone).
"""

import argparse
import asyncio
import gzip
import json
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.exchange.requests import prebid_bodies
from benchmarks.peers import ANSWER
from openrtb.codec import decode_request

BODY_BYTES = 2_000
_HEAD = (
    b"POST /bid/prebid HTTP/1.1\r\nHost: bidder.example:8080\r\nUser-Agent: exchange/1.0\r\n"
    b"Content-Type: application/json\r\nx-openrtb-version: 2.6\r\n%bContent-Length: %d\r\n\r\n%b"
)


def request(compressed: bool) -> bytes:
    """One whole HTTP request whose body is the Prebid.js one nearest to BODY_BYTES."""
    body = min(prebid_bodies(), key=lambda text: abs(len(text) - BODY_BYTES))
    decode_request(body)
    if compressed:
        body = gzip.compress(body)
    return _HEAD % (b"Content-Encoding: gzip\r\n" if compressed else b"", len(body), body)


class Client(asyncio.Protocol):
    """Sends the next request when the answer to the last is whole."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.answers = 0
        self.received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the loop."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.payload)

    def data_received(self, data: bytes) -> None:
        """Count an answer; its last bytes are known."""
        self.received += len(data)
        if data.endswith(ANSWER):
            self.answers += 1
            self.transport.write(self.payload)


def cpu_ns(pid: int) -> int:
    """CPU time of a process's first thread so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


async def _load(port: int, pid: int, payload: bytes, connections: int, seconds: float) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: Client(payload), "127.0.0.1", port)
        clients.append(client)
    await asyncio.sleep(0.3)
    answers, before_ns, began_s = sum(c.answers for c in clients), cpu_ns(pid), time.monotonic()
    await asyncio.sleep(seconds)
    done = sum(c.answers for c in clients) - answers
    figures = (cpu_ns(pid) - before_ns) / done / 1e3, done / (time.monotonic() - began_s)
    for client in clients:
        client.transport.abort()
    return figures


async def _run(arguments: argparse.Namespace) -> None:
    payload = request(arguments.gzip)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.peers.lean", stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    try:
        told = json.loads(await server.stdout.readline())
        print(f"request of {len(payload)} bytes")
        for connections in arguments.connections:
            cost_us, rate = await _load(told["port"], told["pid"], payload, connections, arguments.seconds)
            print(f"{connections:>5} connections: {cost_us:6.2f} µs CPU per request, {rate:8.0f} requests/s")
    finally:
        server.terminate()
        await server.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=2.0, help="per line")
    parser.add_argument("--gzip", action="store_true", help="send compressed bodies")
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
