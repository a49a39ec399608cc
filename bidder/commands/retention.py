"""`paceline retention sweep`: looks through every key and file for what could outlive its days, and mends it.

Place: rights.py registers it; the caretaker does the same by itself.
Shapes: results on stdout, problems on stderr; exit code 0 = nothing is open, 1 = something is, or cannot be reached.
"""

import argparse
import json
import time

from bidder.commands.people import DAY_S, files_of
from bidder.config import Config
from bidder.rights.sweep import sweep
from bidder.stores.people_writer import Client


async def command(config: Config, args: argparse.Namespace, client: Client) -> int:
    """Carry it out; returns the exit code."""
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
