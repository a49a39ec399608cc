"""`paceline token --role ROLE --name WHO --days N`: a token for the operators' port.

Place: __main__ registers it; it reads the token keys, and makes them as `serve` does where there are none yet.
Shapes: the token alone on stdout, what it is good for on stderr; exit code 1 = there are no keys that can be used.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.commands.deeds import What
from bidder.commands.serve import configured
from bidder.config import ConfigError
from bidder.notices.keys import KeysError, load_keys
from bidder.web.roles import DAY_S, MAX_DAYS, ROLES, Holder, is_name, make_token

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: "Subparsers") -> None:
    """Add `token` to the command line."""
    parser = subparsers.add_parser("token", help="make a token for the operators' port")
    parser.add_argument(
        "--role", choices=list(ROLES), required=True,
        help="viewer: the page and /metrics; operator: reload, pause and resume, too; admin: restart, too",
    )  # fmt: skip
    parser.add_argument(
        "--name", type=_name, required=True, help="who holds it: it stands in the audit lines"
    )
    parser.add_argument(
        "--days", type=_days, default=30, help=f"how long it is good, 1 to {MAX_DAYS}; default: 30"
    )
    parser.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    parser.set_defaults(run=run, deed=_deed)


def run(args: argparse.Namespace) -> int:
    """Print a token."""
    try:
        config = configured(args)
        keyring = load_keys(os.environ, config.keys_file, Path(config.data_dir))
    except (ConfigError, KeysError) as error:
        print(f"paceline: {error}", file=sys.stderr)
        return 1
    expires_s = int(time.time()) + args.days * DAY_S
    print(make_token(keyring, Holder(args.name, ROLES[args.role], expires_s)))
    return 0


def _deed(args: argparse.Namespace) -> What:
    return What("token", args.name, f"{args.role}, {args.days} days")


def _name(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError(f"{text!r}: letters, digits and @ . _ + - alone, at most 64")
    return text


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MAX_DAYS}")
    return int(text)
