"""`paceline serve` as it is: real workers under the real supervisor."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bidder.supervisor.serving import ROOT, Serving, until

pytestmark = pytest.mark.process
BOOK = ROOT / "tests" / "service" / "data" / "book.yaml"


@pytest.fixture
def campaigns(tmp_path: Path) -> Path:
    """A campaign file that the test may change."""
    path = tmp_path / "book.yaml"
    path.write_bytes(BOOK.read_bytes())
    return path


@pytest.fixture
def serving(tmp_path: Path, campaigns: Path) -> Iterator[Serving]:
    """One worker, stopped with the test."""
    running = Serving(
        tmp_path / "data", standins=False, PACELINE_WORKERS="1", PACELINE_CAMPAIGNS=str(campaigns)
    )
    yield running
    family = running.descendants()
    running.process.terminate()
    try:
        running.process.wait(30)
    except subprocess.TimeoutExpired:
        running.process.kill()
    left = [process for process in family if process.is_running()]
    for process in left:
        process.kill()
    assert not left, "the service left processes behind"


def test_ready_listening_and_measured(serving: Serving) -> None:
    """Both ports take connections, and a scrape shows the worker's own counters."""
    serving.until_ready(1)
    for port in ("exchange", "public"):
        socket.create_connection(("127.0.0.1", serving.ports[port]), 5).close()
    assert serving.metric("paceline_line_items") > 0
    assert serving.get("/ready") == (200, b"1")


def test_a_worker_says_why_it_is_not_ready(serving: Serving) -> None:
    """While it drains, the log tells so."""
    serving.until_ready(1)
    serving.process.send_signal(signal.SIGTERM)
    assert serving.wait() == 0
    assert "worker 0 is not ready: draining" in serving.log.read_text()


def test_a_bad_campaign_file_at_the_start_ends_it_with_the_place(serving: Serving, campaigns: Path) -> None:
    """Campaigns that cannot be used are told with file and line, once, and the service does not start."""
    serving.until_ready(1)
    campaigns.write_text("advertisers: [{id: 7}]\n")
    second = Serving(
        serving.data_dir.with_name("second"),
        standins=False,
        PACELINE_WORKERS="1",
        PACELINE_CAMPAIGNS=str(campaigns),
    )
    assert second.wait() == 1
    log = second.log.read_text()
    assert "book.yaml:1" in log
    assert log.splitlines()[-1].endswith("cannot use the configuration: its log says why")
    until(lambda: serving.metric("paceline_campaigns_reload_failed") == 1, "the alarm of the running one")
    assert serving.metric("paceline_line_items") > 0
    campaigns.write_bytes(BOOK.read_bytes())
    until(lambda: serving.metric("paceline_campaigns_reload_failed") == 0, "good campaigns")
    campaigns.write_text(BOOK.read_text().replace("currency: USD", "currency: JPY"))
    until(
        lambda: serving.metric("paceline_campaigns_reload_failed") == 1,
        "a wallet that counts in another currency",
    )
    assert psutil.pid_exists(serving.process.pid)


def test_a_caretaker_that_is_killed_is_started_again(serving: Serving) -> None:
    """kill -9 of the caretaker: another one does its chores, and it shows."""
    serving.until_ready(1)
    until(lambda: serving.metric("paceline_caretaker_up") == 1, "the caretaker")
    (caretaker,) = serving.running("caretaker")
    caretaker.kill()
    until(lambda: serving.metric("paceline_caretaker_restarts_total") == 1, "a restart")
    until(lambda: serving.metric("paceline_caretaker_up") == 1, "another caretaker")
    until(
        lambda: serving.metric("paceline_chore_last_success_timestamp_seconds", chore="anonymise") > 0,
        "its chores",
    )
    assert serving.get("/ready") == (200, b"1")
