"""`paceline catalogue check | build | list`: look at product feeds, build a catalogue now, see which are there.

Place: __main__ registers it; each command is a function from arguments to an exit code.
Shapes: results go to stdout, problems and advice to stderr; exit code 0 = done, 1 = it cannot be used.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.campaigns.located import LocatedError
from bidder.campaigns.model import Advertiser
from bidder.commands.campaigns import table
from bidder.commands.ledger import CannotBe, hint
from bidder.config import Config, ConfigError
from bidder.config import load as load_config

if TYPE_CHECKING:
    from bidder.catalogue.refresh import Places

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_FORMATS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xml": "xml",
}
_COLUMNS: Final = (
    "ADVERTISER",
    "PRODUCTS",
    "OUT OF STOCK",
    "SKIPPED",
    "BUILT",
    "VERSION",
    "MODEL",
    "FEED",
    "PROBLEM",
)


def register(subparsers: "Subparsers") -> None:
    """Add `catalogue` and its commands to the command line."""
    parser = subparsers.add_parser("catalogue", help="check product feeds, build and list catalogues")
    commands = parser.add_subparsers(dest="catalogue_command", metavar="command", required=True)
    check = commands.add_parser("check", help="say what is in a feed, what is wrong with it, and where")
    check.add_argument("feed", type=Path, help="a file")
    check.add_argument("--format", choices=("csv", "jsonl", "xml"), help="default: by the file's name")
    whose = check.add_mutually_exclusive_group()
    whose.add_argument("--advertiser", default="", help="whose currency and domains it must have: an id")
    whose.add_argument("--currency", default="", help="the advertiser's, as EUR; default: any")
    check.set_defaults(run=run_check)
    build = commands.add_parser("build", help="fetch an advertiser's feed and build its catalogue now")
    build.add_argument("advertiser", help="its id in the campaign files")
    build.set_defaults(run=run_build)
    listing = commands.add_parser("list", help="list the catalogues that are there")
    listing.set_defaults(run=run_list)
    for command in (check, build, listing):
        command.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")


def run_check(args: argparse.Namespace) -> int:
    """Check a feed."""
    return guarded(lambda: _check(args))


def run_build(args: argparse.Namespace) -> int:
    """Build a catalogue."""
    return guarded(lambda: _build(args.advertiser, configuration(args.config)))


def run_list(args: argparse.Namespace) -> int:
    """List catalogues."""
    return guarded(lambda: _list(configuration(args.config)))


def guarded(command: Callable[[], int]) -> int:
    """The command's exit code; 1, with words, where it cannot be done."""
    try:
        return command()
    except LocatedError as error:  # each line begins with its file
        print(error, file=sys.stderr)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        print(f"paceline: {named}{error.strerror or error}", file=sys.stderr)
    except (CannotBe, ConfigError) as error:
        print(f"paceline: {error}", file=sys.stderr)
    return 1


def configuration(path: Path | None) -> Config:
    """The configuration of a file, or of the one that PACELINE_CONFIG names."""
    named = os.environ.get("PACELINE_CONFIG")
    return load_config(path or (Path(named) if named else None))


def advertisers_of(config: Config) -> tuple[Advertiser, ...]:
    """Those of the configured campaigns, or the demo's."""
    return load_book(_campaigns(config)).advertisers


def advertiser_named(advertiser_id: str, known: Sequence[Advertiser]) -> Advertiser:
    """One of the advertisers; raises CannotBe."""
    for advertiser in known:
        if advertiser.id == advertiser_id:
            return advertiser
    raise CannotBe(f"there is no advertiser {advertiser_id}; {hint(each.id for each in known)}")


def places_of(config: Config) -> "Places":
    """Where catalogues, models and feeds lie."""
    from bidder.catalogue.refresh import Places

    return Places.under(Path(config.data_dir), _campaigns(config), config.catalogue.folder)


def _campaigns(config: Config) -> Path:
    return Path(config.campaigns) if config.campaigns else demo_book_path()


def _check(args: argparse.Namespace) -> int:
    from bidder.catalogue.advice import Advisor
    from bidder.catalogue.feed import read_feed
    from bidder.catalogue.refresh import counts_text

    path: Path = args.feed
    known = args.format or _FORMATS.get(path.suffix.casefold())
    if known is None:
        raise CannotBe(f"{path.name} does not tell its format: say --format")
    currency, domains = args.currency.upper(), []
    if args.advertiser:
        owner = advertiser_named(args.advertiser, advertisers_of(configuration(args.config)))
        currency, domains = owner.currency, [owner.domain, *owner.events.origins]
    feed = read_feed(path, known, currency, advisor=Advisor(domains))
    for problem in feed.problems:
        print(problem, file=sys.stderr)
    for advice in feed.advice:
        print(f"advice: {advice}", file=sys.stderr)
    categories = len({product.category for product in feed.products if product.category})
    print(f"{path}: {counts_text(feed.counts)}, {categories:,} categories")
    return 0


def _build(advertiser_id: str, config: Config) -> int:
    from bidder.catalogue.refresh import BUILT, BUSY, UNCHANGED, left_of, refresh

    found = advertiser_named(advertiser_id, advertisers_of(config))
    if found.feed is None:
        raise CannotBe(f"{advertiser_id} has no feed in the campaigns")
    places = places_of(config)
    result = asyncio.run(refresh(found, places, config.catalogue, int(time.time()), anew=True))
    if result.result in (BUILT, UNCHANGED):
        words = "in place" if result.result == BUILT else "as it was"
        print(f"{advertiser_id}: {result.detail}, version {result.version[:12]}, {words}")
        return 0
    if result.result == BUSY:
        raise CannotBe(f"the catalogue of {advertiser_id} is being refreshed by another process right now")
    raise CannotBe(f"{advertiser_id}: {result.detail}; {left_of(result)}")


def _list(config: Config) -> int:
    rows = list(_rows(config))
    if not rows:
        print(f"no catalogue is in {places_of(config).catalogues}")
        return 0
    print(table(_COLUMNS, rows))
    return 0


def _rows(config: Config) -> Iterator[tuple[str, ...]]:
    from bidder.catalogue.refresh import read_state
    from bidder.catalogue.sections import ArtifactError, pointer
    from bidder.catalogue.snapshot import open_catalogue

    folder = places_of(config).catalogues
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        state, found = read_state(each), pointer(each)
        counts, source = state.counts, state.source
        products, model, problem = "-", "-", state.problem.partition("\n")[0]
        if found is not None:
            try:
                catalogue = open_catalogue(each, each.name, found.version)
                products, model = f"{catalogue.count:,}", catalogue.facts.model[:12] or "-"
            except (ArtifactError, OSError) as error:
                problem = f"cannot be used: {error}"
        yield (
            each.name,
            products,
            f"{counts.out_of_stock:,}" if counts else "-",
            f"{counts.bad:,}" if counts else "-",
            time.strftime("%Y-%m-%d %H:%M", time.gmtime(found.written_s)) if found else "-",
            found.version[:12] if found else "-",
            model,
            f"{source.location} ({source.format}, every {source.every})" if source else "-",
            problem or "-",
        )
