"""`paceline campaigns check | list | apply`: exit codes, stdout and stderr, as an operator sees them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.commands.campaigns import table
from tests.bidder.campaigns.written import BOOK, RICH, change, write
from tests.deeds import without

BAD = change("w: 300", "w: wide", change("currency: EUR", "currency: XXX"))
TOLD = 'book.yaml:9: advertisers[0].creatives[0].w: expected a whole number from 1 to 10,000, found text "wide"\n'
TAKEN = "in place; a running service takes it over within a second"
COUNTS = "1 advertiser, 1 campaign, 1 line item, 1 creative"


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PACELINE_"):
            monkeypatch.delenv(name)


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command in this process: exit code, stdout, stderr."""
    status = main(["campaigns", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, without(captured.err)


def run(*arguments: object, **environment: str) -> tuple[int, str, str]:
    """Run a command as a process."""
    ended = subprocess.run(
        [sys.executable, "-m", "bidder", "campaigns", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    return ended.returncode, ended.stdout, without(ended.stderr)


@pytest.mark.process
def test_check(tmp_path: Path) -> None:
    """As a process: 0 and a line of counts; 1 and every problem on stderr; nothing else on either."""
    good = write(tmp_path, BOOK, "good.yaml")
    assert run("check", good) == (0, f"{good}: {COUNTS}, no problems\n", "")
    status, out, err = run("check", write(tmp_path, BAD))
    assert (status, out) == (1, "")
    assert err.startswith("book.yaml:5: advertisers[0].currency: no exchange rate for XXX; ")
    assert err.endswith(TOLD)
    assert err.count("\n") == 2


@pytest.mark.process
def test_apply(tmp_path: Path) -> None:
    """As a process: the live file is replaced and what was there is kept; a bad file changes nothing and is 1."""
    source, live = write(tmp_path, BOOK), write(tmp_path, RICH, "live.yaml")
    assert run("apply", source, "--to", live) == (0, f"{live}: {COUNTS}, {TAKEN}\n", "")
    assert live.read_text() == BOOK
    assert (tmp_path / "live.yaml.bak").read_text() == RICH
    status, out, err = run("apply", write(tmp_path, BAD), PACELINE_CAMPAIGNS=str(live))
    assert (status, out) == (1, "")
    assert err.endswith(TOLD)
    assert live.read_text() == BOOK
    assert sorted(path.name for path in tmp_path.iterdir()) == ["book.yaml", "live.yaml", "live.yaml.bak"]


@pytest.mark.process
def test_usage() -> None:
    """No command and an unknown one are 2, with the usage on stderr."""
    for arguments in ((), ("burn",), ("apply",)):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("usage: paceline campaigns")


def test_check_advises(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is probably not meant is told on stderr, counted in the summary, and is no problem."""
    file = write(tmp_path, change("landing_url: https", "landing_url: http"))
    status, out, err = told(capsys, "check", file)
    assert (status, out) == (0, f"{file}: {COUNTS}, 1 advice\n")
    assert (
        err
        == "advice: book.yaml:12: advertisers[0].creatives[0].landing_url: is not https: browsers warn of it\n"
    )


def test_a_line_item_for_nobody_is_no_clean_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Segments that nobody defines: the summary counts the pieces of advice, which say what follows."""
    segments = "    segments: [{id: viewers, when: [{event: cart}]}]\n"
    text = change("targeting: {}", "targeting: {segments: {any: [viewer], none: [buyer]}}")
    file = write(tmp_path, change("    currency: EUR\n", f"    currency: EUR\n{segments}", text))
    status, out, err = told(capsys, "check", file)
    assert (status, out) == (0, f"{file}: {COUNTS}, 2 pieces of advice\n")
    assert "it will never bid unless a server fills it; did you mean viewers?" in err


def test_check_advises_where_a_feed_is_absent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With its line and path; `apply` refuses it, and says the same."""
    file = write(
        tmp_path, change("currency: EUR", "currency: EUR\n    feed: {location: f/a.csv, format: csv}")
    )
    absent = f"a.yaml:6: advertisers[0].feed.location: {tmp_path}/f/a.csv cannot be read: No such file or directory"
    status, out, err = told(capsys, "check", file)
    assert (status, err) == (0, f"advice: {absent.replace('a.yaml', file.name)}\n")
    assert "1 advice" in out
    status, _, err = told(capsys, "apply", file, "--to", tmp_path / "live" / "b.yaml")
    assert (status, err) == (1, f"{absent.replace('a.yaml', file.name)}\n")
    (tmp_path / "f").mkdir()
    write(tmp_path / "f", "id", "a.csv")
    assert told(capsys, "check", file)[2] == ""


def test_check_without_a_path_looks_at_the_configured_campaigns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `campaigns list`: else at the demo's."""
    assert told(capsys, "check")[0] == 0
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(write(tmp_path, BOOK)))
    assert told(capsys, "check") == (0, f"{tmp_path / 'book.yaml'}: {COUNTS}, no problems\n", "")
    write(tmp_path, BAD)
    assert told(capsys, "check")[0] == 1


def test_check_counts_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Plurals where there are several."""
    write(tmp_path, BOOK, "a.yaml")
    other = change("id: shop", "id: other", change("id: spring", "id: s2", change("id: viewers", "id: v2")))
    write(tmp_path, other, "b.yaml")
    assert told(capsys, "check", tmp_path) == (
        0,
        f"{tmp_path}: 2 advertisers, 2 campaigns, 2 line items, 2 creatives, no problems\n",
        "",
    )


def test_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each line item with its price, money, pacing and caps, under headings; one whose campaign rests is not active."""
    text = (
        change("targeting: {}", "budget: {daily: 2500, hourly: 0.5}\n            frequency: {min_gap: 5s}")
        + "      - {id: rest, name: R, active: false, line_items: [{id: r1, goal: {kind: cpa, value: 20},\n"
    )
    text += "         max_bid_cpm: 3, creatives: [banner]}]}\n"
    text = change("daily: 10}", "daily: 3000}", change("total: 100", "total: 10000", text))
    assert told(capsys, "list", write(tmp_path, text)) == (
        0,
        "ADVERTISER  CAMPAIGN  LINE ITEM  GOAL         MAX BID CPM  CAMPAIGN BUDGET             BUDGET"
        "                    PACING   CREATIVES  ACTIVE  CAPS\n"
        "shop        spring    viewers    cpm 2.5 EUR  4 EUR        10,000 in all, 3,000 a day  "
        "2,500 a day, 0.5 an hour  traffic  1          yes     gap 5s\n"
        "shop        rest      r1         cpa 20 EUR   3 EUR        -                           "
        "-                         traffic  1          no      -\n",
        "",
    )


def test_list_tells_every_level(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Whatever bounds a line item stands in its row: its own caps first, then those of what it stands in and shows."""
    text = change("w: 300\n", "w: 300\n        frequency: [{views: 4, per: 1h}]\n")
    text = change("name: Spring", "name: Spring\n        frequency: [{views: 9, per: 7d}]", text)
    text = change("currency: EUR", "currency: EUR\n    frequency: {min_gap: 1m}", text)
    text = change(
        "targeting: {}",
        "deals: {ids: [a], guaranteed: true}\n            pacing: asap\n"
        "            frequency: {caps: [{views: 3, per: 10m}, {views: 20, per: 1d}], min_gap: 90s, visitors: true}",
        text,
    )
    _, out, _ = told(capsys, "list", write(tmp_path, text))
    assert out.splitlines()[1].endswith(
        "asap, guaranteed  1          yes     3 per 10m, 20 per 1d, gap 90s; campaign: 9 per 7d; "
        "advertiser: gap 1m; banner: 4 per 1h; visitors too"
    )


def test_list_takes_what_is_configured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a path: the configured campaigns, by environment or by file; without those the demo's."""
    assert "solepath-cart" in told(capsys, "list")[1]
    campaigns = write(tmp_path, BOOK)
    config = write(tmp_path, f'campaigns = "{campaigns}"\n', "paceline.toml")
    assert "viewers" in told(capsys, "list", "--config", config)[1]
    monkeypatch.setenv("PACELINE_CONFIG", str(config))
    assert "viewers" in told(capsys, "list")[1]
    monkeypatch.delenv("PACELINE_CONFIG")
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(campaigns))
    assert "viewers" in told(capsys, "list")[1]


def test_apply_goes_to_what_is_configured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --to the configured campaigns are replaced; where there are none, the demo's never are."""
    source = write(tmp_path, BOOK)
    status, out, err = told(capsys, "apply", source)
    assert (status, out) == (1, "")
    assert err == "paceline: no live campaigns are configured: name them with --to or in the configuration\n"
    live = tmp_path / "live.yaml"
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(live))
    assert told(capsys, "apply", source) == (0, f"{live}: {COUNTS}, {TAKEN}\n", "")
    assert live.read_text() == BOOK


@pytest.mark.parametrize("command", [["check"], ["list"], ["apply", "--to", "live.yaml"]])
def test_wrong_settings(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong rates and a wrong configuration are told by every command; nothing goes live."""
    monkeypatch.chdir(tmp_path)
    source = write(tmp_path, BOOK)
    monkeypatch.setenv("PACELINE_RATES", str(write(tmp_path, "base: nothing\n", "rates.yaml")))
    status, out, err = told(capsys, command[0], source, *command[1:])
    assert (status, out) == (1, "")
    assert err.startswith("rates.yaml:1: base: ")
    config = write(tmp_path, "campains = 1\n", "paceline.toml")
    status, out, err = told(capsys, command[0], source, *command[1:], "--config", config)
    assert (status, out) == (1, "")
    assert "campains" in err
    assert not (tmp_path / "live.yaml").exists()


def test_what_is_absent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An absent file is told by each command in its way, with exit code 1."""
    absent = tmp_path / "none.yaml"
    for command in ("check", "list"):
        assert told(capsys, command, absent) == (
            1,
            "",
            f"{absent}: cannot be read: No such file or directory\n",
        )
    status, _, err = told(capsys, "apply", absent, "--to", tmp_path / "live.yaml")
    assert status == 1
    assert err.startswith("paceline: [Errno 2] No such file or directory")


def test_kinds_do_not_mix(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file for a folder is refused in words."""
    status, _, err = told(capsys, "apply", write(tmp_path, BOOK), "--to", tmp_path)
    assert status == 1
    assert err == f"paceline: book.yaml is a file, {tmp_path.name} is a folder: both must be of one kind\n"


def test_a_slash_at_the_end_means_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file for a folder that is yet to be made is refused, and the way out is named; a folder is taken."""
    source = write(tmp_path, BOOK)
    status, out, err = told(capsys, "apply", source, "--to", f"{tmp_path}/new/")
    assert (status, out) == (1, "")
    assert err.endswith(f"/new/ names a folder, book.yaml is a file: say {tmp_path}/new/book.yaml\n")
    assert not (tmp_path / "new").exists()
    assert told(capsys, "apply", source, "--to", f"{tmp_path}/new/book.yaml")[0] == 0
    assert told(capsys, "apply", tmp_path / "new", "--to", f"{tmp_path}/other/")[0] == 0
    assert (tmp_path / "other" / "book.yaml").read_text() == BOOK


def test_an_empty_folder_is_named_as_given(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """By check and by apply, which looks at a copy of it."""
    empty = tmp_path / "empty"
    empty.mkdir()
    problem = f"{empty}: no *.yaml file is in this folder\n"
    assert told(capsys, "check", empty) == (1, "", problem)
    assert told(capsys, "apply", empty, "--to", tmp_path / "live") == (1, "", problem)


def test_table() -> None:
    """Columns are as wide as their widest cell, and no line ends in blanks."""
    assert table(("A", "LONG"), [("abc", "d"), ("", "e")]) == "A    LONG\nabc  d\n     e"
