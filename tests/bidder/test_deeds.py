"""Audit lines: what stands in them, where, and what happens where they cannot be written."""

from __future__ import annotations

import io
import json
import logging
import os
import pwd
import stat
import threading
from pathlib import Path

import pytest

from bidder import deeds
from bidder.deeds import FILE_NAME, MAX_FIELD, Deed, tell, tell_command, user_name
from bidder.logs import DEEDS, JsonLines, RateLimit, configure

DEED = Deed(who="ada", role="admin", action="restart", result="started", way="operators' port")


def lines(folder: Path) -> list[dict[str, str]]:
    """Of the folder's file."""
    return [json.loads(line) for line in (folder / FILE_NAME).read_text(encoding="utf-8").splitlines()]


def test_a_deed_is_told_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the log, in words and as fields; in the file, with the time; the file is its owner's alone."""
    with caplog.at_level(logging.INFO, DEEDS):
        tell(DEED, tmp_path)
    (record,) = caplog.records
    told = json.loads(JsonLines("supervisor").format(record))
    assert told["message"] == "ada (admin, operators' port): restart: started"
    assert told["logger"] == DEEDS
    (line,) = lines(tmp_path)
    assert line.pop("time").endswith("Z")
    assert line == told["deed"] == {
        "who": "ada", "role": "admin", "action": "restart", "result": "started", "way": "operators' port"
    }  # fmt: skip
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_many_at_once_do_not_mix(tmp_path: Path) -> None:
    """Every line is whole, whoever else writes, and what was there stays."""
    tell(DEED, tmp_path)
    writers = [
        threading.Thread(target=lambda: [tell(DEED, tmp_path) for _ in range(25)] and None) for _ in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(lines(tmp_path)) == 201


def test_a_field_stays_a_field(tmp_path: Path) -> None:
    """Line ends and other control characters are replaced, keys and tokens struck out, long text is cut."""
    token = "plo1." + "Ab-_" * 10 + "." + "x" * 43
    deed = Deed(
        who="a\nb\x1b[2J\r", role="x", action=token, target="key " + "5e" * 32, result="r" * 999, way="\u2028"
    )
    tell(deed, tmp_path)
    (line,) = lines(tmp_path)
    assert line["who"] == "a\ufffdb\ufffd[2J\ufffd"
    assert (line["action"], line["target"], line["way"]) == ("***", "key ***", "\ufffd")
    assert len(line["result"]) == MAX_FIELD


@pytest.mark.parametrize("folder", [None, Path("no/such/folder")])
def test_without_a_data_directory(folder: Path | None) -> None:
    """The line goes to stderr alone, and makes no folder."""
    stream = io.StringIO()
    tell_command(DEED, folder, stream)
    assert json.loads(stream.getvalue())["deed"]["action"] == "restart"
    assert folder is None or not folder.exists()


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_what_the_file_does_not_have(tmp_path: Path) -> None:
    """Between a command's own lines an audit line stands only where it would be lost."""
    kept, lost = Terminal(), Terminal()
    tell_command(DEED, tmp_path, kept)
    tell_command(DEED, tmp_path / "none", lost)
    assert kept.getvalue() == ""
    assert len(lines(tmp_path)) == 1
    assert lost.getvalue().endswith("ada (admin, operators' port): restart: started\n")


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_file_that_cannot_be_written(tmp_path: Path, kind: str) -> None:
    """Said in the log beside the deed, which went on: a folder in its place, or a link that leads elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    if kind == "folder":
        (tmp_path / FILE_NAME).mkdir()
    else:
        (tmp_path / FILE_NAME).symlink_to(elsewhere)
    stream = io.StringIO()
    tell_command(DEED, tmp_path, stream)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["deed"]["who"] == "ada"
    assert (second["level"], "cannot be written" in second["message"]) == ("error", True)
    assert not elsewhere.exists()


def test_no_level_and_no_flood_hides_a_deed() -> None:
    """A service that logs errors alone tells its deeds, each of them."""
    root, audit = logging.getLogger(), logging.getLogger(DEEDS)
    handlers, level, own = root.handlers[:], root.level, audit.level
    stream = io.StringIO()
    try:
        configure("error", "supervisor", stream)
        for _ in range(50):
            tell(DEED, None)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        audit.setLevel(own)
    assert len(stream.getvalue().splitlines()) == 50
    record = logging.LogRecord(DEEDS, logging.INFO, "deeds.py", 1, "x", (), None)
    assert RateLimit(lines=0).filter(record)


def test_who_ran_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user that the operating system knows, whatever the variables say; what they say of who called sudo is told as
    such; in a container without names, the number."""
    monkeypatch.delenv("SUDO_USER", raising=False)
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "mallory")
    uid = os.getuid()
    own = f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    assert user_name() == own
    monkeypatch.setenv("SUDO_USER", "ada")
    assert user_name() == f"{own}, says it is ada"
    monkeypatch.delenv("SUDO_USER")

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(deeds.pwd, "getpwuid", nobody)
    assert user_name() == f"uid {uid}"


def test_a_full_file_is_moved_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files have their bound, so have they all together: the oldest goes; each is its owner's alone."""
    monkeypatch.setattr(deeds, "MAX_BYTES", 1)
    monkeypatch.setattr(deeds, "OLD_FILES", 2)
    for number in range(6):
        tell(Deed(who=f"n{number}", role="admin", action="x", result="done", way="test"), tmp_path)
    found = {path.name: json.loads(path.read_text())["who"] for path in tmp_path.iterdir()}
    assert found == {"audit.log": "n5", "audit.log.1": "n4", "audit.log.2": "n3"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_no_line_is_lost_when_it_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several that write and find it full at once."""
    monkeypatch.setattr(deeds, "MAX_BYTES", 2_000)
    monkeypatch.setattr(deeds, "OLD_FILES", 100)
    writers = [
        threading.Thread(target=lambda: [tell(DEED, tmp_path) for _ in range(25)] and None) for _ in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    files = list(tmp_path.iterdir())
    assert len(files) > 5
    assert sum(len(path.read_text().splitlines()) for path in files) == 200
