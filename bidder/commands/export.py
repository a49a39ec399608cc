"""`paceline export`: all that is held of a person, readable or for programs.

Place: rights.py registers it; names come from the campaign files and catalogues of the configuration.
Shapes: results on stdout, problems on stderr; exit code 0 = something is held, 3 = nothing, 1 = it cannot be told.
    `recorded` are the events of this host's files; what is recorded twice stands twice.
"""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from bidder.catalogue.snapshot import Catalogues
from bidder.commands.ledger import readable_advertisers
from bidder.config import Config
from bidder.events import erasure
from bidder.rights.holdings import holdings
from bidder.rights.readable import ShopWords, Words, readable
from bidder.stores.people_writer import Client

NOTHING: Final = 3


async def command(config: Config, args: argparse.Namespace, client: Client) -> int:
    """Carry it out; returns the exit code."""
    now_s = time.time()
    held = await holdings(client, args.id, now_s)
    catalogues = Catalogues(Path(config.data_dir) / "catalogues")
    await asyncio.to_thread(catalogues.refresh)
    exchanges = [profile.name for profile in config.profiles()]
    words = readable(held, readable_advertisers(config).values(), catalogues, now_s, exchanges)
    events = await _recorded(config, args.id)
    if args.json:
        answer = {"held": words, "recorded": events}
        print(msgspec.json.format(msgspec.json.encode(answer, enc_hook=str), indent=1).decode())
    else:
        print("\n".join(_lines(words, events)))
    return NOTHING if held.nothing and not held.opted_out_s and not events else 0


async def _recorded(config: Config, person: bytes) -> list[dict[str, Any]]:
    folder = config.events_folder()
    return await asyncio.to_thread(erasure.events_of, folder, person) if folder.is_dir() else []


def _lines(words: Words, events: list[dict[str, Any]]) -> list[str]:
    """The same for people."""
    facts = (
        ("last seen", words.last_seen),
        ("kept until", words.kept_until),
        ("opted out", words.opted_out_since),
    )
    lines = [f"person {words.id}", *(f"  {name} {value}" for name, value in facts if value)]
    for shop in words.shops:
        lines += _shop_lines(shop)
    lines += [f"known by {link.source or 'an unnamed source'} since {link.since}" for link in words.known_by]
    lines += [f"linked by a login at {login.shop} since {login.since}" for login in words.linked_logins]
    lines += [f"id given to {each.exchange}, {each.times} times in a day" for each in words.id_given_to]
    return [*lines, f"{len(events):,} recorded events"]


def _shop_lines(shop: ShopWords) -> list[str]:
    lines = [f"{shop.name} ({shop.shop})"]
    lines += [f"  segment {segment.name} until {segment.until}" for segment in shop.segments]
    lines += [f"  product {thing.id} {thing.title} {thing.last_viewed}" for thing in shop.products]
    lines += [
        "  " + " ".join(filter(None, (deed.at, deed.what, deed.product, deed.category, deed.amount)))
        for deed in shop.visits
    ]
    if shop.tastes:
        lines.append(f"  tastes {' '.join(f'{figure:g}' for figure in shop.tastes)}")
    if shop.ads_seen:
        lines.append(f"  {shop.ads_seen} ads seen, the last {shop.last_ad}")
    return lines
