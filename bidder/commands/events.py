"""`paceline events`: what is recorded, made into Parquet now, asked in SQL, and which columns there are to ask for.

Place: __main__ registers it; it works on the folder that the configuration names, beside a running service or without.
Shapes: results on stdout, problems and notes on stderr; exit code 1 = it cannot be done.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bidder.commands.answers import add_forms, show
from bidder.commands.campaigns import counted
from bidder.commands.serve import configured
from bidder.config import Config, ConfigError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

MAX_ROWS: Final = 1_000
"""Of a query's answer; a query that wants more writes a file (COPY) with DuckDB itself."""

LINE: Final = "\nLINE "
COUNTED_BYTES: Final = 64 << 20
"""Of segments whose events are counted, in less than a second; of more the segments are."""


def register(subparsers: "Subparsers") -> None:
    """Add `events` to the command line."""
    parser = subparsers.add_parser("events", help="recorded events: list, compact, query, schema")
    inside = parser.add_subparsers(metavar="command", required=True)
    listing = inside.add_parser("list", help="files, rows, bytes and the oldest, by kind")
    listing.add_argument("--json", action="store_true", help="for programs")
    compact = inside.add_parser("compact", help="make sealed segments into Parquet now")
    query = inside.add_parser("query", help="SQL over the tables shop, impression and click")
    query.add_argument("sql", help='one SELECT, e.g. "SELECT kind, count(*) FROM shop GROUP BY kind"')
    add_forms(query)
    schema = inside.add_parser("schema", help="the tables of a query: columns, types, meaning and units")
    add_forms(schema)
    schema.set_defaults(run=_schema)
    for action, run in ((listing, _list), (compact, _compact), (query, _query)):
        action.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
        action.set_defaults(run=lambda args, run=run: _run(args, run))


def _run(args: argparse.Namespace, action: Any) -> int:
    import duckdb

    try:
        config = configured(args)
        if not config.events_folder().is_dir():
            raise ConfigError(f"nothing is recorded in {config.events_folder()}")
        action(config, args)
    except (ConfigError, OSError, duckdb.Error) as error:
        # DuckDB shows the whole statement, which has more around it than was written
        print(f"paceline: {str(error).partition(LINE)[0].strip()}", file=sys.stderr)
        return 1
    return 0


def _list(config: Config, args: argparse.Namespace) -> None:
    told = [_of_segments(config.events_folder()), *_of_files(config.events_folder())]
    if args.json:
        print(json.dumps(told, indent=1))
        return
    print(f"{'':12}{'files':>8}{'rows':>14}{'bytes':>16}  oldest")
    for line in told:
        counted = "" if line["rows"] is None else f"{line['rows']:,}"
        print(f"{line['name']:12}{line['files']:8,}{counted:>14}{line['bytes']:16,}  {line['oldest'] or ''}")


def _of_segments(folder: Path) -> dict[str, Any]:
    from bidder.events import segments

    found = segments.readable(folder)
    oldest = min((segments.started_ms(path) / 1_000 for path in found), default=None)
    return _line("segments", found, None, oldest)


def _of_files(folder: Path) -> list[dict[str, Any]]:
    from bidder.events import parquet
    from bidder.events.columns import COLUMNS

    told = []
    with parquet.Workshop(folder, task=parquet.READING) as shop:
        for kind in COLUMNS:
            files = parquet.hour_files(folder, kind)
            oldest = parquet.start_s(files[0]) if files else None
            told.append(_line(kind, files, shop.rows(files), oldest))
    return told


def _line(name: str, files: list[Path], rows: int | None, oldest_s: float | None) -> dict[str, Any]:
    size = sum(path.stat().st_size for path in files if path.exists())
    oldest = None if oldest_s is None else datetime.fromtimestamp(oldest_s, UTC).isoformat(timespec="minutes")
    return {"name": name, "files": len(files), "rows": rows, "bytes": size, "oldest": oldest}


def _compact(config: Config, _: argparse.Namespace) -> None:
    from bidder.events.compaction import Limits, compact

    limits = Limits(keep_days=config.keep_days(), memory_mb=config.events.memory_mb)
    done = compact(config.events_folder(), time.time(), limits)
    print(f"{done.segments:,} segments with {done.rows:,} events became {done.files:,} files of hours")
    for count, what in ((done.late, "came too late"), (done.erased, "were of people who were erased")):
        if count:
            print(f"{count:,} events {what}")
    if done.bad_segments:
        print(f"{done.bad_segments:,} segments were set aside: the log says why", file=sys.stderr)


def _query(config: Config, args: argparse.Namespace) -> None:
    from bidder.events import parquet

    note = _not_counted(config.events_folder())
    with parquet.Workshop(config.events_folder(), config.events.memory_mb, parquet.READING) as shop:
        names, rows = shop.ask(args.sql, MAX_ROWS + 1)
    show(names, rows[:MAX_ROWS], args)
    if len(rows) > MAX_ROWS:
        print(f"paceline: only the first {MAX_ROWS:,} rows are shown", file=sys.stderr)
    if note:
        print(f"paceline: {note}", file=sys.stderr)


def _not_counted(folder: Path) -> str:
    """What a query does not see yet; empty: nothing."""
    from bidder.events import segments

    found = segments.waiting(folder)
    size = sum(path.stat().st_size for path in found if path.exists())
    if size > COUNTED_BYTES:
        return f"the events of {counted(len(found), 'segment')} not compacted yet are not counted"
    events = sum(map(segments.count, found))
    return f"{counted(events, 'event')} in segments not compacted yet are not counted" if events else ""


def _schema(args: argparse.Namespace) -> int:
    from bidder.events.columns import COLUMNS, MEANINGS, PARTITIONS

    rows = [
        (kind, name, sql_type, MEANINGS[name])
        for kind, columns in COLUMNS.items()
        for name, sql_type in {**columns, **PARTITIONS}.items()
    ]
    show(("table", "column", "type", "meaning"), rows, args)
    return 0
