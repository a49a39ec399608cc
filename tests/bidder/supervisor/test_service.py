"""The supervisor on real processes: workers that die, drain, reload; and nothing left behind."""

import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from bidder.config import Config
from bidder.supervisor import service
from bidder.supervisor.service import TWICE_S, Supervisor
from tests.bidder.supervisor.serving import Serving, until
from tests.processes import command, variables

pytestmark = pytest.mark.process
Serve = Callable[..., Serving]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts services that end with the test, whatever happens."""
    started: list[Serving] = []

    def start(name: str = "data", **environment: str) -> Serving:
        started.append(Serving(tmp_path / name, **environment))
        return started[-1]

    yield start
    for serving in started:
        family = serving.descendants()
        serving.process.kill()
        serving.process.wait()
        for process in family:
            if process.is_running():
                process.kill()
        psutil.wait_procs(family, 10)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them ended (an orphan that nobody waits for is a zombie until its new parent looks)."""
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_a_worker_killed_is_replaced_and_its_counters_go_on(serve: Serve) -> None:
    """kill -9 of a worker: another one takes its slot, goes on counting in the same file, and it shows."""
    serving = serve().until_ready()
    before = serving.workers()
    assert len(before) == 2
    assert serving.metric("paceline_notices_total", kind="win", result="accepted") == 2
    os.kill(before[0], signal.SIGKILL)
    until(lambda: serving.metric("paceline_worker_restarts_total") == 1, "a restart")
    serving.until_ready()
    after = serving.workers()
    assert len(after) == 2
    assert before[1] in after
    assert serving.metric("paceline_notices_total", kind="win", result="accepted") == 3
    assert serving.get("/ready") == (200, b"1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_workers_and_leaves_no_process(serve: Serve, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the service with status 0; no worker, no store, no files of the run remain."""
    serving = serve().until_ready()
    family = serving.descendants()
    assert len(family) == 4
    serving.process.send_signal(number)
    assert serving.wait() == 0
    assert gone(family)
    assert not (serving.data_dir / "run" / "ports.json").exists()
    assert not (serving.data_dir / "redis.url").exists()
    assert not (serving.data_dir / "ledger.url").exists()
    assert "not ready: draining" in serving.log.read_text()


def test_a_supervisor_killed_takes_workers_and_store_with_it(serve: Serve) -> None:
    """kill -9 of the supervisor: its workers and the embedded store end by themselves."""
    serving = serve().until_ready()
    family = serving.descendants()
    assert len(family) == 4
    serving.process.kill()
    serving.wait()
    until(lambda: gone(family), "the end of workers and store")


def test_a_worker_that_does_not_drain_is_killed_in_time(serve: Serve, tmp_path: Path) -> None:
    """Past the drain time-out a stubborn worker is killed and the service still ends."""
    settings = tmp_path / "settings.toml"
    settings.write_text("[exchange]\ndrain_timeout_s = 0.2\n")
    serving = serve(STANDIN="stubborn", config=str(settings)).until_ready()
    family = serving.descendants()
    serving.process.terminate()
    assert serving.wait() == 0
    assert gone(family)
    assert "did not end in time" in serving.log.read_text()


def test_a_second_signal_kills_at_once(serve: Serve) -> None:
    """Told again after a second, the service does not wait for workers that do not drain."""
    serving = serve(STANDIN="stubborn").until_ready()
    family = serving.descendants()
    serving.process.terminate()
    until(lambda: serving.get("/ready")[0] == 503, "the drain")

    def heard() -> bool:
        if "told to stop twice" in serving.log.read_text():
            return True
        serving.process.terminate()
        return False

    until(heard, "the second order")
    assert serving.wait() == 0
    assert gone(family)


def test_one_order_told_to_the_process_and_to_its_group_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`timeout` signals both at once: workers drain all the same; a second later it is another order."""
    now_s, killed = [100.0], []
    monkeypatch.setattr(service, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    supervisor = Supervisor(Config(), {})
    slot: Any = SimpleNamespace(signal=killed.append)
    supervisor._slots = [slot]
    for later_s in (0.0, 0.014, TWICE_S - 0.1):
        now_s[0] = 100.0 + later_s
        supervisor._stop()
    assert killed == []
    now_s[0] = 100.0 + TWICE_S
    supervisor._stop()
    assert killed == [signal.SIGKILL]


def test_sighup_and_a_changed_file_reach_the_workers(serve: Serve, tmp_path: Path) -> None:
    """SIGHUP is handed on; a campaign file that is replaced does the same within a second or two."""
    campaigns = tmp_path / "campaigns.yaml"
    campaigns.write_text("advertisers: []\n")
    serving = serve(PACELINE_CAMPAIGNS=str(campaigns)).until_ready()
    serving.process.send_signal(signal.SIGHUP)
    until(lambda: serving.metric("paceline_notices_total", result="test") == 2, "two reloads")
    campaigns.write_text("advertisers: [ ]\n")
    until(lambda: serving.metric("paceline_notices_total", result="test") == 4, "two more reloads")


def test_a_worker_that_dies_again_and_again_raises_the_alarm(serve: Serve) -> None:
    """Young deaths in a row are paused between and show as failing; the service is alive and not ready."""
    serving = serve(STANDIN="exit:3", PACELINE_WORKERS="1")
    until((serving.data_dir / "run" / "ports.json").exists, "the ports")
    until(lambda: serving.metric("paceline_workers_failing") == 1, "the alarm")
    status, body = serving.get("/ready")
    assert status == 503
    assert b"1" not in body
    assert serving.get("/live")[0] == 200
    serving.process.terminate()
    assert serving.wait() == 0


def test_a_configuration_that_workers_refuse_ends_the_start(serve: Serve) -> None:
    """Exit status 78 at the first start stops the service with one line, instead of restarting for ever.

    Nothing in the folder says that it runs.
    """
    serving = serve(STANDIN="exit:78")
    assert serving.wait() == 1
    assert serving.log.read_text().splitlines()[-1].startswith("paceline: worker ")
    assert not (serving.data_dir / "run" / "ports.json").exists()
    assert not (serving.data_dir / "redis.url").exists()
    assert not (serving.data_dir / "ledger.url").exists()


def test_two_services_on_one_data_directory_refuse(serve: Serve) -> None:
    """The second one ends with one line that names the folder and the first one's process."""
    first = serve().until_ready()
    second = serve()
    assert second.wait() == 1
    last = second.log.read_text().splitlines()[-1]
    assert last.startswith("paceline: the data directory ")
    assert f"process {first.process.pid}" in last
    assert first.get("/ready")[0] == 200


@pytest.mark.parametrize("port", ["EXCHANGE", "PUBLIC", "OPS"])
def test_a_port_in_use_is_one_clear_line(serve: Serve, port: str) -> None:
    """A port that somebody listens on, even one that would share it, is named and nothing is started."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        serving = serve(**{f"PACELINE_{port}_PORT": str(number)})
        assert serving.wait() == 1
    purpose = port.lower()
    last = serving.log.read_text().splitlines()[-1]
    assert last == f"paceline: the {purpose} port 127.0.0.1:{number} is in use"


def test_the_embedded_store_is_said_private_and_started_again(serve: Serve) -> None:
    """Its address is in a file for the owner alone; killed, it comes back at the same address."""
    serving = serve().until_ready()
    address = serving.data_dir / "redis.url"
    assert stat.S_IMODE(address.stat().st_mode) == 0o600
    assert "no PACELINE_REDIS_URL" in serving.log.read_text()
    serving.server("redis").kill()
    until(lambda: serving.metric("paceline_store_restarts_total") == 1, "the store's return")
    assert serving.metric("paceline_process_resident_memory_bytes", process="store") > 0


def test_no_secret_stands_in_logs_arguments_variables_or_metrics(serve: Serve) -> None:
    """Token keys reach workers over the link alone."""
    secret = "5ec4e7" * 12
    serving = serve(PACELINE_TOKEN_KEYS=f"1:{secret}").until_ready()
    children = serving.descendants()
    lines = [" ".join(command(child)) for child in children]
    assert secret not in serving.log.read_text() + serving.get("/metrics")[1].decode() + " ".join(lines)
    assert not [name for child in children for name in variables(child) if name.startswith("PACELINE_")]
    assert not (serving.data_dir / "token.keys").exists()


def test_the_data_directory_is_for_its_owner_alone(serve: Serve) -> None:
    """Other users of the machine read nothing of it: not the people, not the keys, not the counters."""
    umask = os.umask(0o022)
    try:
        serving = serve().until_ready()
    finally:
        os.umask(umask)
    assert stat.S_IMODE(serving.data_dir.stat().st_mode) == 0o700
    inside = [path for path in serving.data_dir.rglob("*") if path.name != "lock"]
    assert {"token.keys", "store.sock"} < {path.name for path in inside}
    assert [path for path in (serving.data_dir / "redis").rglob("*") if path.suffix == ".aof"]
    assert not [path for path in inside if path.is_file() and path.stat().st_mode & 0o077]


def test_a_lock_that_leads_elsewhere_is_refused(serve: Serve, tmp_path: Path) -> None:
    """A link in place of the lock would have us empty somebody's file."""
    (tmp_path / "data").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "data" / "lock").symlink_to(victim)
    serving = serve()
    assert serving.wait() == 1
    assert victim.read_text() == "precious"
    assert "cannot be used" in serving.log.read_text()


def test_processes_are_measured(serve: Serve) -> None:
    """A scrape tells memory, CPU and files of supervisor, store and each worker, and what runs."""
    serving = serve().until_ready()
    for process in ("supervisor", "store", "ledger", "worker-0", "worker-1"):
        assert serving.metric("paceline_process_resident_memory_bytes", process=process) > 1_000_000
        assert serving.metric("paceline_process_open_fds", process=process) > 2
        assert serving.metric("paceline_process_start_time_seconds", process=process) > 1.7e9
    assert serving.metric("paceline_build_info") == 1
    assert serving.metric("paceline_workers_configured") == 2
