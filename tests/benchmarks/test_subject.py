"""The subject of make bench: it tells its port, knows the people of the load, bids, and leaves nothing behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec import Struct

from benchmarks.books import synthetic
from benchmarks.exchange.dialects import BY_NAME
from benchmarks.exchange.population import Population
from benchmarks.exchange.requests import prepare
from benchmarks.subject import SEED, VISITED, seed
from bidder.settings import Stores
from bidder.stores.people_writer import open_client
from tests.servers import RealServer
from tests.service.client import connected

pytestmark = pytest.mark.process


class Started(Struct):
    """A subject that runs."""

    process: "subprocess.Popen[str]"
    line: dict[str, int]
    folder: Path


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A small subject whose folders lie in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.subject", "--line-items", "40", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Started]:
    """A subject that has told its line."""
    process = start(tmp_path)
    try:
        assert process.stdout is not None
        yield Started(process, json.loads(process.stdout.readline() or "{}"), tmp_path)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def answers(port: int) -> list[tuple[int, Any]]:
    """Status and answer to some requests of the exchanges' people."""
    dialects = tuple(BY_NAME[name] for name in ("generic", "google", "xandr"))
    found = []
    async with connected(("127.0.0.1", port)) as client:
        for call in prepare(SEED, 40, time.time(), dialects):
            answer = await client.ask(call.wire("bid.example"))
            found.append((answer.status, answer.json() if answer.body else None))
    return found


def test_from_its_line_to_its_end(subject: Started) -> None:
    """It prints one line with its port and process, bids for requests of the people that it knows, and after
    SIGTERM neither the process nor its store nor its folder is left."""
    assert subject.line["pid"] == subject.process.pid
    found = asyncio.run(answers(subject.line["port"]))
    assert {status for status, _ in found} <= {200, 204}
    bids = [bid for status, answer in found if status == 200 for bid in answer["seatbid"][0]["bid"]]
    assert len(bids) > 10
    assert all(bid["cid"].startswith("shop") for bid in bids)
    process = psutil.Process(subject.process.pid)
    children = process.children(recursive=True)
    assert children
    own, rest = process.cpu_affinity(), children[0].cpu_affinity()
    assert own is not None
    assert rest == (sorted(own)[1:] or own)
    subject.process.send_signal(signal.SIGTERM)
    out, _ = subject.process.communicate(timeout=60)
    assert out == ""
    assert subject.process.returncode == 0
    assert not [child for child in children if child.is_running()]
    assert list(subject.folder.iterdir()) == []


def test_a_subject_that_cannot_start_says_so(tmp_path: Path) -> None:
    """On a port that is taken it prints no line and ends with the reason, instead of hanging."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(tmp_path, "--port", str(taken.getsockname()[1]))
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 1
    assert out == ""
    assert "Address already in use" in err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


async def test_people_visited_shops_of_the_book(redis_server: RealServer) -> None:
    """Each person of the load's population stands in the store with what VISITED shops of the book know."""
    book, now_s = synthetic(100, SEED), time.time()
    people = Population(SEED, 50, now_s)
    await seed(redis_server.url, book, people, now_s)
    client = open_client(Stores(redis_url=redis_server.url))
    try:
        keys = [key async for key in client.scan_iter()]
        fields = await client.hgetall(keys[0])
    finally:
        await client.aclose()
    assert len(keys) == len({people[number].id for number in range(50)}) == 50
    shops = [name for name in fields if name.startswith(b"a:shop")]
    assert len(shops) == VISITED < len(book.advertisers)
