"""`paceline budget`: moves and shows money on a real server, refuses what makes no sense, says why."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bidder.__main__ import main
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from tests.deeds import without
from tests.servers import RealServer

SHOP = load_book(demo_book_path()).advertisers[0]
CAMPAIGN = SHOP.campaigns[0]
LINE = CAMPAIGN.line_items[0]


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RealServer) -> Path:
    """An empty ledger, the demo's shops, an empty data directory; nothing else configured."""
    for name in os.environ:
        if name.startswith("PACELINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PACELINE_LEDGER_URL", redis_server.url)
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `paceline budget`."""
    status = main(["budget", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, without(captured.err)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[Any]:
    """What `show --json` says."""
    status, out, err = told(capsys, "show", "--json", *arguments)
    assert (status, err) == (0, "")
    found: list[Any] = json.loads(out)
    return found


def wallet(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The wallet of the shop."""
    (books,) = shown(capsys, SHOP.id)
    found: dict[str, Any] = next(a for a in books["accounts"] if a["account"] == "wallet")
    return found


def test_money_comes_and_goes(capsys: pytest.CaptureFixture[str]) -> None:
    """fund, withdraw and show tell the same money, in the advertiser's currency, exactly."""
    status, out, _ = told(capsys, "fund", SHOP.id, "1250.50")
    assert status == 0
    assert out.startswith(f"{SHOP.id}: fund 1,250.50 {SHOP.currency}, id ")
    assert out.endswith(f"done; wallet: 1,250.50 funded, 1,250.50 available {SHOP.currency}\n")
    assert told(capsys, "withdraw", SHOP.id, "0.500001")[0] == 0
    assert wallet(capsys)["limit_micros"] == 1_249_999_999
    status, out, _ = told(capsys, "show")
    assert status == 0
    assert f"{SHOP.id}  {SHOP.name}  {SHOP.currency}" in out
    assert "1,249.999999" in out


def test_the_same_id_moves_money_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A repetition is told as such and is no error; without an id each call moves money."""
    for _ in range(3):
        status, out, _ = told(capsys, "fund", SHOP.id, "10", "--id", "invoice-7")
        assert status == 0
    assert "id invoice-7: done before, nothing changed; wallet: 10.00 funded" in out
    told(capsys, "fund", SHOP.id, "10")
    told(capsys, "fund", SHOP.id, "10")
    assert wallet(capsys)["limit_micros"] == 30_000_000


def test_more_than_is_free_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A withdrawal beyond what is available changes nothing and is 1."""
    told(capsys, "fund", SHOP.id, "10")
    status, out, err = told(capsys, "withdraw", SHOP.id, "10.000001")
    assert (status, out) == (1, "")
    assert err.startswith("paceline: refused: not so much is free; wallet: 10.00 funded, 10.00 available")
    assert wallet(capsys)["limit_micros"] == 10_000_000


def test_a_wallet_has_an_upper_bound(capsys: pytest.CaptureFixture[str]) -> None:
    """Beyond what a sum can hold exactly, money is refused, not rounded."""
    for _ in range(9):
        assert told(capsys, "fund", SHOP.id, "1000000000")[0] == 0
    status, _, err = told(capsys, "fund", SHOP.id, "0.000001")
    assert status == 1
    assert "a wallet holds no more" in err


@pytest.mark.parametrize("account", ["", f"/campaign/{CAMPAIGN.id}", f"/line/{LINE.id}"])
def test_pause_and_resume(capsys: pytest.CaptureFixture[str], account: str) -> None:
    """The wallet, a campaign or a line item is paused and open again, and show says so."""
    name = account.removeprefix("/") or "wallet"
    told(capsys, "fund", SHOP.id, "10")
    for command, paused in (("pause", True), ("resume", False), ("resume", False)):
        status, out, _ = told(capsys, command, SHOP.id + account)
        assert status == 0
        assert out.startswith(f"{SHOP.id}: {name} {command}d: ")
        (books,) = shown(capsys, SHOP.id)
        assert [a["account"] for a in books["accounts"] if a["paused"]] == [name] * paused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fund", "nobody", "1"), "no campaign file names nobody: --new"),
        (("withdraw", "nobody", "1"), f"known: {SHOP.id}"),
        (("pause", "nobody"), "no campaign file names nobody"),
        (("pause", f"{SHOP.id}/line/none"), f"{SHOP.id} has no line/none"),
        (("resume", f"{SHOP.id}/campaign/{LINE.id}"), f"{SHOP.id} has no campaign/{LINE.id}"),
        (("show", "nobody"), "nobody has no account"),
    ],
    ids=str,
)
def test_a_name_that_nobody_knows_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    """One line with a hint, exit code 1, and nothing is made."""
    status, out, err = told(capsys, *arguments)
    assert (status, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1
    assert shown(capsys) == []


def test_new_names_are_taken_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    """With --new, an advertiser whose campaigns are still to come has money already."""
    assert told(capsys, "fund", "coming", "5", "--new")[0] == 0
    assert told(capsys, "pause", "coming/line/first", "--new")[0] == 0
    (books,) = shown(capsys, "coming")
    assert books["currency"] is None
    assert {a["account"]: a["paused"] for a in books["accounts"]} == {"wallet": False, "line/first": True}


@pytest.mark.parametrize(
    "arguments",
    [
        ("fund", SHOP.id, "0"),
        ("fund", SHOP.id, "-5"),
        ("fund", SHOP.id, "1e99"),
        ("fund", SHOP.id, "nan"),
        ("fund", SHOP.id, "0.0000001"),
        ("fund", SHOP.id, "five"),
        ("fund", SHOP.id, "5", "--id", "a b"),
        ("fund", f"{SHOP.id}/line/x", "5"),
        ("pause", f"{SHOP.id}/wallet"),
        ("pause", f"{SHOP.id}/line/a/b"),
        ("fund", "a{b}", "5"),
        (),
        ("show", "--new"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_2(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Amounts, names and ids that are none never reach the ledger."""
    with pytest.raises(SystemExit) as ended:
        main(["budget", *arguments])
    assert ended.value.code == 2
    assert "usage: paceline" in capsys.readouterr().err
    assert shown(capsys) == []


def test_an_empty_ledger_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing funded, nothing shown; one advertiser of the files is a wallet of nothing."""
    assert told(capsys, "show") == (0, "no accounts yet\n", "")
    assert wallet(capsys)["spent_micros"] == 0


def test_who_has_campaigns_and_no_money_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An advertiser of the configured campaigns that was never funded: the first thing to look for."""
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(demo_book_path()))
    status, out, err = told(capsys, "show")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].startswith(f"{SHOP.id}  {SHOP.name}")
    assert out.splitlines()[2].endswith("not funded")


def test_a_ledger_that_does_not_answer_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address without its password, exit code 1; an unfinished movement tells the id to repeat it with."""
    monkeypatch.setenv("PACELINE_LEDGER_URL", "redis://me:hunter2@127.0.0.1:1/0")
    status, _, err = told(capsys, "show")
    assert status == 1
    assert err.startswith("paceline: the ledger at redis://***@127.0.0.1:1/0 cannot be reached")
    assert err.count("\n") == 1
    status, _, err = told(capsys, "fund", SHOP.id, "5")
    assert status == 1
    assert "repeat with --id " in err
    assert "hunter2" not in err


def test_a_url_that_is_none_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheme that no client speaks."""
    monkeypatch.setenv("PACELINE_LEDGER_URL", "http://127.0.0.1")
    status, _, err = told(capsys, "show")
    assert status == 1
    assert "redis://, rediss:// or unix://" in err


def test_the_ledger_is_found_as_serve_finds_it(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    settings: Path,
    redis_server: RealServer,
) -> None:
    """Its own URL, the people's, a configuration file, the file of a running service; without any, a clear line."""
    told(capsys, "fund", SHOP.id, "10")
    monkeypatch.delenv("PACELINE_LEDGER_URL")
    status, _, err = told(capsys, "show")
    assert status == 1
    assert err.startswith(f"paceline: no ledger: no service runs in {settings / 'data'}")

    monkeypatch.setenv("PACELINE_REDIS_URL", redis_server.url)
    assert len(shown(capsys)) == 1
    monkeypatch.delenv("PACELINE_REDIS_URL")

    file = settings / "paceline.yaml"
    file.write_text(f"ledger: {{redis_url: '{redis_server.url}'}}\n")
    assert len(shown(capsys, "--config", str(file))) == 1

    (settings / "data").mkdir()
    (settings / "data" / "ledger.url").write_text(f"{redis_server.url}\n")
    assert len(shown(capsys)) == 1


def test_bad_campaigns_hinder_no_look(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: Path
) -> None:
    """Books are shown without names while the campaign files are wrong; money is not moved without --new."""
    told(capsys, "fund", SHOP.id, "10")
    (settings / "bad.yaml").write_text("advertisers: [{id: 7}]\n")
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(settings / "bad.yaml"))
    status, out, err = told(capsys, "show", SHOP.id)
    assert (status, out.splitlines()[0]) == (0, SHOP.id)
    assert "bad.yaml:1" in err
    assert told(capsys, "fund", SHOP.id, "10")[0] == 1
    assert told(capsys, "fund", SHOP.id, "10", "--new")[0] == 0


@pytest.mark.process
def test_as_a_process(redis_server: RealServer) -> None:
    """Exit codes and streams as an operator's script sees them."""
    environment = {**os.environ, "PACELINE_LEDGER_URL": redis_server.url}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "bidder", "budget", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert run("fund", SHOP.id, "3", "--id", "x").returncode == 0
    done = run("show", SHOP.id, "--json", "--leases")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["leases"] == []
    refused = run("withdraw", SHOP.id, "4")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Traceback" not in refused.stderr
