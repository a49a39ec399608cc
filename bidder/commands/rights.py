"""The command lines of `paceline erase`, `export` and `retention`; what they do is imported when they run.

Place: __main__ registers them; erase.py, export.py and retention.py do the work, people.py opens the store.
"""

import argparse
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bidder.commands.deeds import What

if TYPE_CHECKING:
    from bidder.rights.requests import Named

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


WHOM: Final = "32 hexadecimal digits, as in the cookie, or source/id, as in exchange/abc or ifa/..."
ERASE_CODES: Final = (
    "Exit codes: 0 done, and with --verify nothing is left; 1 something is left, a line could not be read, or "
    "something could not be reached; 3 somebody named led to no id, so that nothing is proved; 4 what is left is "
    "pending: a running service cleans it at its next compaction."
)
EXPORT_CODES: Final = "Exit codes: 0 something is held; 3 nothing is held; 1 it cannot be told."


def register(subparsers: "Subparsers") -> None:
    """Add the three to the command line."""
    erase = subparsers.add_parser("erase", help="erase people, everywhere", epilog=ERASE_CODES)
    whom = erase.add_mutually_exclusive_group(required=True)
    whom.add_argument("--id", type=somebody, help=WHOM)
    whom.add_argument(
        "--file",
        type=Path,
        help="lines with an id, source/id, or an advertiser and a hashed login; - is the standard input",
    )
    erase.add_argument("--verify", action="store_true", help="look through every key and file afterwards")
    erase.add_argument(
        "--wait", action="store_true", help="verify when nothing is pending any more, after 5 minutes at most"
    )
    export = subparsers.add_parser("export", help="all that is held of a person", epilog=EXPORT_CODES)
    export.add_argument("--id", type=somebody, required=True, help=WHOM)
    export.add_argument("--json", action="store_true", help="for programs")
    retention = subparsers.add_parser("retention", help="prove that nothing personal outlives its days")
    actions = retention.add_subparsers(metavar="command", required=True)
    sweep = actions.add_parser("sweep", help="look through every key and file, and mend")
    sweep.add_argument("--look", action="store_true", help="change nothing")
    sweep.add_argument("--json", action="store_true", help="for programs")
    for parser, name, deed in (
        (erase, "erase", _erased),
        (export, "export", _exported),
        (sweep, "retention", _swept),
    ):
        parser.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
        parser.set_defaults(run=lambda args, name=name: _run(name, args), deed=deed)


def somebody(text: str) -> "Named":
    """A person on a command line, by our id or another's; raises ArgumentTypeError."""
    from bidder.rights.requests import named_by

    found = named_by(text.strip())
    if found is None or found.login is not None:
        raise argparse.ArgumentTypeError(f"expected {WHOM}")
    return found


def _erased(args: argparse.Namespace) -> What:
    return What("erase", "all whom a file names" if args.id is None else _digest(args.id))


def _exported(args: argparse.Namespace) -> What:
    return What("export", _digest(args.id))


def _swept(args: argparse.Namespace) -> What | None:
    return None if args.look else What("retention sweep")


def _digest(named: "Named") -> str:
    """Who it is, as the lines about erasures say it; of another's id not more than that."""
    from bidder.events.erased import digest

    return f"person digest:{digest(named.person).hex()}" if named.person else "a person by another's id"


def _run(name: str, args: argparse.Namespace) -> int:
    from bidder.commands import people

    return people.run(args, import_module(f"bidder.commands.{name}").command)
