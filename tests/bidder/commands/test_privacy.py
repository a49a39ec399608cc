"""`paceline privacy explain`: what may be done for a request, and why not."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bidder.__main__ import main
from tests.bidder.privacy.signals import VENDOR, string
from tests.corpus import compact

REQUEST: dict[str, Any] = {
    "id": "r1",
    "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
    "user": {"buyeruid": "0" * 31 + "7"},
}
CREATED_S = 1_700_000_000
"""Before disclosed vendors were asked for, and long enough ago for any clock."""
TABLE = """\
GPP: sections 6; in force: 6
GDPR applies: the gdpr flag is 1
TC string: version 2, policy 4, CMP 300, created 2023-11-14; consent to purposes 1, 7; we are vendor 42

activity          allowed  reasons
bid contextual    yes
bid personalised  no       1 2 3
read id           no       1 2 3
write id          no       1
sync              no       1
record            no       1 2 3
measure           no       1
precise geo       no       1 4

 1  us_privacy opts out of sale: 1YYN
 2  no consent to purpose 3, create profiles
 3  no consent to purpose 4, personalised ads
 4  not opted in to special feature 1, precise location
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration with our vendor id."""
    file = tmp_path / "paceline.toml"
    file.write_text(f"[privacy]\nvendor_id = {VENDOR}\n")
    return str(file)


def written(folder: Path, **more: Any) -> str:
    """The name of a file with a request."""
    file = folder / "request.json"
    file.write_bytes(compact(REQUEST | more))
    return str(file)


REFUSED: dict[str, Any] = {
    "regs": {"gdpr": 1, "us_privacy": "1YYN", "gpp": "DBABTA~1YNN", "gpp_sid": [6]},
    "user": {"buyeruid": "0" * 31 + "7", "consent": string(1, 7, created_s=CREATED_S)},
}


def test_the_table(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str) -> None:
    """A row for each activity, the numbers of its reasons, the reasons once, and what they rest on."""
    assert main(["privacy", "explain", written(tmp_path, **REFUSED), "--config", config]) == 0
    assert capsys.readouterr().out == TABLE


def test_a_request_in_the_places_of_2_5(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str
) -> None:
    """Signals are read where old requests have them."""
    regs = REFUSED["regs"]
    old = {"regs": {"ext": regs}, "user": {"ext": {"consent": REFUSED["user"]["consent"]}}}
    assert main(["privacy", "explain", written(tmp_path, **old), "--config", config]) == 0
    assert capsys.readouterr().out == TABLE


def test_json(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str) -> None:
    """With --json: permissions by name, activities with their reasons, and the facts."""
    assert main(["privacy", "explain", written(tmp_path, **REFUSED), "--json", "--config", config]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == {"permissions", "activities", "facts"}
    assert not any(told["permissions"].values())
    measure = next(each for each in told["activities"] if each["activity"] == "measure")
    assert measure == {
        "activity": "measure",
        "allowed": False,
        "reasons": ["us_privacy opts out of sale: 1YYN"],
    }


def test_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """A dash reads the request from standard input; one without any signal may do everything."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(compact(REQUEST))))
    assert main(["privacy", "explain", "-", "--config", config]) == 0
    shown = capsys.readouterr().out
    assert shown.count(" yes") == 8
    assert "  no" not in shown


def test_opted_out_and_children(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str) -> None:
    """Our own opt-out is asked for; a child's request says which ads there are."""
    file = written(tmp_path, regs={"coppa": 1})
    assert main(["privacy", "explain", file, "--opted-out", "--config", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "bid contextual    yes      1" in lines
    assert "bid personalised  no       2 3" in lines
    assert lines[-3:] == [
        " 1  only ads made for children",
        " 2  the person opted out with us",
        " 3  about a child (COPPA)",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not a bid request that we answer"),
        (b"[]", "not a bid request that we answer"),
        (b"\xff\xfe", "not a bid request that we answer"),
        (b"{}", "not a bid request that we answer: id"),
        (compact({"id": "1", "imp": []}), "not a bid request that we answer"),
        (b" " * 524_289, "longer than 524288 bytes"),
        (b"[" * 100_000, "not a bid request that we answer"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str, content: bytes, words: str
) -> None:
    """What is no request is said in one line, with the file's name, and no table is printed."""
    file = tmp_path / "request.json"
    file.write_bytes(content)
    assert main(["privacy", "explain", str(file), "--config", config]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{file}: {words}")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("name", ["nowhere.json", ".", "a\x00b"])
def test_files_that_cannot_be_opened(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str, name: str
) -> None:
    """A missing file, a folder and a name that cannot be: one line, no traceback."""
    assert main(["privacy", "explain", f"{tmp_path}/{name}", "--config", config]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1


def test_a_bad_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A wrong setting is told as such."""
    file = tmp_path / "bad.toml"
    file.write_text("[privacy]\nvendor_id = 'no'\n")
    assert main(["privacy", "explain", written(tmp_path), "--config", str(file)]) == 1
    assert "vendor_id" in capsys.readouterr().err


def test_nothing_personal_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str) -> None:
    """Neither the person's id nor a consent string is repeated."""
    for form in ([], ["--json"]):
        assert main(["privacy", "explain", written(tmp_path, **REFUSED), "--config", config, *form]) == 0
        shown = capsys.readouterr().out
        assert REQUEST["user"]["buyeruid"] not in shown
        assert REFUSED["user"]["consent"][:20] not in shown
