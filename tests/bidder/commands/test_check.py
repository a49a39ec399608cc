"""`paceline check`: says what is wrong and where, and changes nothing."""

import os
import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from bidder.__main__ import main


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean environment with free ports and an empty data directory."""
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path / "data"))
    for port in ("EXCHANGE", "PUBLIC", "OPS"):
        monkeypatch.setenv(f"PACELINE_{port}_PORT", "0")
    return tmp_path


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, str]]:
    """Exit code, and each line's verdict and text by what was looked at."""
    status = main(["check", *arguments])
    lines = [line for line in capsys.readouterr().out.splitlines() if line[:6] in ("ok    ", "WRONG ")]
    told = {}
    for line in lines:
        name, _, text = line[7:].partition(": ")
        told[name] = f"{line[:6].strip()} {text}"
    return status, told


def test_all_is_well_by_default(capsys: pytest.CaptureFixture[str], settings: Path) -> None:
    """Without any configuration the demo's shops, made keys and an embedded store are fine; nothing is made."""
    status, told = checked(capsys)
    assert status == 0, told
    assert set(told) == {
        "configuration",
        "campaigns",
        "product feeds",
        "rates",
        "token keys",
        "price keys",
        "deletion keys",
        "TLS",
        "store",
        "ledger",
        "ports",
        "open files",
    }
    assert told["TLS"] == "ok exchange plain, public plain, ops plain"
    assert "no keys for google" in told["price keys"]
    assert not (settings / "data").exists()


def test_the_limit_of_open_files_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves to connections, what all that are configured would need; one that no worker can live with is
    wrong."""
    limits = iter([(256, 65_536), (256, 1_024), (256, 300)])
    limit = next(limits)
    monkeypatch.setattr(resource, "getrlimit", lambda _: limit)
    ports = "connections of the exchange port and {} of the public port of each worker"
    assert checked(capsys)[1]["open files"] == f"ok 65,536 of each process, 10,000 {ports.format('4,096')}"
    limit = next(limits)
    told = checked(capsys)[1]["open files"]
    assert told.startswith(f"ok 1,024 of each process, 432 {ports.format('144')}; 15,888 for all")
    limit = next(limits)
    status, lines = checked(capsys)
    assert status == 1
    assert lines["open files"] == "WRONG 300 of each process (the hard limit), and a worker alone needs 512"


def test_a_feed_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str], settings: Path) -> None:
    """With its path, and from the folder that feeds are meant from."""
    assert checked(capsys)[1]["product feeds"] == "ok 3 files, 0 fetched from elsewhere"
    file = settings / "paceline.toml"
    file.write_text(f'[catalogue]\nfolder = "{settings}"\n')
    status, told = checked(capsys, "--config", str(file))
    assert status == 1
    assert told["product feeds"].startswith("WRONG")
    assert f"advertisers[0].feed.location: {settings}/feeds/" in told["product feeds"]
    assert "No such file" in told["product feeds"]


def test_deletion_keys_are_looked_at(capsys: pytest.CaptureFixture[str], settings: Path) -> None:
    """A file that holds no key is named; without one, it is said where `serve` makes it."""
    assert "deletion.pem" in checked(capsys)[1]["deletion keys"]
    (settings / "none.pem").write_text("no key")
    file = settings / "paceline.toml"
    file.write_text(f'[privacy]\ndeletion_keys_file = "{settings / "none.pem"}"\n')
    status, told = checked(capsys, "--config", str(file))
    assert status == 1
    assert told["deletion keys"].startswith("WRONG")
    assert "none.pem" in told["deletion keys"]


def test_a_wrong_configuration_is_located(capsys: pytest.CaptureFixture[str], settings: Path) -> None:
    """An unknown setting is named with its file."""
    file = settings / "paceline.toml"
    file.write_text("[exchange]\nprot = 8080\n")
    status, told = checked(capsys, "--config", str(file))
    assert status == 1
    assert "prot" in told["configuration"]
    assert str(file) in told["configuration"]


def test_each_thing_is_found_wrong_by_itself(
    capsys: pytest.CaptureFixture[str], settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Campaigns, rates, keys, store and ports can each be wrong; all are told in one run, without secrets."""
    (settings / "campaigns.yaml").write_text("advertisers: [{id: 7}]\n")
    (settings / "rates.yaml").write_text("base: nothing\n")
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(settings / "campaigns.yaml"))
    monkeypatch.setenv("PACELINE_RATES", str(settings / "rates.yaml"))
    monkeypatch.setenv("PACELINE_TOKEN_KEYS", "1:secretsecret")
    monkeypatch.setenv("PACELINE_PRICE_KEYS", "google:hunter2:hunter3")
    monkeypatch.setenv("PACELINE_REDIS_URL", "redis://me:hunter2@127.0.0.1:1/0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("PACELINE_OPS_PORT", str(taken.getsockname()[1]))
        status, told = checked(capsys)
    assert status == 1
    wrong = {name for name, text in told.items() if text.startswith("WRONG")}
    assert wrong == {"campaigns", "rates", "token keys", "price keys", "store", "ports"}
    assert "campaigns.yaml:1" in told["campaigns"]
    assert "hunter" not in str(told)
    assert "secretsecret" not in str(told)


def test_a_store_that_answers(
    capsys: pytest.CaptureFixture[str], settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reachable server is ok, and its address shows without the password."""
    from bidder.stores.embedded import EmbeddedServer, free_port

    with EmbeddedServer(settings / "redis", port=free_port(), password="hunter2") as server:
        monkeypatch.setenv("PACELINE_REDIS_URL", server.url)
        _, told = checked(capsys)
    assert told["store"].startswith("ok 127.0.0.1:")
    assert told["store"].endswith(" answers")


def test_a_running_service_holds_its_own_ports_and_its_stores_must_answer(
    capsys: pytest.CaptureFixture[str], settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ports are in use by nobody else; embedded stores are asked. One that is gone is wrong, and so is a port of
    another program's."""
    from bidder.stores.embedded import EmbeddedServer
    from bidder.supervisor.folder import Folder, Ports, write_ports, write_private

    folder = Folder(settings / "data")
    with ExitStack() as held:
        held.enter_context(folder.taken())
        held.enter_context(people := EmbeddedServer(folder.redis))
        held.enter_context(ledger := EmbeddedServer(folder.ledger))
        write_private(folder.redis_url, people.url)
        write_private(folder.ledger_url, ledger.url)
        numbers = []
        for name in ("EXCHANGE", "PUBLIC", "OPS"):
            bound = held.enter_context(socket.socket())
            bound.bind(("127.0.0.1", 0))
            bound.listen()
            numbers.append(bound.getsockname()[1])
            monkeypatch.setenv(f"PACELINE_{name}_PORT", str(numbers[-1]))
        write_ports(folder, Ports(os.getpid(), *numbers))
        status, told = checked(capsys)
        assert status == 0, told
        assert told["ports"].endswith(f"held by the running service (process {os.getpid()})")
        assert told["store"].endswith("redis/store.sock answers")
        assert told["ledger"].endswith("ledger/store.sock answers")
        ledger.close()
        write_ports(folder, Ports(os.getpid(), 1, *numbers[1:]))
        status, told = checked(capsys)
        assert status == 1
        assert told["ledger"].startswith("WRONG")
        assert told["ports"].startswith("WRONG the exchange port")
        folder.ledger_url.unlink()
        assert "is not ready" in checked(capsys)[1]["ledger"]
    assert "which `serve` starts" in checked(capsys)[1]["ledger"]
