"""`python -m helm.build`: writes what is made of code: dashboards, and the catalogue of metrics.

Place: `make dashboards`; with --check, as in the tests, it writes nothing and tells which files are stale.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from helm.catalogue import catalogue_text
from helm.panels.grafana import dashboard_json
from helm.panels.sheets import SHEETS

HERE: Final = Path(__file__).parent
DASHBOARDS: Final = HERE / "paceline" / "dashboards"


def made() -> dict[Path, str]:
    """Every file that is made, and what belongs in it."""
    files = {DASHBOARDS / f"{sheet.uid}.json": dashboard_json(sheet) for sheet in SHEETS}
    return files | {HERE / "METRICS.md": catalogue_text()}


def stale(files: dict[Path, str]) -> list[Path]:
    """Files that differ from what they should be, and dashboards that nothing makes any more."""
    differ = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    return differ + [path for path in sorted(DASHBOARDS.glob("*.json")) if path not in files]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where --check finds a stale file."""
    parser = argparse.ArgumentParser(prog="python -m helm.build", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, tell what is stale")
    check: bool = parser.parse_args(argv).check
    files = made()
    differ = stale(files)
    for path in differ:
        print(f"{'stale' if check else 'written'}: {path.relative_to(HERE.parent)}")
        if not check and path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], "utf-8")
        elif not check:
            path.unlink()
    return int(check and bool(differ))


if __name__ == "__main__":
    sys.exit(main())
