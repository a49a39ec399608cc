"""helm/CAPACITY.md tells what the model says today, and its commands exist."""

import shlex

import pytest

from benchmarks import capacity, fleet
from bidder.__main__ import main
from helm.capacity import BLOCKS, FILE, filled


def commands() -> list[list[str]]:
    """The command lines of the page's shell blocks."""
    blocks = FILE.read_text("utf-8").split("```sh\n")[1:]
    return [
        shlex.split(line, comments=True) for block in blocks for line in block.split("```")[0].splitlines()
    ]


def test_the_tables_are_made_of_the_model() -> None:
    """Constants, curve, examples and assumptions on the page are those of bidder.capacity."""
    page = FILE.read_text("utf-8")
    assert filled(page) == page


def test_a_page_without_a_place_is_refused() -> None:
    """A block that has lost its markers is not silently left out."""
    with pytest.raises(ValueError, match="no place for constants"):
        filled("# Capacity\n")
    assert set(BLOCKS) == {"constants", "curve", "examples", "assumed"}


def test_its_commands_work(capsys: pytest.CaptureFixture[str]) -> None:
    """Each `paceline capacity` of the page runs; each benchmark of it knows its arguments."""
    ours = [words for words in commands() if words[0] == "paceline"]
    assert len(ours) == 2
    for words in ours:
        assert main(words[1:]) == 0
    parsers = {"benchmarks.capacity": capacity.parser(), "benchmarks.fleet": fleet.parser()}
    theirs = [words for words in commands() if words[0] == "python"]
    for words in theirs:
        assert parsers[words[2]].parse_args(words[3:])
    assert len(theirs) == 5
    assert "workers" in capsys.readouterr().out
