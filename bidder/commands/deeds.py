"""Commands that change money, campaigns or people, or hand out secrets, leave an audit line: done, or not.

Place: __main__ carries out every command here. The parser of such a command has a default `deed`: a function of the
    arguments that says what it is, or None where these arguments change nothing.
Rule: the line is on stderr, and in audit.log of the configuration's data directory where that exists; at a terminal it
    is on stderr only where audit.log does not have it.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

from bidder.commands.serve import configured
from bidder.config import ConfigError


class What(NamedTuple):
    """What a command does: never whom of the people that it is about, and never a secret."""

    action: str
    target: str = ""
    detail: str = ""


def carried_out(args: argparse.Namespace) -> int:
    """Run the command of a command line; returns its exit code."""
    if "deed" not in args:
        status: int = args.run(args)
        return status
    result = "interrupted"
    try:
        status = args.run(args)
        result = "done" if status == 0 else f"exit code {status}"
        return status
    finally:
        what: What | None = args.deed(args)
        if what is not None:
            _tell(args, what, result)


def _tell(args: argparse.Namespace, what: What, result: str) -> None:
    from bidder import deeds

    try:
        folder = Path(configured(args).data_dir)
    except ConfigError:
        folder = None
    deed = deeds.Deed(
        who=deeds.user_name(),
        role="shell",
        action=what.action,
        target=what.target,
        detail=what.detail,
        result=result,
        way=deeds.COMMAND_LINE,
    )
    deeds.tell_command(deed, folder)
