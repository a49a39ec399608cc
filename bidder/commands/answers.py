"""Rows of an answer on stdout: a table for people, CSV or JSON for programs.

Place: `paceline events`.
Shapes: bytes are shown in hexadecimal, moments as ISO 8601. Of nothing a table shows `-`, CSV an empty cell, JSON null;
    lists and structs stand in CSV and tables as JSON.
Never: a character that a terminal obeys, in a table.
"""

import argparse
import csv
import json
import math
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bidder.commands.ledger import table


def add_forms(parser: argparse.ArgumentParser) -> None:
    """Let a command's answer be asked for in a form."""
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--csv", action="store_true", help="comma-separated, for programs")
    forms.add_argument("--json", action="store_true", help="a list of objects, for programs")


def show(names: Sequence[str], rows: Sequence[Sequence[Any]], args: argparse.Namespace) -> None:
    """Print an answer in the form that was asked for."""
    if args.json:
        told = [dict(zip(names, map(_plain, row), strict=True)) for row in rows]
        print(json.dumps(told, indent=1, ensure_ascii=False))
    elif args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(value, "") for value in row] for row in rows)
    else:
        texts = frozenset(at for at in range(len(names)) if not _all_numbers([row[at] for row in rows]))
        cells = [[_printable(_cell(value, "-")) for value in row] for row in rows]
        print(table([_printable(name) for name in names], cells, texts))


def _all_numbers(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known
    )


def _plain(value: Any) -> Any:
    """What JSON can say of a value."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return value if value is None or isinstance(value, str | int) else str(value)


def _cell(value: Any, nothing: str) -> str:
    plain = _plain(value)
    if plain is None:
        return nothing
    if isinstance(plain, bool | list | dict):
        return json.dumps(plain, ensure_ascii=False)
    return str(plain)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])
