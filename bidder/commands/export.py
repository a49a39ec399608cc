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
from bidder.commands.campaigns import counted
from bidder.commands.ledger import readable_advertisers
from bidder.config import Config
from bidder.events import erasure
from bidder.metrics import Tally
from bidder.rights.holdings import holdings
from bidder.rights.readable import ShopWords, Words, readable
from bidder.rights.requests import Named
from bidder.stores import keys
from bidder.stores.people_writer import Client
from bidder.stores.visitors import VisitorStore

NOTHING: Final = 3
OPTED_OUT: Final = "opted out: nothing is held but the word that nothing is to be kept"


async def command(config: Config, args: argparse.Namespace, client: Client) -> int:
    """Carry it out; returns the exit code."""
    now_s = time.time()
    person = await _person(client, args.id)
    if args.id.person is None and person == keys.OPTED_OUT:
        print('{"opted_out": true, "held": null, "recorded": []}' if args.json else OPTED_OUT)
        return 0
    held = await holdings(client, person, now_s)
    catalogues = Catalogues(Path(config.data_dir) / "catalogues")
    await asyncio.to_thread(catalogues.refresh)
    exchanges = [profile.name for profile in config.profiles()]
    words = readable(held, readable_advertisers(config).values(), catalogues, now_s, exchanges)
    events = await _recorded(config, person)
    nothing = held.nothing and not held.opted_out_s and not events
    if args.json:
        answer = {"held": words, "recorded": events}
        print(msgspec.json.format(msgspec.json.encode(answer, enc_hook=str), indent=1).decode())
    else:
        print("nothing is held" if nothing else "\n".join(_lines(words, events)))
    return NOTHING if nothing else 0


async def _person(client: Client, named: Named) -> bytes:
    """Whom an id leads to; where it leads to nobody, ads may be counted under the id's own hash."""
    if named.person is not None:
        return named.person
    found = await VisitorStore(client, Tally()).resolve([named.match])
    return bytes.fromhex(keys.match_tag(named.match).decode()) if found is None else found


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
    lines += [
        f"id given to {each.exchange}, {counted(each.times, 'time')} in a day" for each in words.id_given_to
    ]
    return [*lines, counted(len(events), "recorded event")]


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
        lines.append(f"  {counted(shop.ads_seen, 'ad')} seen, the last {shop.last_ad}")
    return lines
