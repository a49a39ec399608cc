"""A real Prometheus watches the demo under load: every panel has something to show.

Grafana itself is not run: what it would ask is asked here, by the panels' own expressions.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.exchange.dialects import BY_NAME
from benchmarks.exchange.requests import prepare
from helm.catalogue import RULES
from tests.bidder.supervisor.serving import until
from tests.corpus import ROOT
from tests.operations.prometheus import PROGRAMS, program, watching
from tests.operations.test_dashboards import queries

pytestmark = pytest.mark.process
NEEDS_TLS = {
    "Resources: TLS certificates run out in",
    "Resources: TLS files cannot be used",
    "Resources: TLS handshakes that failed",
}
"""Panels that the demo leaves empty, as its ports are plain: tests/bidder/web/test_tls.py shows their metrics."""
PUBLIC = (
    ("GET", "/pixel?advertiser=solepath&event=no_such_event&id=1", b""),
    ("GET", "/pixel?advertiser=solepath&event=product_view&id=2&product=someone@example.org&gdpr=0", b""),
    ("GET", f"/pixel?advertiser=solepath&event=product_view&id=3&product=sp-001&gdpr=0&fp={'a' * 32}", b""),
    ("POST", "/v1/matches/generic", b'{"matches": []}'),
    ("POST", "/dsr", b"no.jwt.this"),
)
"""What happens in every deployment some day, and not in a minute of the demo."""


@contextmanager
def running_demo(folder: Path, seconds: float) -> Iterator[dict[str, int]]:
    """The demo's own shops, exchanges and people, as `make demo` runs them; yields its ports."""
    argv = [sys.executable, "-m", "bidder", "demo", "--headless", "--rate", "200", "--people", "1000"]
    argv += ["--seconds", f"{seconds:.0f}"]
    with (folder / "demo.log").open("wb") as log:
        environment = {**os.environ, "TMPDIR": str(folder)}
        process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield until(lambda: ports(folder), "the demo's ports")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(120)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[dict[str, int]]:
    """A demo that is long enough to be looked at."""
    with running_demo(tmp_path, 240) as found:
        yield found


def ports(folder: Path) -> dict[str, int]:
    """Where the demo listens, once it does."""
    for path in folder.glob("**/run/ports.json"):
        with suppress(ValueError):
            told: dict[str, int] = json.loads(path.read_bytes())
            return told
    return {}


def call(method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """What is answered, whatever the status."""
    request = urllib.request.Request(url, data=body or None, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            told: bytes = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            told = error.read()
    return told


def a_video_event(exchange: int) -> str:
    """Path and query of a player's event, from the markup of a bid."""
    dialect = BY_NAME["magnite"]
    for one in prepare(5, 400, time.time(), (dialect,)):
        url = f"http://127.0.0.1:{exchange}{dialect.path}"
        markup = call("POST", url, one.body, dict(one.headers())).decode()
        found = re.search(r"https://bidder\.example(/event\?[^\"<>\]\\]+)", markup)
        if found:
            return found[1].replace("&amp;", "&")
    raise AssertionError("no bid of 400 was for video")


def test_every_panel_has_data(demo: dict[str, int], tmp_path: Path) -> None:
    """Every expression of every panel yields series while the demo runs, but those that need TLS."""
    for name in PROGRAMS:
        program(name)
    rules = sorted(RULES.glob("*.yaml"))
    with watching(tmp_path / "watch", demo["ops"], rules) as watch:
        until(lambda: watch.value("sum(paceline_requests_total)") > 0, "traffic")
        paths = [*PUBLIC, ("GET", a_video_event(demo["exchange"]), b"")]
        empty = {(where, expr) for where, expr in queries() if where.split(" / ")[1] not in NEEDS_TLS}
        assert len(empty) > 150

        def none_left() -> bool:
            for method, path, body in paths:
                call(method, f"http://127.0.0.1:{demo['public']}{path}", body)
            empty.difference_update({asked for asked in empty if watch.query(asked[1])})
            return not empty

        try:
            until(none_left, "data in every panel")
        except AssertionError as late:
            raise AssertionError("\n".join(f"{where}: {expr}" for where, expr in sorted(empty))) from late
