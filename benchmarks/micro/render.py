"""What it takes to draw ads of products from a catalogue of a million: open loop, through the public port.

Place: run by hand: `python -m benchmarks.micro.render [--products N] [--rate R] [--seconds S] [--json FILE]`.
Shapes: one process serves /render as a worker does, over a store of PEOPLE people with histories; this one asks. Four
    of five tokens name a person; sizes and layouts as the bandit has them.
Units: ms from the intended send time to the last byte; µs of CPU of the serving process per ad.
    `machine_busy` is the share of all processors' time that anybody used: near 1 the figures are the neighbours'.
Limits: loopback only.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.arrivals import Arrivals
from benchmarks.micro.catalogue import SHOP, build_phase, run
from bidder.audience.history import History, pack_history
from bidder.audience.person import Profile, field_name, pack
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.ads import Showcase
from bidder.campaigns.layouts import suited
from bidder.catalogue.product import DIMENSIONS
from bidder.catalogue.snapshot import Catalogues
from bidder.clock import SystemClock
from bidder.keys import product_key
from bidder.metrics import Tally
from bidder.notices.keys import Keyring
from bidder.notices.token import LATE_S, NOBODY, PERSONAL, Claim, seal
from bidder.render.bandit import Bandit
from bidder.render.showcases import Showcases
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.embedded import EmbeddedServer
from bidder.stores.people_writer import open_client
from bidder.stores.visitors import VisitorStore
from bidder.web.public import PublicServer, public_app
from bidder.web.rendering import Studio, render_routes
from bidder.web.sockets import shared_socket

PEOPLE: Final = 10_000
VISITS: Final = 40
SIZES: Final = ((300, 250), (728, 90), (320, 50), (970, 250), (160, 600), (300, 600), (320, 480))
CONNECTIONS: Final = 64
RING: Final = Keyring(((1, b"b" * 32),))
WARM_S: Final = 2.0
PERSONAL_SHARE: Final = 0.8


class _Everything(Showcases):
    """Creatives numbered by their size."""

    def of(self, line_item: int, creative: int) -> Showcase | None:
        size = SIZES[creative % len(SIZES)]
        return Showcase(SHOP, "Fjell & Strand", size, suited(*size), "en", None)


async def _serve(folder: Path, url: str, channel: Connection) -> None:
    catalogues, tally, clock = Catalogues(folder / "catalogues"), Tally(), SystemClock()
    catalogues.refresh()
    client = open_client(Stores(redis_url=url))
    studio = Studio(
        keyring=RING,
        showcases=_Everything(),
        catalogues=catalogues,
        visitors=VisitorStore(client, tally),
        bandit=Bandit(tally, clock.now_s),
        clock=clock,
        tally=tally,
        base_url="https://ads.example",
        privacy_url="",
    )
    server = PublicServer(public_app(render_routes(studio), tally), tally)
    bound = shared_socket("127.0.0.1", 0)
    port = bound.getsockname()[1]
    await server.start(bound)
    channel.send(port)
    loop = asyncio.get_running_loop()
    begun_s = 0.0
    while await loop.run_in_executor(None, channel.recv) == "mark":
        begun_s = time.process_time()
    drawn = {cell.labels[0]: n for cell, n in tally.samples() if cell.name == "paceline_renders_total"}
    people = {cell.labels[0]: n for cell, n in tally.samples() if cell.name == "paceline_render_people_total"}
    channel.send((time.process_time() - begun_s, drawn, people))
    await server.stop()
    await client.aclose()


def serve(folder: Path, url: str, channel: Connection) -> None:
    """Be the worker."""
    uvloop.run(_serve(folder, url, channel))


async def seed(url: str, products: int) -> None:
    """People who looked at things, as the shop's tag would leave them."""
    rng, now_s = random.Random(3), int(time.time())
    client = open_client(Stores(redis_url=url))
    pipeline = client.pipeline(transaction=False)
    taste = np.random.default_rng(4).standard_normal((PEOPLE, DIMENSIONS)).astype(np.float16)
    for number in range(PEOPLE):
        tag = keys.person_tag(_person(number))
        visits = tuple(
            Visit(
                EventKind.PURCHASE if at % 20 == 19 else EventKind.PRODUCT_VIEW,
                now_s - 600 * at,
                product=product_key(SHOP, f"sku-{rng.randrange(products):07}"),
            )
            for at in range(VISITS)
        )
        viewed = tuple((visit.product, visit.at_s) for visit in visits[:16])
        profile = Profile(now_s, taste[number], products=viewed)
        pipeline.hset(keys.person_key(tag), field_name(SHOP), pack(profile))
        pipeline.hset(keys.history_key(tag), field_name(SHOP), pack_history(History(visits)))
    await pipeline.execute()
    await client.aclose()


def _person(number: int) -> bytes:
    return number.to_bytes(16, "big")


def requests(count: int, host: str) -> list[bytes]:
    """GETs of /render, each with a token of its own."""
    rng, now_s = random.Random(5), int(time.time())
    made = []
    for number in range(count):
        personal = rng.random() < PERSONAL_SHARE
        claim = Claim(
            bid_id=number.to_bytes(12, "big"),
            exchange=1,
            advertiser=1,
            line_item=rng.randrange(200),
            creative=rng.randrange(len(SIZES)),
            bid_cpm_micros=1_000_000,
            currency="EUR",
            rate_ppm=1_000_000,
            imp=0,
            flags=PERSONAL if personal else 0,
            issued_s=now_s,
            expires_s=now_s + 3_600 + LATE_S,
            person=_person(rng.randrange(PEOPLE)) if personal else NOBODY,
        )
        token = seal(claim, RING.signing).browser_token
        made.append(f"GET /render?t={token} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return made


class _Asker(asyncio.Protocol):
    """One connection: one request under way at a time."""

    def __init__(self, free: "asyncio.Queue[_Asker]", answered: "list[tuple[int, bool]]") -> None:
        self._free, self._answered, self._data = free, answered, b""
        self._due_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes, due_ns: int) -> None:
        self._due_ns = due_ns
        self._transport.write(request)  # type: ignore[attr-defined]  # uvloop's transports are no subclass of it

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, mark, body = self._data.partition(b"\r\n\r\n")
        if mark and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            good = head.startswith(b"HTTP/1.1 200") and b"</html>" in body
            self._answered.append((time.perf_counter_ns() - self._due_ns, good))
            self._data = b""
            self._free.put_nowait(self)


async def _ask(
    port: int, rate: float, seconds: float, channel: Connection
) -> tuple[NDArray[np.float64], int]:
    """Latencies in ms of what was due after warming up, and how many answers were not an ad."""
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[_Asker] = asyncio.Queue()
    answered: list[tuple[int, bool]] = []
    for _ in range(CONNECTIONS):
        _, asker = await loop.create_connection(lambda: _Asker(free, answered), "127.0.0.1", port)
        free.put_nowait(asker)
    made = requests(int(rate * (seconds + WARM_S)) + 1, f"127.0.0.1:{port}")
    arrivals = Arrivals(rate, seconds, time.perf_counter_ns(), WARM_S)
    skipped = 0
    for request in made:
        wait_ns = arrivals.next_ns - time.perf_counter_ns()
        if wait_ns > 0:
            await asyncio.sleep(wait_ns / 1e9)
        due_ns = arrivals.take(time.perf_counter_ns())
        while due_ns is None and not arrivals.exhausted(time.perf_counter_ns()):
            await asyncio.sleep(0)
            due_ns = arrivals.take(time.perf_counter_ns())
        if due_ns is None:
            break
        if not skipped and due_ns >= arrivals.warm_ns:
            skipped = len(answered)
            channel.send("mark")
        (await free.get()).ask(request, due_ns)
    for _ in range(CONNECTIONS):
        await free.get()
    measured = answered[skipped:]
    return np.array([ns / 1e6 for ns, _ in measured]), sum(not good for _, good in measured)


def _machine_s() -> tuple[float, float]:
    """Seconds that the processors of this machine were busy, and seconds that there were; Linux alone tells."""
    try:
        ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return 0.0, 0.0
    return float(sum(ticks) - ticks[3] - ticks[4]), float(sum(ticks))


def measure(folder: Path, rate: float, seconds: float, products: int) -> dict[str, object]:
    """One run."""
    with EmbeddedServer(folder / "store") as store:
        uvloop.run(seed(store.url, products))
        here, there = multiprocessing.Pipe()
        worker = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, store.url, there))
        worker.start()
        try:
            port, before = here.recv(), _machine_s()
            latencies_ms, bad = uvloop.run(_ask(port, rate, seconds, here))
            after = _machine_s()
            here.send("end")
            cpu_s, drawn, people = here.recv()
        finally:
            here.close()
            worker.join(10)
            worker.terminate()
    points = dict(
        zip(("p50", "p90", "p99", "max"), np.percentile(latencies_ms, (50, 90, 99, 100)), strict=True)
    )
    return {
        "products": products,
        "rate_per_s": rate,
        "ads": len(latencies_ms),
        "failed": bad,
        "latency_ms": {name: round(float(value), 3) for name, value in points.items()},
        "cpu_us_per_ad": round(cpu_s / max(1, len(latencies_ms)) * 1e6, 1),
        "machine_busy": round((after[0] - before[0]) / max(1.0, after[1] - before[1]), 3),
        "drawn": drawn,
        "people": people,
        "machine": {
            "cpus": os.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
        },
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--neighbours", type=int, default=30)
    parser.add_argument("--rate", type=float, default=10_000 / 60, help="ads per second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "store").mkdir()
        run(build_phase, folder, args.products, args.neighbours)
        figures = measure(folder, args.rate, args.seconds, args.products)
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if not figures["failed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
