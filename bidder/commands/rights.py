"""The command lines of `paceline erase`, `export` and `retention`; what they do is imported when they run.

Place: __main__ registers them; erase.py, export.py and retention.py do the work, people.py opens the store.
"""

import argparse
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: "Subparsers") -> None:
    """Add the three to the command line."""
    erase = subparsers.add_parser("erase", help="erase people, everywhere")
    whom = erase.add_mutually_exclusive_group(required=True)
    whom.add_argument("--id", type=hexadecimal, help="32 hexadecimal digits, as in the cookie")
    whom.add_argument(
        "--file",
        type=Path,
        help="lines with an id, source/id, or an advertiser and a hashed login; - is the standard input",
    )
    erase.add_argument("--verify", action="store_true", help="look through every key and file afterwards")
    export = subparsers.add_parser("export", help="all that is held of a person")
    export.add_argument(
        "--id", type=hexadecimal, required=True, help="32 hexadecimal digits, as in the cookie"
    )
    export.add_argument("--json", action="store_true", help="for programs")
    retention = subparsers.add_parser("retention", help="prove that nothing personal outlives its days")
    actions = retention.add_subparsers(metavar="action", required=True)
    sweep = actions.add_parser("sweep", help="look through every key and file, and mend")
    sweep.add_argument("--look", action="store_true", help="change nothing")
    sweep.add_argument("--json", action="store_true", help="for programs")
    for parser, name in ((erase, "erase"), (export, "export"), (sweep, "retention")):
        parser.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
        parser.set_defaults(run=lambda args, name=name: _run(name, args))


def hexadecimal(text: str) -> bytes:
    """A person's id on a command line; raises ArgumentTypeError."""
    from bidder.audience.identity import person_id

    found = person_id(text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError("an id has 32 hexadecimal digits")
    return found


def _run(name: str, args: argparse.Namespace) -> int:
    from bidder.commands import people

    return people.run(args, import_module(f"bidder.commands.{name}").command)
