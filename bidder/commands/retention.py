"""`paceline retention sweep`: looks through every key and file for what could outlive its days, and mends it.

Place: rights.py registers it; the caretaker does the same by itself.
Shapes: results on stdout, problems on stderr; exit code 0 = nothing is open, 1 = something is, or cannot be reached.
"""

import argparse
import json
import time
from typing import Final

from bidder.commands.campaigns import counted
from bidder.commands.people import DAY_S, files_of
from bidder.config import Config
from bidder.rights.sweep import UNKNOWN, Swept, sweep
from bidder.stores.people_writer import MAX_TTL_S, Client

DAYS: Final = MAX_TTL_S // DAY_S
PLACES: Final = {
    "p": "keys of people (p:)",
    "h": "keys of people's visits (h:)",
    "c": "keys of linked logins (c:)",
    "m": "keys that match other systems' ids (m:)",
    "f": "keys of ads that people saw (f:)",
    "b": "keys of marks on people's ads (b:)",
    "g": "keys of segment sizes (g:)",
    "x": "keys of guards after erasures (x:)",
    "j": "keys of deletion requests that came (j:)",
    "deletions": "lists of deletion requests to carry out (deletions)",
    "erasures": "lists of erasures (erasures)",
    UNKNOWN: "keys that Paceline does not write, so they are not touched",
    "events": "files of recorded events",
    "segments": "segments of recorded events",
    "spool": "spools of notices",
}
"""What a place of a sweep is."""


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
            "files": found.files,
        }
        print(json.dumps(told | {"open": found.open}))
    else:
        print("\n".join(_lines(found, args.look)))
    return 1 if found.open else 0


def _lines(found: Swept, look: bool) -> list[str]:
    """The report of a sweep, for whoever must answer for it."""
    looked = f"{counted(found.keys, 'key')} and {counted(found.files, 'file')} looked at"
    wrong = sum(found.violations.values())
    if not wrong:
        lines = [f"{looked}: every personal one ends within {DAYS} days"]
    else:
        lines = [f"{looked}: {wrong:,} could outlive {DAYS} days, every other personal one ends within them"]
        lines += [
            f"  {PLACES.get(place, place)}: {count:,}" for place, count in sorted(found.violations.items())
        ]
    if look:
        lines.append("mended: nothing, since --look changes nothing")
    else:
        pruned = "entry" if found.pruned == 1 else "entries"
        lines.append(
            f"mended: {counted(found.mended, 'key')} given an end; "
            f"{found.pruned:,} {pruned} past their time removed from people who are still seen"
        )
    return [*lines, f"open: {found.open:,} still to be dealt with" if found.open else "open: nothing"]
