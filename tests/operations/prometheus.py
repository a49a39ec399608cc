"""A real Prometheus and a real Alertmanager that watch one running service, for tests of rules and panels.

Shapes: `watching` starts both on free ports with their data in a folder and ends them; the fixture `watch` does so
    for the tests of a module, and skips them where the programs are absent. `Watch` is asked PromQL.
Units: it scrapes and evaluates every INTERVAL_S.
Never: a process is signalled that this module did not start.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from bidder.stores.embedded import free_port
from tests.bidder.supervisor.serving import until

INTERVAL_S: Final = 1
PROGRAMS: Final = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
SILENT: Final = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
"""An Alertmanager that keeps what it is told and tells nobody."""
_HTTP_S: Final = 30


class Sample(NamedTuple):
    """One series at one time."""

    labels: dict[str, str]
    value: float


class Alert(NamedTuple):
    """One alert; `state` is pending or firing (Prometheus), active or suppressed (Alertmanager)."""

    name: str
    state: str
    labels: dict[str, str]
    annotations: dict[str, str]


def program(name: str) -> str:
    """The path of one of PROGRAMS; skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (apt-get install prometheus prometheus-alertmanager)")
    return found


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """promtool or amtool with these arguments, to its end; what it says is in `stdout` and `stderr`."""
    command = [program(name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


class Watch:
    """What a running Prometheus and its Alertmanager know."""

    def __init__(self, prometheus: int, alertmanager: int) -> None:
        self.url = f"http://127.0.0.1:{prometheus}"
        self.alertmanager_url = f"http://127.0.0.1:{alertmanager}"

    def query(self, expr: str) -> list[Sample]:
        """What an expression yields now: series of a vector, or the one value of a scalar."""
        told = self.api("query", query=expr)
        if told["resultType"] == "scalar":
            return [Sample({}, float(told["result"][1]))]
        return [Sample(row["metric"], float(row["value"][1])) for row in told["result"]]

    def query_range(self, expr: str, start_s: float, end_s: float, step_s: float = 1.0) -> list[Any]:
        """The same over time: rows of `metric` and `values`."""
        told = self.api("query_range", query=expr, start=start_s, end=end_s, step=step_s)
        rows: list[Any] = told["result"]
        return rows

    def value(self, expr: str) -> float:
        """The one value of an expression; 0 where it yields nothing."""
        rows = self.query(expr)
        assert len(rows) <= 1, rows
        return rows[0].value if rows else 0.0

    def alerts(self) -> list[Alert]:
        """Alerts that are pending or fire in Prometheus."""
        rows = self.api("alerts")["alerts"]
        return [Alert(r["labels"]["alertname"], r["state"], r["labels"], r["annotations"]) for r in rows]

    def firing(self) -> set[str]:
        """Names of alerts that fire in Prometheus."""
        return {alert.name for alert in self.alerts() if alert.state == "firing"}

    def alertmanager_alerts(self) -> list[Alert]:
        """Alerts that the Alertmanager holds and that are not over."""
        rows = fetch(f"{self.alertmanager_url}/api/v2/alerts")
        return [
            Alert(r["labels"]["alertname"], r["status"]["state"], r["labels"], r["annotations"]) for r in rows
        ]

    def received(self) -> set[str]:
        """Names of alerts that the Alertmanager holds and that are not over."""
        return {alert.name for alert in self.alertmanager_alerts()}

    def api(self, path: str, **arguments: object) -> Any:
        """The data of one call of Prometheus' HTTP API; raises AssertionError with what it says instead."""
        told = fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}")
        assert told["status"] == "success", told
        return told["data"]


def fetch(url: str) -> Any:
    """JSON from a URL; raises AssertionError with the body of an error."""
    try:
        with urllib.request.urlopen(url, timeout=_HTTP_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{url}: {error.read().decode(errors='replace')}") from None


@contextmanager
def watching(
    folder: Path,
    ops_port: int,
    rules: Sequence[Path] = (),
    alertmanager: dict[str, Any] | None = None,
) -> Iterator[Watch]:
    """Both programs, until the block ends; the first scrape is done. `alertmanager`: its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_port(), free_port()
    with ExitStack() as held:
        routes = _write(folder / "alertmanager.yml", alertmanager or SILENT)
        held.enter_context(_process(_alertmanager(folder, routes, ports[1]), folder / "alertmanager.log"))
        config = _write(folder / "prometheus.yml", configuration(ops_port, ports[1], rules))
        held.enter_context(_process(_prometheus(folder, config, ports[0]), folder / "prometheus.log"))
        watch = Watch(*ports)
        until(lambda: _ready(watch.url) and _ready(watch.alertmanager_url), f"both in {folder}")
        until(lambda: watch.query('up{job="paceline"}'), "the first scrape")
        yield watch


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Watch]]:
    """Starts a Watch of an ops port, with rule files; it ends with the module: `watch(port, [file])`."""
    for name in PROGRAMS:
        program(name)
    with ExitStack() as held:

        def start(
            ops_port: int, rules: Sequence[Path] = (), alertmanager: dict[str, Any] | None = None
        ) -> Watch:
            folder = tmp_path_factory.mktemp("watch")
            return held.enter_context(watching(folder, ops_port, rules, alertmanager))

        yield start


def configuration(ops_port: int, alertmanager: int, rules: Sequence[Path]) -> dict[str, Any]:
    """What Prometheus is told: one target under the job that the chart gives it."""
    return {
        "global": {"scrape_interval": f"{INTERVAL_S}s", "evaluation_interval": f"{INTERVAL_S}s"},
        "rule_files": [str(path.absolute()) for path in rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        "scrape_configs": [
            {"job_name": "paceline", "static_configs": [{"targets": [f"127.0.0.1:{ops_port}"]}]}
        ],
    }


def _prometheus(folder: Path, config: Path, port: int) -> list[str]:
    return [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=1s",
        "--log.level=warn",
    ]


def _alertmanager(folder: Path, config: Path, port: int) -> list[str]:
    return [
        program("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=_HTTP_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path
