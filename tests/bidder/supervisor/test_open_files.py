"""A service that may open few files, and strangers who would have them all."""

import contextlib
import resource
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.bidder.supervisor.serving import Serving, until

LIMIT = 640
CONNECTIONS = 700
pytestmark = pytest.mark.process


@contextlib.contextmanager
def _enough_of_our_own() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """One worker, of a service whose processes may open LIMIT files each."""
    serving = Serving(tmp_path / "data", standins=False, PACELINE_WORKERS="1")
    resource.prlimit(serving.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    try:
        yield serving.until_ready(1)
    finally:
        family = serving.descendants()
        serving.process.kill()
        serving.process.wait()
        psutil.wait_procs(family, 10)


def test_a_public_port_full_of_strangers_leaves_the_exchange_port_its_files(serving: Serving) -> None:
    """They open more idle connections than the worker may open files: those beyond the public port's bound are closed,
    and an exchange that comes now is answered."""
    with ExitStack() as held, _enough_of_our_own():
        for _ in range(CONNECTIONS):
            held.enter_context(socket.create_connection(("127.0.0.1", serving.ports["public"]), 30))
        until(lambda: serving.metric("paceline_public_refused_total") > CONNECTIONS // 2, "refusals")
        url = f"http://127.0.0.1:{serving.ports['exchange']}/ready"
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert answer.status == 200
    log = serving.log.read_text()
    assert "no connection can be accepted" not in log
    assert f"open files: {LIMIT}, and " in log
