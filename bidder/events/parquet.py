"""Parquet files of events, one per kind and hour: found, read, and replaced whole by what a query makes of them.

Place: compaction, erasure, retention and dataset; nobody else knows where the files lie or who wrote them.
Shapes: `<kind>/date=YYYY-MM-DD/hour=HH/events.parquet` (UTC), zstd, ordered by advertiser and time; metadata
    `paceline.columns` (their version) and `paceline.anonymous` (1: no person is left in it).
Limits: DuckDB has `memory_mb` and one thread, and sorts in the scratch folder what does not fit.
Raises: duckdb.Error, OSError.
"""

import contextlib
import secrets
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bidder.events.columns import COLUMNS, VERSION
from bidder.events.files import PART, part_of, publish

NAME: Final = "events.parquet"
SCRATCH: Final = ".scratch"
TASK: Final = "task"
READING: Final = "reading"
READING_S: Final = 86_400
"""No reader takes longer: what it left behind is deleted."""
HOUR_MS: Final = 3_600_000
ROW_GROUP: Final = 100_000
MEMORY_MB: Final = 256
_ANONYMOUS: Final = "paceline.anonymous"


class Workshop:
    """A DuckDB of one task over one folder of events; what it spills is gone when it closes."""

    def __init__(self, folder: Path, memory_mb: int = MEMORY_MB, task: str = TASK) -> None:
        """A TASK holds the folder; READING is done beside it."""
        import duckdb  # 50 ms and 12 MB, wanted by those alone who open files

        self.folder = folder
        self.scratch = folder / SCRATCH / f"{task}-{secrets.token_hex(4)}"
        self.scratch.mkdir(parents=True, mode=0o700)
        self.sql = duckdb.connect(
            config={
                "memory_limit": f"{memory_mb}MB",
                "threads": 1,
                "temp_directory": str(self.scratch / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, *_: object) -> None:
        self.sql.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def write(self, query: str, values: dict[str, object], path: Path, *, anonymous: bool = False) -> int:
        """Put what a query gives in a file's place, whole; how many rows. No rows: no file."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = part_of(path)
        try:
            self.sql.execute(
                f"COPY ({query}) TO $part (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}, "
                f"KV_METADATA {{\"paceline.columns\": '{VERSION}', \"{_ANONYMOUS}\": '{int(anonymous)}'}})",
                {**values, "part": str(part)},
            )
            (copied,) = self.sql.fetchone() or (0,)
            if copied:
                part.chmod(0o600)
                publish(part, path)
            else:
                part.unlink()
                remove(path)
            return int(copied)
        finally:
            part.unlink(missing_ok=True)

    def columns_of(self, path: Path) -> list[str]:
        """The names of a file's columns."""
        self.sql.execute(
            "SELECT * FROM read_parquet($path, hive_partitioning = false) LIMIT 0", {"path": str(path)}
        )
        return [name for name, *_ in self.sql.description or ()]

    def anonymous(self, paths: Iterable[Path]) -> set[Path]:
        """Those of some files in which no person is left."""
        named = [str(path) for path in paths]
        found: set[Path] = set()
        for at in range(0, len(named), 500):
            self.sql.execute(
                "SELECT file_name FROM parquet_kv_metadata($paths) WHERE key = $key::BLOB AND value = '1'::BLOB",
                {"paths": named[at : at + 500], "key": _ANONYMOUS},
            )
            found |= {Path(name) for (name,) in self.sql.fetchall()}
        return found

    def pinned(self, paths: Iterable[Path]) -> list[Path]:
        """Files as they are now, under names of our own: what is renamed over them meanwhile changes no reading. Those
        that are gone are left out."""
        found = []
        for path in paths:
            link = self.scratch / path.relative_to(self.folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                link.hardlink_to(path)
                found.append(link)
        return found

    def rows(self, paths: Iterable[Path]) -> int:
        """How many rows some files have, by their footers."""
        named, count = [str(path) for path in paths], 0
        for at in range(0, len(named), 500):
            self.sql.execute(
                "SELECT sum(num_rows) FROM parquet_file_metadata($paths)", {"paths": named[at : at + 500]}
            )
            (found,) = self.sql.fetchone() or (0,)
            count += int(found or 0)
        return count

    def ask(self, query: str, limit: int) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and at most `limit` rows of one SELECT over a view per kind; it reads our files alone."""
        for kind in COLUMNS:
            files = self.pinned(hour_files(self.folder, kind))
            if files:
                listed = ", ".join(map(_text, files))
                source = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = true)"
            else:
                columns = ", ".join(
                    f'NULL::{sql_type} AS "{name}"' for name, sql_type in COLUMNS[kind].items()
                )
                source = f"(SELECT {columns}, NULL::DATE AS date, NULL::BIGINT AS hour WHERE false)"
            self.sql.execute(f"CREATE VIEW {kind} AS SELECT * FROM {source}")
        self.sql.execute(f"SET allowed_directories = [{_text(self.folder)}]")
        self.sql.execute("SET enable_external_access = false")
        self.sql.execute("SET lock_configuration = true")
        answer = self.sql.execute(f"SELECT * FROM ({query}) LIMIT {limit}")
        return [name for name, *_ in answer.description or ()], answer.fetchall()


def fresh_rows(kind: str) -> str:
    """The query that reads rows of `columns.row` from the file `$fresh`."""
    columns = ", ".join(
        f"\"{name}\": '{'VARCHAR' if name == 'person' else sql_type}'"
        for name, sql_type in COLUMNS[kind].items()
    )
    return (
        "SELECT * REPLACE (from_base64(nullif(person, '')) AS person) "
        f"FROM read_json($fresh, format = 'newline_delimited', columns = {{{columns}}})"
    )


def quoted(names: Iterable[str]) -> str:
    """Column names in a query: `order` is a word of SQL."""
    return ", ".join(f'"{name}"' for name in names)


def _text(path: Path) -> str:
    """A path in a statement that takes no values."""
    return "'" + str(path).replace("'", "''") + "'"


def hour_of(at_ms: int) -> int:
    """The hour of an event, in hours since the epoch."""
    return at_ms // HOUR_MS


def hour_path(folder: Path, kind: str, hour: int) -> Path:
    """Where the events of an hour lie."""
    start = datetime.fromtimestamp(0, UTC) + timedelta(hours=hour)
    return folder / kind / f"date={start:%Y-%m-%d}" / f"hour={start:%H}" / NAME


def start_s(path: Path) -> float:
    """When the hour of a file begins."""
    date, hour = path.parts[-3].removeprefix("date="), path.parts[-2].removeprefix("hour=")
    return datetime.strptime(f"{date} {hour} +0000", "%Y-%m-%d %H %z").timestamp()


def hour_files(folder: Path, kind: str) -> list[Path]:
    """The files of a kind, the oldest hour first."""
    return sorted((folder / kind).glob(f"date=*/hour=*/{NAME}"))


def all_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file with its kind."""
    for kind in COLUMNS:
        for path in hour_files(folder, kind):
            yield kind, path


def set_aside(folder: Path) -> list[Path]:
    """Files of hours that could not be read."""
    return [path for kind in COLUMNS for path in sorted((folder / kind).glob("date=*/hour=*/events.bad"))]


def remove(path: Path) -> None:
    """Delete a file of an hour, and the folders that are empty then."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()
        path.parent.parent.rmdir()


def tidy(folder: Path, now_s: float) -> None:
    """Delete what killed processes left half done; for the one that holds the folder."""
    for scratch in (folder / SCRATCH).glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if scratch.name.startswith(TASK) or now_s - scratch.stat().st_mtime > READING_S:
                shutil.rmtree(scratch, ignore_errors=True)
    places = ("", "segments/", *(f"{kind}/date=*/hour=*/" for kind in COLUMNS))
    for part in [part for place in places for part in folder.glob(f"{place}.*{PART}")]:
        part.unlink(missing_ok=True)
