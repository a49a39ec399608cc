"""What `make bench` measures: one worker with N line items and a store full of people, on a port of its own.

Place: bench.py starts it as a process, reads one line of JSON ({"port", "pid"}) and loads it.
Shapes: the people are those whom benchmarks.exchange.requests draws with the same seed; each visited VISITED shops
    of the synthetic book, so that a bid reads, retrieves and prices what a bid in production would.
    The household runs, too: records, catalogues, shops, and the screen of invalid traffic over NETWORKS networks.
Limits: the load repeats its people many times a second, whom the screen would take for robots: it counts them, and
    what it finds of that is ignored, so that whole bids are measured and not refusals.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path

import uvloop

from benchmarks.books import synthetic
from benchmarks.exchange.population import Population
from benchmarks.exchange.requests import PEOPLE
from benchmarks.profiles import profile
from bidder.app import Worker
from bidder.audience.person import Profile
from bidder.campaigns.model import Book
from bidder.campaigns.rates import load_rates
from bidder.config import Config, WorkerSetup
from bidder.live import Live, build_world
from bidder.notices.keys import Keyring
from bidder.screening import FraudRules, Policies
from bidder.settings import AuctionRules, PrivacyRules, Stores
from bidder.stores.embedded import EmbeddedServer, free_port
from bidder.stores.people_writer import PeopleWriter, open_client
from budget.money import micros_from_text
from budget.redis_store import RedisStore

VISITED = 3
SEED = 1
NETWORKS = 40_000
"""As many as a list of data centres has."""
BASE_URL = "https://bid.example"
KEYS = ((1, bytes(range(32))),)
PLENTY = micros_from_text(1_000_000_000)


async def seed(redis_url: str, book: Book, people: Population, now_s: float) -> None:
    """Write the people and what the shops they visited know of them."""
    client = open_client(Stores(redis_url=redis_url))
    try:
        await PeopleWriter(client).save_many(known(book, people, now_s), now_s)
    finally:
        await client.aclose()


async def fund(ledger_url: str, book: Book) -> None:
    """Give every shop's wallet more than a benchmark can spend."""
    store = RedisStore.connect(ledger_url)
    try:
        for shop in book.advertisers:
            await store.fund(shop.id, "benchmark", PLENTY)
    finally:
        await store.close()


def known(book: Book, people: Population, now_s: float) -> Iterator[tuple[bytes, dict[str, Profile]]]:
    """Each person's id, and by the shops they visited what these know."""
    rng = random.Random(SEED)
    shops = book.advertisers
    for number in range(len(people)):
        human = people[number]
        visited = rng.sample(shops, min(VISITED, len(shops)))
        yield bytes.fromhex(human.id), {shop.id: profile(human, shop, now_s) for shop in visited}


def networks() -> list[IPv4Network]:
    """Networks such as an operator lists."""
    rng = random.Random(SEED)
    return [IPv4Network((rng.randrange(1 << 24) << 8, 24)) for _ in range(NETWORKS)]


def rules(folder: Path) -> FraudRules:
    """The screen of a worker that is measured; the list of networks is written into `folder`."""
    listed = folder / "networks.txt"
    listed.write_text("".join(f"{network}\n" for network in networks()))
    policies = Policies(person_rate="ignore", address_rate="ignore")
    return FraudRules(policies=policies, datacenter_networks=(str(listed),))


async def serve(args: argparse.Namespace, store: EmbeddedServer, folder: str) -> None:
    """Seed the store, then be a worker until told to stop; raises what keeps it from starting."""
    book, rates = synthetic(args.line_items, SEED), load_rates()
    await seed(store.url, book, Population(SEED, PEOPLE, time.time()), time.time())
    config = Config(
        auction=AuctionRules(check_answers=not args.unchecked),
        privacy=PrivacyRules(vendor_id=args.vendor_id),
        fraud=rules(Path(folder)),
    )

    def load(config: Config, keyring: Keyring, base_url: str) -> Live:
        return Live(build_world(config, (book, rates), keyring, base_url), book, rates, time.time())

    await fund(store.url, book)
    reader, writer = os.pipe()
    setup = WorkerSetup(
        slot=0,
        redis_url=store.url,
        ledger_url=store.url,
        spool_dir=str(Path(folder) / "spool"),
        tally_path=str(Path(folder) / "worker-0.tally"),
        token_keys=KEYS,
        exchange_port=args.port or free_port(),
        public_port=free_port(),
        base_url=BASE_URL,
        announce_fd=writer,
        data_dir=str(Path(folder) / "data"),
        events_dir=str(Path(folder) / "data" / "events"),
    )
    try:
        await _announced(Worker(config, setup, load), setup.exchange_port, reader)
    finally:
        os.close(reader)
        os.close(writer)


async def _announced(worker: Worker, port: int, reader: int) -> None:
    """Run a worker, and print the line when it has told that it takes requests; one that cannot start raises."""
    running = asyncio.create_task(worker.run())
    told = asyncio.create_task(_spoken(reader))
    done, _ = await asyncio.wait((running, told), return_when=asyncio.FIRST_COMPLETED)
    if running not in done:
        print(json.dumps({"port": port, "pid": os.getpid()}), flush=True)
    told.cancel()
    await running


async def _spoken(descriptor: int) -> None:
    """Wait until something is written to a pipe."""
    loop, spoken = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, spoken.set)
    try:
        await spoken.wait()
    finally:
        loop.remove_reader(descriptor)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--line-items", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--vendor-id", type=int, default=1, help="named in the consent strings of the people")
    parser.add_argument("--unchecked", action="store_true", help="without the check of our own answers")
    args = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="paceline-bench-") as folder,
        EmbeddedServer(Path(folder)) as store,
    ):
        _off_the_first_core(store)
        uvloop.run(serve(args, store, folder))
    return 0


def _off_the_first_core(store: EmbeddedServer) -> None:
    """The store does its work beside the load; the first core is the subject's."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1 and store.process is not None:
        os.sched_setaffinity(store.process.pid, set(cores[1:]))


if __name__ == "__main__":
    raise SystemExit(main())
