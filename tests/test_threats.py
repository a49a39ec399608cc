"""helm/THREATS.md names every surface that there is, and nothing that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import msgspec

from bidder.clock import SystemClock
from bidder.config import SECRETS, URLS, Config
from bidder.console.page import Console
from bidder.metrics import Tally
from bidder.notices.keys import Keyring
from bidder.settings import Rates
from bidder.web.access import Access
from bidder.web.admin import Admin
from bidder.web.limits import KINDS
from bidder.web.openapi import described
from bidder.web.ops import ops_app

ROOT: Final = Path(__file__).resolve().parent.parent
TEXT: Final = (ROOT / "helm" / "THREATS.md").read_text()
NAMED: Final = frozenset(re.findall(r"`([^`\n]+)`", TEXT))
SENSITIVE: Final = re.compile(r"(redis_url|(key|keys|cert|ca)_file|token_required)\Z")


def sections() -> dict[str, str]:
    """Headings and what stands below them."""
    parts = re.split(r"^## (.+)$", TEXT, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def settings(struct: Any, before: str = "") -> Iterator[str]:
    """Every setting by its path."""
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from settings(field.type, f"{before}{field.name}.")
        else:
            yield before + field.name


def operators_routes(folder: Path) -> set[str]:
    """The paths of the operators' port as it is served."""
    nothing: Any = SimpleNamespace(
        ready=bool, scrape=bytes, reload=None, restart=None, pause=None, shown=lambda: None
    )
    access = Access(Config().ops, Keyring(((1, b"k" * 32),)), SystemClock())
    admin = Admin(access, nothing, Tally(None), folder)
    console = Console(list, dict, access, admin, SystemClock())  # type: ignore[arg-type,return-value]  # never asked
    app = ops_app(nothing, access, [*admin.routes(), *console.routes()])
    return {route.resource.canonical for route in app.router.routes() if route.resource is not None}


async def test_every_route_of_every_port_is_named(tmp_path: Path) -> None:
    """Public, operators' and exchange port, each path as it is served."""
    public = set(described())
    assert public == set(KINDS)
    missing = (public | operators_routes(tmp_path) | {"/bid/{exchange}", "/ready"}) - NAMED
    assert not missing


def test_every_secret_and_every_file_of_keys_is_named() -> None:
    """Variables that hold or name secrets, URLs that hold passwords, and settings that name keys and certificates."""
    wanted = {*SECRETS, *URLS, *(f"{name}_FILE" for name in URLS)}
    wanted |= {name for name in settings(Config) if SENSITIVE.search(name)}
    assert len(wanted) > 15
    assert not wanted - NAMED


def test_every_surface_says_who_what_stops_them_and_what_remains() -> None:
    """Each section but those on rates and keys has its table of three columns, whole."""
    tables = [text for name, text in sections().items() if name not in ("Rates", "Keys and their rotation")]
    assert len(tables) >= 12
    for text in tables:
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert rows[0] == "| who, and what for | what stops them | what remains |"
        for row in rows[2:]:
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            assert len(cells) == 3, row
            assert all(cells), row


def test_what_it_points_to_exists() -> None:
    """Files and tests in it are there."""
    paths = {each for each in NAMED if re.match(r"(tests|bidder|openrtb|budget|helm)/", each)}
    assert len(paths) > 30
    assert not {path for path in paths if not (ROOT / path).exists()}


def test_rates_are_those_of_the_settings() -> None:
    """Every kind, with the numbers that hold where nothing is set."""
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+, [\d,]+) \|", sections()["Rates"], re.MULTILINE))
    rates = msgspec.structs.asdict(Rates())
    assert told == {kind: f"{rate.per_s:,.0f}, {rate.burst:,}" for kind, rate in rates.items()}
