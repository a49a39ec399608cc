"""What `paceline demo` says to arguments that cannot be meant."""

import sys
from pathlib import Path

import pytest

from benchmarks.demo import command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seconds", "0"), "--seconds: must be above 0"),
        (("--seconds", "-3"), "--seconds: must be above 0"),
        (("--rate", "nan"), "--rate: must be above 0"),
        (("--rate", "fast"), "--rate: invalid number value: 'fast'"),
        (("--people", "0"), "--people: must be at least 1"),
        (("--workers", "1.5"), "--workers: invalid count value: '1.5'"),
        (("--report", "nowhere/report.json"), "--report: no file can be written at nowhere/report.json"),
        (("--picture", "."), "--picture: no file can be written at ."),
    ],
)
def test_nonsense_is_refused_before_anything_starts(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the argument, and the exit code of a wrong command line."""
    with pytest.raises(SystemExit) as ended:
        command(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_campaigns_that_cannot_be_used_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their place and no traceback."""
    book = tmp_path / "book.yaml"
    book.write_text("advertisers: [{id: 7}]\n")
    assert command(["--campaigns", str(book), "--headless"]) == 1
    assert "paceline demo: book.yaml:1: " in capsys.readouterr().err


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the packages of the extra: how a checkout gets them."""
    monkeypatch.setitem(sys.modules, "rich", None)
    assert command(["--headless"]) == 1
    assert "make setup, or pip install '.[demo]'" in capsys.readouterr().err
