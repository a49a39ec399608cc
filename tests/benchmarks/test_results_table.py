"""The tables of results: where they go, and that the README has those of the committed results."""

from pathlib import Path

import pytest

from benchmarks.results_table import BLOCKS, filled, main, marks, text

README = Path(__file__).parents[2] / "README.md"


def test_tables_go_between_their_marks() -> None:
    """What is around stays; a page without marks is refused."""
    begin, end = marks("load")
    page = f"before\n{begin}\nold\n{end}\nafter\n"
    made = filled(page, "load", "new")
    assert made == f"before\n{begin}\nnew\n{end}\nafter\n"
    assert filled(made, "load", "new") == made
    with pytest.raises(ValueError, match="no lines"):
        filled(page, "bench", "new")


@pytest.mark.parametrize("block", BLOCKS)
def test_the_readme_has_the_results_of_today(block: str) -> None:
    """Whoever measures anew writes them down: `python -m benchmarks.results_table --write README.md`."""
    page = README.read_text(encoding="utf-8")
    assert filled(page, block, text(block)) == page


def test_without_results_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without any, and a page without a place for them, are told and left alone."""
    assert main(["--results", str(tmp_path)]) == 1
    assert "no results" in capsys.readouterr().err
    page = tmp_path / "page.md"
    page.write_text("a page")
    assert main(["--write", str(page)]) == 1
    assert "no lines" in capsys.readouterr().err
    assert page.read_text() == "a page"
