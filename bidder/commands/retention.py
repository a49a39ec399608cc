"""`paceline retention sweep`: looks through every key and file for what could outlive its days, and mends it.

Place: __main__ registers it; the caretaker does the same by itself.
Shapes: results on stdout, problems on stderr; exit code 0 = nothing is open, 1 = something is, or cannot be reached.
"""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.commands.people import DAY_S, files_of, run
from bidder.config import Config
from bidder.rights.sweep import sweep
from bidder.stores.people_writer import Client

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: "Subparsers") -> None:
    """Add `retention` to the command line."""
    parser = subparsers.add_parser("retention", help="prove that nothing personal outlives its days")
    actions = parser.add_subparsers(metavar="action", required=True)
    action = actions.add_parser("sweep", help="look through every key and file, and mend")
    action.add_argument("--look", action="store_true", help="change nothing")
    action.add_argument("--json", action="store_true", help="for programs")
    action.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    action.set_defaults(run=lambda args: run(args, _sweep))


async def _sweep(config: Config, args: argparse.Namespace, client: Client) -> int:
    days_s = config.privacy.retention_days * DAY_S
    found = await sweep(client, files_of(config), time.time(), days_s, mend=not args.look)
    if args.json:
        told = {
            "keys": found.keys,
            "violations": found.violations,
            "mended": found.mended,
            "pruned": found.pruned,
        }
        print(json.dumps(told | {"open": found.open}))
    else:
        print(
            f"{found.keys:,} keys: {found.mended:,} given an end, {found.pruned:,} fields past their days removed"
        )
        for place, count in sorted(found.violations.items()):
            print(f"  {place}: {count:,} could outlive their days")
        print("nothing is open" if not found.open else f"{found.open:,} are open")
    return 1 if found.open else 0
