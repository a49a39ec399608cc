"""The embedded servers of people and of money: which are started, how they come back, what outlives them."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.stores import embedded
from bidder.stores.embedded import EmbeddedServer
from bidder.supervisor.ledger import PLAY_MONEY
from bidder.supervisor.servers import KeptServer, people_bound
from tests.bidder.supervisor.serving import Serving, until
from tests.servers import RealServer, eventually

Serve = Callable[..., Serving]
SHOPS = [advertiser.id for advertiser in load_book(demo_book_path()).advertisers]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts services that end with the test, whatever happens."""
    started: list[Serving] = []

    def start(**environment: str) -> Serving:
        started.append(Serving(tmp_path / "data", **environment))
        return started[-1]

    yield start
    for serving in started:
        family = serving.descendants()
        serving.process.kill()
        serving.process.wait()
        psutil.wait_procs(family, 10)


def ledger(serving: Serving) -> redis.Redis:
    """A client of a service's embedded ledger."""
    return redis.Redis.from_url((serving.data_dir / "ledger.url").read_text().strip())


@pytest.mark.process
def test_without_urls_there_are_two_servers(serve: Serve) -> None:
    """People's syncs every second, the ledger's each change; both addresses are private, the log says so."""
    serving = serve().until_ready()
    assert serving.server("redis").pid != serving.server("ledger").pid
    address = serving.data_dir / "ledger.url"
    assert stat.S_IMODE(address.stat().st_mode) == 0o600
    assert "no PACELINE_LEDGER_URL" in serving.log.read_text()
    with ledger(serving) as client:
        settings = client.config_get("append*", "maxmemory-policy")
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "always")
    assert settings["maxmemory-policy"] == "noeviction"


@pytest.mark.process
def test_a_ledger_killed_comes_back_with_everything(serve: Serve) -> None:
    """kill -9 of the ledger's server: started again at the same address, every answered write is there, counted."""
    serving = serve().until_ready()
    with ledger(serving) as client:
        assert [client.incr("answered") for _ in range(200)][-1] == 200
        for death in (1, 2):
            serving.server("ledger").send_signal(signal.SIGKILL)
            until(
                lambda death=death: serving.metric("paceline_ledger_restarts_total") == death,  # type: ignore[misc]  # bound as a default
                "the ledger's return",
            )
            until(lambda: answers(client), "the ledger's answer")
            assert client.get("answered") == b"200"
    assert serving.metric("paceline_store_restarts_total") == 0
    assert serving.metric("paceline_process_resident_memory_bytes", process="ledger") > 0


@pytest.mark.process
def test_the_demo_has_money_before_the_first_worker(serve: Serve) -> None:
    """Without campaigns each shop has play money as soon as a worker is ready; it survives kill -9 of everything."""
    serving = serve().until_ready()
    assert serving.log.read_text().count("play money") == len(SHOPS)
    with ledger(serving) as client:
        assert client.hget(f"ml:{{{SHOPS[0]}}}:a", "wallet|funded") == str(PLAY_MONEY).encode()
    serving.process.kill()
    serving.wait()
    again = serve().until_ready()
    assert again.log.read_text().count("play money") == len(SHOPS)
    with ledger(again) as client:
        assert client.hget(f"ml:{{{SHOPS[0]}}}:a", "wallet|funded") == str(PLAY_MONEY).encode()


@pytest.mark.process
def test_an_operator_moves_money_in_a_running_service(serve: Serve) -> None:
    """The commands find the ledger by the data directory; kill -9 of it between two of them loses no movement."""
    serving = serve().until_ready()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")}

    def paceline(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "bidder", *arguments]
        environment = {**clean, "PACELINE_DATA_DIR": str(serving.data_dir)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert paceline("budget", "fund", SHOPS[0], "12.34", "--id", "invoice-1").returncode == 0
    serving.server("ledger").kill()
    until(lambda: serving.metric("paceline_ledger_restarts_total") == 1, "the ledger's return")
    until(lambda: paceline("budget", "show").returncode == 0, "the ledger's answer")
    again = paceline("budget", "fund", SHOPS[0], "12.34", "--id", "invoice-1")
    assert "done before, nothing changed; wallet: 100,012.34 funded" in again.stdout
    audited = paceline("audit")
    assert (audited.returncode, audited.stdout.count("every balance is proven")) == (0, len(SHOPS))
    serving.process.terminate()
    assert serving.wait() == 0
    gone = paceline("budget", "show")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr.startswith("paceline: no ledger: no service runs in ")


@pytest.mark.process
def test_campaigns_of_their_own_have_no_play_money(serve: Serve, tmp_path: Path) -> None:
    """Only the demo's shops are given anything."""
    campaigns = tmp_path / "campaigns.yaml"
    campaigns.write_text("advertisers: []\n")
    serving = serve(PACELINE_CAMPAIGNS=str(campaigns)).until_ready()
    assert "play money" not in serving.log.read_text()
    with ledger(serving) as client:
        assert client.keys() == []


@pytest.mark.process
def test_a_ledger_that_is_down_holds_nothing_up(serve: Serve) -> None:
    """Workers start, the log tells; a URL that is none ends the start with one line."""
    serving = serve(PACELINE_LEDGER_URL="redis://:hunter2@127.0.0.1:1").until_ready()
    assert "the ledger at redis://***@127.0.0.1:1 cannot be reached" in serving.log.read_text()
    assert "hunter2" not in serving.log.read_text()
    serving.process.terminate()
    assert serving.wait() == 0
    wrong = serve(PACELINE_LEDGER_URL="http://127.0.0.1")
    assert wrong.wait() == 1
    assert wrong.log.read_text().splitlines()[-1].startswith("paceline: not a store's URL")


def answers(client: redis.Redis) -> bool:
    """Whether a server takes commands."""
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.mark.process
def test_a_ledger_given_is_not_started(serve: Serve, own_server: RealServer) -> None:
    """With PACELINE_LEDGER_URL alone, people live in an embedded store, money does not."""
    serving = serve(PACELINE_LEDGER_URL=own_server.url).until_ready()
    assert serving.server("redis")
    assert not (serving.data_dir / "ledger").exists()
    assert not (serving.data_dir / "ledger.url").exists()


@pytest.mark.process
def test_people_given_are_shared_with_the_ledger(serve: Serve, own_server: RealServer) -> None:
    """With PACELINE_REDIS_URL alone nothing is started."""
    serving = serve(PACELINE_REDIS_URL=own_server.url).until_ready()
    assert len(serving.descendants()) == 2
    assert serving.metric("paceline_ledger_restarts_total") == 0


@pytest.mark.process
def test_spool_and_journal_outlive_the_service(serve: Serve, tmp_path: Path) -> None:
    """Both folders are private, and what stands in them is there after kill -9 and another start."""
    journal = tmp_path / "elsewhere" / "journal"
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[ledger]\njournal_dir = "{journal}"\n')
    serving = serve(config=str(settings)).until_ready()
    spool = serving.data_dir / "spool"
    for folder in (spool, journal):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "kept").write_text("precious")
    serving.process.kill()
    serving.wait()
    serve(config=str(settings)).until_ready()
    assert [(folder / "kept").read_text() for folder in (spool, journal)] == ["precious"] * 2


@pytest.mark.process
def test_a_journal_that_cannot_be_kept_ends_the_start(serve: Serve, tmp_path: Path) -> None:
    """A file in place of the journal's folder is named in one line."""
    (tmp_path / "taken").write_text("")
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[ledger]\njournal_dir = "{tmp_path / "taken"}"\n')
    serving = serve(config=str(settings))
    assert serving.wait() == 1
    assert serving.log.read_text().splitlines()[-1].startswith("paceline: the journal's folder ")


async def test_a_server_that_cannot_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as no server can be had, each try is counted; once it can, everything is there again."""
    kept = KeptServer("ledger", tmp_path / "ledger", "always")
    url = kept.start(tmp_path / "ledger.url")
    keeping = asyncio.create_task(kept.keep())
    find, tries = embedded.find_server, 0

    def none() -> Path:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise embedded.EmbeddedError("no server") if tries == 1 else OSError(24, "Too many open files")
        return find()

    try:
        with redis.Redis.from_url(url) as client:
            client.set("a", 1)
        monkeypatch.setattr(embedded, "find_server", none)
        pid = kept.state.pid
        assert pid is not None
        psutil.Process(pid).kill()
        await eventually(lambda: kept.state.restarts >= 3 and kept.state.pid)
        with redis.Redis.from_url(url) as client:
            await eventually(lambda: answers(client))
            assert client.get("a") == b"1"
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        kept.close()


def test_a_folder_in_use_is_waited_for(tmp_path: Path) -> None:
    """A server on its way out still has the folder: the next one waits for it."""
    first, second = EmbeddedServer(tmp_path), EmbeddedServer(tmp_path)
    first.start()
    leaving = threading.Thread(target=first.close)
    leaving.start()
    second.launch(patience_s=60)
    second.wait()
    leaving.join()
    with redis.Redis.from_url(second.url) as client:
        assert client.ping()
    second.close()


@pytest.mark.process
def test_the_peoples_server_may_be_bounded(tmp_path: Path) -> None:
    """It then makes room of those who would go soonest; without a bound it takes what there is, and loses nobody."""
    expected = {64: (64 * 1024 * 1024, "volatile-ttl"), 0: (0, "noeviction")}
    for max_mb, (size, policy) in expected.items():
        kept = KeptServer("store", tmp_path / str(max_mb), "everysec", people_bound(max_mb))
        try:
            with redis.Redis.from_url(kept.start(tmp_path / "url")) as client:
                assert client.config_get("maxmemory") == {"maxmemory": str(size)}
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": policy}
        finally:
            kept.close()
