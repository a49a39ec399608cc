"""`paceline audience sizes`: the segments that advertisers define, and about how many people were in each.

Place: __main__ registers it; the people's store is the one that `serve` with the same configuration uses.
Shapes: results on stdout, problems on stderr; exit code 0 = done, 1 = not reachable, or there is no such advertiser,
    2 = a wrong command line.
Units: people within the last 30 days, estimated: a HyperLogLog is wrong by about 1 in 100.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bidder.campaigns.load import CampaignError
from bidder.campaigns.model import Advertiser, EventRule, LineItem, Segment
from bidder.commands.ledger import CannotBe, advertisers, hint, table
from bidder.commands.serve import configured
from bidder.config import Config, ConfigError
from bidder.settings import Stores

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

FILE_NAME: Final = "redis.url"
"""In the data directory of a service with an embedded store of people, as long as it runs."""
SHOWN: Final = 3
"""Categories or products of a rule that are named."""

_COLUMNS: Final = ("ADVERTISER", "SEGMENT", "PEOPLE", "LINE ITEMS", "WHEN", "UNLESS", "KEEP")
_TEXTS: Final = frozenset((0, 1, 4, 5, 6))


def register(subparsers: "Subparsers") -> None:
    """Add `audience` and its commands to the command line."""
    parser = subparsers.add_parser("audience", help="look at advertisers' segments")
    commands = parser.add_subparsers(dest="audience_command", metavar="command", required=True)
    sizes = commands.add_parser("sizes", help="how many people were in each segment in the last 30 days")
    sizes.add_argument("advertiser", nargs="?", help="default: all of the campaigns")
    sizes.add_argument("--json", action="store_true", help="for programs")
    sizes.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    sizes.set_defaults(run=run_sizes)


def run_sizes(args: argparse.Namespace) -> int:
    """Show the sizes of segments; returns the exit code."""
    from bidder.logs import redact

    try:
        config = configured(args)
        chosen = _chosen(advertisers(config), args.advertiser)
        found = asyncio.run(_sizes(people_stores(config), chosen))
    except (CannotBe, ConfigError, CampaignError) as error:
        print(f"paceline: {redact(str(error))}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        print(_text(chosen, found))
    return 0


def people_stores(config: Config) -> Stores:
    """Where `serve` with this configuration keeps people; raises CannotBe where that cannot be told."""
    if config.stores.redis_url:
        return config.stores
    path = Path(config.data_dir) / FILE_NAME
    try:
        return Stores(redis_url=path.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        raise CannotBe(
            f"no people: no service runs in {config.data_dir}, and PACELINE_REDIS_URL is not set"
        ) from None
    except OSError as error:
        raise CannotBe(f"{path} cannot be read: {error.strerror or error}") from None


def segment_rows(shops: Iterable[Advertiser]) -> Iterator[tuple[str, ...]]:
    """(advertiser, segment, line items that target it, when, unless, keep) of all segments, as a person reads them."""
    for shop in shops:
        for segment in shop.segments:
            yield (
                shop.id,
                segment.id,
                str(sum(_targets(item, segment) for c in shop.campaigns for item in c.line_items)),
                "; ".join(map(rule_words, segment.when)),
                "; ".join(map(rule_words, segment.unless)) or "-",
                segment.keep,
            )


def rule_words(rule: EventRule) -> str:
    """`2 cart of Shoes within 7d, each worth 50`."""
    what = rule.custom if rule.custom is not None else rule.event
    words = [f"{rule.at_least} {what}" if rule.at_least > 1 else what]
    for names in (rule.categories, rule.products):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            words.append(f"of {', '.join(names[:SHOWN])}{more}")
    words.append(f"within {rule.within}")
    worth = (
        "" if rule.min_value is None else f", {'each ' if rule.at_least > 1 else ''}worth {rule.min_value}"
    )
    return " ".join(words) + worth


def _chosen(known: dict[str, Advertiser], name: str | None) -> list[Advertiser]:
    if name is not None and name not in known:
        raise CannotBe(f"no campaign file names {name}; {hint(known)}")
    return [known[name]] if name is not None else [known[each] for each in sorted(known)]


async def _sizes(stores: Stores, shops: list[Advertiser]) -> dict[str, dict[str, int]]:
    """People by segment by advertiser; raises CannotBe."""
    from redis.exceptions import RedisError

    from bidder.logs import redact
    from bidder.metrics import Tally
    from bidder.stores.errors import AddressError
    from bidder.stores.people_writer import open_client
    from bidder.stores.visitors import VisitorStore

    try:
        client = open_client(stores)
        try:
            store, now_s = VisitorStore(client, Tally()), int(time.time())
            return {
                shop.id: await store.sizes(shop.id, [segment.id for segment in shop.segments], now_s)
                for shop in shops
            }
        finally:
            await client.aclose()
    except AddressError as error:
        raise CannotBe(f"the people's address: {error}") from None
    except (RedisError, OSError) as error:
        raise CannotBe(f"the people at {redact(stores.redis_url)} cannot be reached: {error}") from None


def _text(shops: list[Advertiser], sizes: dict[str, dict[str, int]]) -> str:
    rows = []
    for owner, segment, items, when, unless, keep in segment_rows(shops):
        rows.append((owner, segment, f"{sizes[owner][segment]:,}", items, when, unless, keep))
    return table(_COLUMNS, rows, _TEXTS) if rows else "no segments are defined"


def _targets(item: LineItem, segment: Segment) -> bool:
    wanted = item.targeting.segments
    return wanted is not None and segment.id in (*wanted.any, *wanted.none)
