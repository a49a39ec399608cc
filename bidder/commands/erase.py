"""`paceline erase`: everything of a person goes, or of all whom a file names, and is shown to be gone.

Place: rights.py registers it; it works on the people's store and this host's files, with or without a service.
Shapes: results on stdout, problems on stderr. Exit code 0 = done, and with --verify nothing was found; 1 = a line or a
    file could not be read, something could not be reached, or something is left.
Rule: other hosts clean their files when their caretakers read the queue (`events.erase_s`).
Never: an id in what is printed: a place may name one, since it is asked for by it.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bidder.commands.ledger import CannotBe
from bidder.config import Config
from bidder.events import erasure
from bidder.metrics import Tally
from bidder.rights.erase import Eraser
from bidder.rights.requests import Desk, Named, parse
from bidder.rights.verify import in_files, in_store
from bidder.stores.people_writer import Client
from bidder.stores.visitors import VisitorStore

ASKED_BY: Final = "command line"
LEFT: Final = "models and catalogues hold no person; the next training reads what is left of events"


async def command(config: Config, args: argparse.Namespace, client: Client) -> int:
    """Carry it out; returns the exit code."""
    tally = Tally()
    desk = Desk(client, Eraser(client, tally), VisitorStore(client, tally))
    people = [Named(args.id)] if args.id is not None else list(parse(_lines(args.file)))
    wrong = [each for each in people if isinstance(each, str)]
    named = [each for each in people if isinstance(each, Named)]
    for problem in wrong:
        print(f"paceline: {problem}", file=sys.stderr)
    found = [await desk.erase(each, time.time(), ASKED_BY) for each in named]
    known = sum(each is not None for each in found)
    asked = [each.person for each in named if each.person is not None]
    gone = list(dict.fromkeys([*asked, *(each.person for each in found if each is not None and each.person)]))
    rows = await _erase_files(config, gone)
    print(
        f"erased {known:,} of {len(named):,}, of the others nothing was held; {rows:,} recorded events cleaned here"
    )
    left = await _verify(config, client, gone) if args.verify else 0
    return 1 if wrong or left else 0


async def _erase_files(config: Config, people: list[bytes]) -> int:
    """Clean this host's recorded events at once; the queue has told every host."""
    folder = config.events_folder()
    return await asyncio.to_thread(erasure.erase, folder, people) if folder.is_dir() and people else 0


async def _verify(config: Config, client: Client, people: list[bytes]) -> int:
    """Print what is left of people; how many places."""
    left = 0
    folders = [
        Path(config.data_dir) / "spool",
        Path(config.data_dir) / "models",
        config.events_folder() / "segments",
    ]
    for person in people:
        places = await in_store(client, person)
        places += await asyncio.to_thread(in_files, folders, person)
        if config.events_folder().is_dir():
            held = await asyncio.to_thread(erasure.holds, config.events_folder(), person)
            places += [f"events {path}" for path in held]
        for place in places:
            print(place)
        left += len(places)
    print(f"{left} places are left" if left else f"nothing is left ({LEFT})")
    return left


def _lines(path: Path) -> Iterable[str]:
    """The lines of a batch; raises CannotBe."""
    try:
        return sys.stdin.readlines() if str(path) == "-" else path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotBe(f"{path}: {error}") from None
