"""`paceline erase`: everything of a person goes, or of all whom a file names, and is shown to be gone.

Place: rights.py registers it; it works on the people's store and this host's files, with or without a service.
Shapes: results on stdout, problems on stderr. Exit code 0 = done, and with --verify nothing is left of anybody; 1 = a
    line or a file could not be read, something could not be reached, or something is left; NOBODY = a line led to
    nobody, of whom nothing can be proved; PENDING = what is left goes by itself at the next compaction. The first of
    1, PENDING and NOBODY that applies is told.
Rule: other hosts clean their files when their caretakers read the queue (`events.erase_s`). Who led to nobody may be
    somebody who was erased a moment ago: then all erasures that were asked for are looked at, by their digests.
Limits: --wait waits MAX_WAIT_S, and looks every POLL_S.
Never: an id in what is printed: a place may name one, since it is asked for by it. A proof about nobody.
"""

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.commands.campaigns import counted
from bidder.commands.ledger import CannotBe
from bidder.config import Config
from bidder.events import erasure
from bidder.events.erased import digest
from bidder.events.requests import requested
from bidder.metrics import Tally
from bidder.rights.erase import Eraser
from bidder.rights.pending import Pending, left_in_events, pending
from bidder.rights.requests import Desk, Named, parse
from bidder.rights.verify import in_files, in_store
from bidder.stores.people_writer import Client
from bidder.stores.visitors import VisitorStore

NOBODY: Final = 3
PENDING: Final = 4
MAX_WAIT_S: Final = 300
POLL_S: Final = 2
ASKED_BY: Final = "command line"
LEFT: Final = "models and catalogues hold no person; the next training reads what is left of events"


class Asked(Struct, frozen=True):
    """What became of those who were named."""

    people: tuple[bytes, ...]
    """Ids that can be looked for."""
    named: int
    known: int
    """Of whom something was held."""
    nobody: int
    """Who led to no id."""


async def command(config: Config, args: argparse.Namespace, client: Client) -> int:
    """Carry it out; returns the exit code."""
    tally = Tally()
    desk = Desk(client, Eraser(client, tally), VisitorStore(client, tally))
    lines = [args.id] if args.id is not None else list(parse(_lines(args.file)))
    asked = await _erase(desk, [each for each in lines if isinstance(each, Named)])
    wrong = [each for each in lines if isinstance(each, str)]
    for problem in wrong:
        print(f"paceline: {problem}", file=sys.stderr)
    rows = await _erase_files(config, asked.people)
    print(_told(asked, rows), flush=True)  # before --wait
    code = 0
    if args.verify or args.wait:
        if args.wait:
            await wait(lambda: _pending(config, client, asked), asyncio.sleep)
        code = await _verify(config, client, asked)
    return 1 if wrong else code


async def wait(look: Callable[[], Awaitable[Pending]], pause: Callable[[float], Awaitable[object]]) -> bool:
    """Pause until nothing is pending, or MAX_WAIT_S are over; whether nothing is."""
    for _ in range(MAX_WAIT_S // POLL_S):
        if not await look():
            return True
        await pause(POLL_S)
    return not await look()


async def _erase(desk: Desk, named: list[Named]) -> Asked:
    found = [await desk.erase(each, time.time(), ASKED_BY) for each in named]
    ids = [
        each.person or (erased.person if erased else b"") for each, erased in zip(named, found, strict=True)
    ]
    known = sum(each is not None for each in found)
    return Asked(tuple(dict.fromkeys(filter(None, ids))), len(named), known, sum(not each for each in ids))


async def _erase_files(config: Config, people: Collection[bytes]) -> int:
    """Clean this host's recorded events at once; the queue has told every host."""
    folder = config.events_folder()
    return await asyncio.to_thread(erasure.erase, folder, people) if folder.is_dir() and people else 0


def _told(asked: Asked, rows: int) -> str:
    """What was done, in a sentence."""
    others = asked.named - asked.known
    parts = [f"erased all that was held of {asked.known:,} of those named" if asked.named > 1 else "erased"]
    if not asked.known:
        parts = ["the store held nothing of whom you named" if asked.named else "nobody is named"]
    elif others:
        parts.append(f"nothing was held of {counted(others, 'other')}")
    if rows:
        parts.append(f"{counted(rows, 'recorded event')} cleaned on this host")
    return "; ".join(parts)


async def _pending(config: Config, client: Client, asked: Asked) -> Pending:
    """What waits of these people; of everybody where somebody of them is known to nobody any more."""
    names = None if asked.nobody or not asked.people else {digest(person) for person in asked.people}
    queue = await requested(client, time.time())
    return await asyncio.to_thread(pending, config.events_folder(), queue, names)


async def _verify(config: Config, client: Client, asked: Asked) -> int:
    """Print what is left of people, and what of it goes by itself; returns the exit code."""
    waiting = await _pending(config, client, asked)
    places = [place for person in asked.people for place in await _places(config, client, person)]
    for line in (*places, *_waiting(config, waiting)):
        print(line)
    if asked.nobody or not asked.people:
        print(_unproved(asked, waiting))
    if places:
        print(f"{counted(len(places), 'place')} still {'holds' if len(places) == 1 else 'hold'} the person")
        return 1
    if waiting:
        return PENDING
    if asked.people:
        print(f"nothing is left of {counted(len(asked.people), 'id')} ({LEFT})")
    return NOBODY if asked.nobody or not asked.people else 0


async def _places(config: Config, client: Client, person: bytes) -> list[str]:
    """Where a person is still named, and no erasure on its way will change it."""
    folders = [Path(config.data_dir) / "spool", Path(config.data_dir) / "models"]
    queue = await requested(client, time.time())
    return [
        *await in_store(client, person),
        *await asyncio.to_thread(in_files, folders, person),
        *await asyncio.to_thread(left_in_events, config.events_folder(), queue, person),
    ]


def _waiting(config: Config, waiting: Pending) -> list[str]:
    """What is pending, and until when."""
    lines = []
    if waiting.events:
        within = _within(config.events.segment_s + config.events.compact_s)
        what = counted(waiting.events, "event")
        lines.append(f"pending: {what} in segments not sealed yet; cleaned at the next compaction, {within}")
    if waiting.people:
        who = "1 person's" if waiting.people == 1 else f"{waiting.people:,} people's"
        within = _within(config.events.erase_s)
        lines.append(f"pending: {who} erasure from this host's files; the caretaker begins it {within}")
    return lines


def _within(seconds: float) -> str:
    if seconds < 60:
        return f"within about {counted(math.ceil(seconds), 'second')}"
    return f"within about {counted(math.ceil(seconds / 60), 'minute')}"


def _unproved(asked: Asked, waiting: Pending) -> str:
    """Of whom nothing is said."""
    if not asked.nobody:
        return "nobody to verify: no line names anybody"
    what = f"{asked.nobody:,} of {asked.named:,} named led to no id (erased before, opted out, never known, or a login)"
    others = "" if waiting else "; no erasure that was asked for before is pending on this host"
    return f"{'not verified' if asked.people else 'nobody to verify'}: {what}{others}"


def _lines(path: Path) -> Iterable[str]:
    """The lines of a batch; raises CannotBe."""
    try:
        return sys.stdin.readlines() if str(path) == "-" else path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotBe(f"{path}: {error}") from None
