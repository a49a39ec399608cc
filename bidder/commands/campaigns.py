"""`paceline campaigns check | list | apply`: look at campaigns, and put others in the place of the live ones.

Place: __main__ registers it; each command is a function from arguments to an exit code.
Shapes: results go to stdout, problems and advice to stderr; exit code 0 = done, 1 = problems.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.feeds import faults, feeds_folder
from bidder.campaigns.live import apply
from bidder.campaigns.load import CampaignError, load
from bidder.campaigns.located import Problem
from bidder.campaigns.model import Advertiser, Book, Budget, Campaign, Frequency, LineItem
from bidder.campaigns.rates import Rates, RatesError, load_rates
from bidder.commands.audience import segment_rows
from bidder.commands.deeds import What
from bidder.config import Config, ConfigError
from bidder.config import load as load_config

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_COLUMNS = (
    *("ADVERTISER", "CAMPAIGN", "LINE ITEM", "GOAL", "MAX BID CPM", "CAMPAIGN BUDGET", "BUDGET", "PACING"),
    *("CREATIVES", "ACTIVE", "CAPS"),
)
_SEGMENT_COLUMNS = ("ADVERTISER", "SEGMENT", "LINE ITEMS", "WHEN", "UNLESS", "KEEP")
_PERIODS = {"total": " in all", "daily": " a day", "hourly": " an hour"}


def register(subparsers: "Subparsers") -> None:
    """Add `campaigns` and its commands to the command line."""
    parser = subparsers.add_parser("campaigns", help="check, list and apply campaign files")
    commands = parser.add_subparsers(dest="campaigns_command", metavar="command", required=True)
    check = commands.add_parser("check", help="say everything that is wrong with campaign files, and where")
    check.add_argument(
        "path",
        type=Path,
        nargs="?",
        help="a YAML file or a folder of them; default: the configured ones, else the demo's",
    )
    check.set_defaults(run=run_check)
    listing = commands.add_parser("list", help="list line items, and the segments that are defined")
    listing.add_argument("path", type=Path, nargs="?", help="default: the configured ones, else the demo's")
    listing.set_defaults(run=run_list)
    applying = commands.add_parser("apply", help="check, then replace the live campaigns in one step")
    applying.add_argument("path", type=Path, help="the new YAML file or folder")
    applying.add_argument("--to", help="the live file or folder; default: the configured one")
    applying.set_defaults(
        run=run_apply,
        deed=lambda args: What("campaigns apply", args.to or "the configured ones", str(args.path)),
    )
    for command in (check, listing, applying):
        command.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")


def run_check(args: argparse.Namespace) -> int:
    """Check campaign files."""
    return _guarded(lambda: _check(args.path, args.config))


def run_list(args: argparse.Namespace) -> int:
    """List the line items of campaign files."""
    return _guarded(lambda: _list(args.path, args.config))


def run_apply(args: argparse.Namespace) -> int:
    """Replace the live campaigns."""
    return _guarded(lambda: _apply(args.path, args.to, args.config))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under their headings, each column as wide as its widest cell."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (columns, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _check(named: Path | None, config: Path | None) -> int:
    settings = _config(config)
    path = named or _configured(settings)
    loaded = load(path, _rates(settings))
    advice = [*loaded.advice, *faults(loaded.feeds, feeds_folder(path, settings.catalogue.folder))]
    _advise(advice)
    print(f"{path}: {counts(loaded.book)}, {_advised(len(advice))}")
    return 0


def _list(path: Path | None, config: Path | None) -> int:
    settings = _config(config)
    book = load(path or _configured(settings), _rates(settings)).book
    print(table(_COLUMNS, list(_rows(book))))
    if segments := list(segment_rows(book.advertisers)):
        print(f"\n{table(_SEGMENT_COLUMNS, segments)}")
    return 0


def _apply(path: Path, target: str | None, config: Path | None) -> int:
    settings = _config(config)
    live = target or settings.campaigns
    if not live:
        raise ConfigError("no live campaigns are configured: name them with --to or in the configuration")
    if live.endswith(os.sep) and not path.is_dir():  # which Path would forget
        raise OSError(f"{live} names a folder, {path.name} is a file: say {Path(live) / path.name}")
    loaded = apply(path, Path(live), _rates(settings), settings.catalogue.folder)
    _advise(loaded.advice)
    print(f"{live}: {counts(loaded.book)}, in place; a running service takes it over within a second")
    return 0


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except (CampaignError, RatesError) as error:  # each line begins with its file
        print(error, file=sys.stderr)
    except (ConfigError, OSError) as error:
        print(f"paceline: {error}", file=sys.stderr)
    return 1


def _config(path: Path | None) -> Config:
    named = os.environ.get("PACELINE_CONFIG")
    return load_config(path or (Path(named) if named else None))


def _configured(config: Config) -> Path:
    return Path(config.campaigns) if config.campaigns else demo_book_path()


def _rates(config: Config) -> Rates:
    return load_rates(Path(config.rates) if config.rates else None)


def _advise(problems: Iterable[Problem]) -> None:
    for advice in problems:
        print(f"advice: {advice}", file=sys.stderr)


def _advised(count: int) -> str:
    """What a check found in files that load."""
    if not count:
        return "no problems"
    return "1 advice" if count == 1 else f"{count:,} pieces of advice"


def counts(book: Book) -> str:
    """What a book holds: 1 advertiser, 2 campaigns and so on."""
    campaigns = [campaign for advertiser in book.advertisers for campaign in advertiser.campaigns]
    line_items = sum(len(campaign.line_items) for campaign in campaigns)
    creatives = sum(len(advertiser.creatives) for advertiser in book.advertisers)
    return (
        f"{counted(len(book.advertisers), 'advertiser')}, {counted(len(campaigns), 'campaign')}, "
        f"{counted(line_items, 'line item')}, {counted(creatives, 'creative')}"
    )


def counted(count: int, noun: str) -> str:
    """1 shop, 2 shops."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _rows(book: Book) -> Iterator[tuple[str, ...]]:
    for advertiser in book.advertisers:
        for campaign in advertiser.campaigns:
            for line_item in campaign.line_items:
                active = advertiser.active and campaign.active and line_item.active
                yield (
                    advertiser.id,
                    campaign.id,
                    line_item.id,
                    *_money_of(campaign, line_item, advertiser.currency),
                    str(len(line_item.creatives)),
                    "yes" if active else "no",
                    _caps_of(advertiser, campaign, line_item),
                )


def _money_of(campaign: Campaign, line_item: LineItem, currency: str) -> tuple[str, ...]:
    goal, deals = line_item.goal, line_item.deals
    return (
        f"{goal.kind} {goal.value} {currency}",
        f"{line_item.max_bid_cpm} {currency}",
        _budget(campaign.budget),
        _budget(line_item.budget),
        (line_item.pacing or campaign.pacing) + (", guaranteed" if deals and deals.guaranteed else ""),
    )


def _budget(budget: Budget) -> str:
    """`100 in all, 10 a day`; a dash where nothing is bounded."""
    amounts = [(getattr(budget, name, None), words) for name, words in _PERIODS.items()]
    return ", ".join([f"{amount:,}{words}" for amount, words in amounts if amount is not None]) or "-"


def _caps_of(advertiser: Advertiser, campaign: Campaign, line_item: LineItem) -> str:
    """All that bounds it: its own, then those of each level by name."""
    own = line_item.frequency
    creatives = [ad for ad in advertiser.creatives if ad.id in line_item.creatives]
    levels = [
        ("", own),
        ("campaign: ", campaign.frequency),
        ("advertiser: ", advertiser.frequency),
        *[(f"{creative.id}: ", creative.frequency) for creative in creatives],
    ]
    words = [name + _frequency(level) for name, level in levels if level and (level.caps or level.min_gap)]
    if own and own.visitors:
        words.append("visitors too")
    return "; ".join(words) or "-"


def _frequency(frequency: Frequency) -> str:
    """`3 per 10m, gap 5s`."""
    words = [f"{cap.views} per {cap.per}" for cap in frequency.caps]
    return ", ".join([*words, f"gap {frequency.min_gap}"] if frequency.min_gap else words)
