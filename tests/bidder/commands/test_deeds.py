"""Commands that change money, campaigns or people, or hand out secrets, leave an audit line; the others leave none."""

from __future__ import annotations

import argparse
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder.__main__ import _parser, main
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.commands.deeds import carried_out
from bidder.deeds import FILE_NAME, user_name
from bidder.notices.keys import load_keys
from bidder.web.roles import Role, check_token
from tests.deeds import told_of
from tests.servers import RealServer

SHOP = load_book(demo_book_path()).advertisers[0]
TOLD = {
    "budget fund", "budget withdraw", "budget pause", "budget resume", "campaigns apply", "shop token", "shop secret",
    "erase", "export", "retention sweep", "token",
}  # fmt: skip
"""Commands that leave a line."""
UNTOLD = {
    "serve", "check", "campaigns check", "campaigns list", "budget show", "audit", "catalogue check", "catalogue build",
    "catalogue list", "train affinity", "shop tag", "events list", "events compact", "events query", "events schema",
    "audience sizes", "privacy explain", "fraud report", "fraud lists", "capacity", "probe",
}  # fmt: skip
"""Those that look, or do what the service does by itself."""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RealServer) -> Path:
    """A data directory that exists, and stores."""
    for name in os.environ:
        if name.startswith("PACELINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PACELINE_LEDGER_URL", redis_server.url)
    monkeypatch.setenv("PACELINE_REDIS_URL", redis_server.url)
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def commands(
    parser: argparse.ArgumentParser, path: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that runs something."""
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not groups:
        yield path, parser
    for group in groups:
        for name, inner in group.choices.items():
            yield from commands(inner, f"{path} {name}".strip())


def test_every_command_is_one_or_the_other() -> None:
    """A new command must say whether it leaves a line."""
    found = {path: parser.get_default("deed") is not None for path, parser in commands(_parser([]))}
    assert {path for path, tells in found.items() if tells} == TOLD
    assert found.keys() - TOLD <= UNTOLD


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["budget", "fund", SHOP.id, "10", "--id", "i-7"], ("budget fund", SHOP.id, "10.00, id i-7")),
        (["budget", "pause", f"{SHOP.id}/line/x", "--new"], ("budget pause", f"{SHOP.id}/line/x", "")),
        (["shop", "secret", "google"], ("shop secret", "google", "")),
        (["shop", "token", SHOP.id], ("shop token", SHOP.id, "")),
        (["retention", "sweep"], ("retention sweep", "", "")),
        (["token", "--role", "admin", "--name", "eve", "--days", "3"], ("token", "eve", "admin, 3 days")),
    ],
)
def test_what_stands_in_a_line(
    capsys: pytest.CaptureFixture[str], data: Path, arguments: list[str], wanted: tuple[str, str, str]
) -> None:
    """Who, what and how it ended, on stderr and in the file, which is its owner's alone; no secret."""
    assert main(arguments) == 0
    told = capsys.readouterr()
    (deed,) = told_of(told.err)
    assert (deed["action"], deed.get("target", ""), deed.get("detail", "")) == wanted
    assert (deed["who"], deed["role"], deed["result"]) == (user_name(), "shell", "done")
    path = data / FILE_NAME
    (line,) = [json.loads(text) for text in path.read_text().splitlines()]
    assert line.items() >= deed.items()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = told.out.strip()
    assert arguments[0] in ("budget", "retention") or secret not in told.err + path.read_text()


def test_money_without_an_id_is_told_with_the_one_it_got(
    capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    """By it the ledger's journal has the same movement."""
    assert main(["budget", "fund", SHOP.id, "10"]) == 0
    told = capsys.readouterr()
    (deed,) = told_of(told.err)
    assert deed["detail"].partition("id ")[2] in told.out


def test_people_are_told_by_digest(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    """Neither an id of ours nor another's stands in a line."""
    person = "ab" * 16
    main(["erase", "--id", person])
    main(["export", "--id", "exchange/secret-name"])
    told = capsys.readouterr().err + (data / FILE_NAME).read_text()
    assert person not in told
    assert "secret-name" not in told
    targets = [
        deed["target"] for deed in told_of(told.partition('{"time"')[1] + told.partition('{"time"')[2])
    ]
    assert any(target.startswith("person digest:") for target in targets)
    assert "a person by another's id" in targets


def test_what_changes_nothing_leaves_nothing(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    """A look is no deed."""
    for arguments in (["budget", "show"], ["retention", "sweep", "--look"], ["shop", "tag", SHOP.id]):
        main(arguments)
    assert told_of(capsys.readouterr().err) == []
    assert not (data / FILE_NAME).exists()


def test_what_fails_and_what_is_broken_off_leave_a_line(
    capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    """Refused, and interrupted by Ctrl-C: both were tried."""
    assert main(["budget", "withdraw", SHOP.id, "999"]) == 1
    from bidder.commands.deeds import What

    def broken_off(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carried_out(argparse.Namespace(run=broken_off, deed=lambda args: What("erase", "x"), config=None))
    results = [deed["result"] for deed in told_of(capsys.readouterr().err)]
    assert results == ["exit code 1", "interrupted"]


def test_a_token_of_the_command_line(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    """One line on stdout, by the keys of the data directory, good for as long as was said."""
    import time

    assert main(["token", "--role", "operator", "--name", "ada"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    holder = check_token(load_keys({}, "", data), line, time.time())
    assert holder is not None
    assert (holder.name, holder.role) == ("ada", Role.OPERATOR)
    assert 29 * 86_400 < holder.expires_s - time.time() <= 30 * 86_400


@pytest.mark.parametrize(
    "arguments",
    [
        ["--role", "root", "--name", "ada"],
        ["--role", "viewer", "--name", "a b"],
        ["--role", "viewer", "--name", "ada", "--days", "0"],
        ["--role", "viewer", "--name", "ada", "--days", "367"],
        ["--role", "viewer", "--name", "ada", "--days", "²"],
        ["--name", "ada"],
    ],
)
def test_a_token_that_is_not_made(arguments: list[str]) -> None:
    """A role that is none, a name that would break a line, a life too short or too long: a wrong command line."""
    with pytest.raises(SystemExit) as ended:
        main(["token", *arguments])
    assert ended.value.code == 2


def test_keys_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that says why, and no token."""
    monkeypatch.setenv("PACELINE_TOKEN_KEYS", "nonsense")
    assert main(["token", "--role", "viewer", "--name", "ada"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "PACELINE_TOKEN_KEYS" in told.err
