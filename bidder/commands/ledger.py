"""What `paceline budget` and `paceline audit` share: whose ledger, which advertisers, what a person may write.

Place: those two commands alone.
Shapes: a problem is one line on stderr; exit code 1.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import CampaignError, load_book
from bidder.campaigns.model import Advertiser
from bidder.commands.serve import configured
from bidder.config import Config, ConfigError
from budget.journal import JournaledStore
from budget.money import amount_text
from budget.store import LedgerDown, Unconfirmed, Waits

FILE_NAME: Final = "ledger.url"
"""In the data directory of a service with an embedded ledger, as long as it runs."""
NAMED: Final = 10
"""Advertisers named in a hint."""

Command = Callable[[Config, argparse.Namespace, JournaledStore], Awaitable[int]]


class CannotBe(Exception):
    """The command cannot be carried out; `str()` is one line that says why."""


def run(args: argparse.Namespace, command: Command, *, moves: bool = True) -> int:
    """Carry out a command on the ledger that the configuration names; returns its exit code. One that moves nothing
    waits for no replicas."""
    from bidder.logs import redact

    try:
        config = configured(args)
        return asyncio.run(_run(config, args, command, config.waits() if moves else None))
    except (CannotBe, ConfigError, CampaignError, LedgerDown) as error:
        print(f"paceline: {redact(str(error))}", file=sys.stderr)
        return 1


async def _run(config: Config, args: argparse.Namespace, command: Command, waits: Waits | None) -> int:
    from bidder.logs import redact
    from bidder.stores.address import parse_all
    from bidder.stores.errors import AddressError
    from bidder.supervisor.ledger import opened

    url = ledger_url(config)
    try:
        parse_all(url)
        async with opened(config.ledger_store(url), waits) as store:
            return await command(config, args, store)
    except AddressError as error:
        raise CannotBe(f"the ledger's address: {error}") from None
    except Unconfirmed as error:
        raise CannotBe(f"the ledger at {redact(url)}: {error}: repeat the command") from None
    except LedgerDown as error:
        raise CannotBe(f"the ledger at {redact(url)} cannot be reached: {error}") from None


def ledger_url(config: Config) -> str:
    """Where `serve` with this configuration keeps money; raises CannotBe where that cannot be told."""
    given = config.ledger.redis_url or config.stores.redis_url
    if given:
        return given
    path = Path(config.data_dir) / FILE_NAME
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise CannotBe(
            f"no ledger: no service runs in {config.data_dir}, and neither PACELINE_LEDGER_URL nor "
            "PACELINE_REDIS_URL is set"
        ) from None
    except OSError as error:
        raise CannotBe(f"{path} cannot be read: {error.strerror or error}") from None


def advertisers(config: Config) -> dict[str, Advertiser]:
    """Those of the campaign files, by id; raises CampaignError."""
    path = Path(config.campaigns) if config.campaigns else demo_book_path()
    return {advertiser.id: advertiser for advertiser in load_book(path).advertisers}


def readable_advertisers(config: Config) -> dict[str, Advertiser]:
    """The same; none, with a word on stderr, where the files cannot be read."""
    try:
        return advertisers(config)
    except CampaignError as error:
        print(f"paceline: names and currencies are not known: {error}", file=sys.stderr)
        return {}


def hint(known: Iterable[str]) -> str:
    """The names that there are."""
    names = sorted(known)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"known: {', '.join(names[:NAMED])}{more}" if names else "none is known"


def amount_texts(column: Sequence[int | None]) -> list[str]:
    """One column of a table: all with the decimals that the finest needs; `-` where there is none."""
    texts = ["-" if micros is None else amount_text(micros) for micros in column]
    decimals = max((len(text.rpartition(".")[2]) for text in texts if text != "-"), default=0)
    return [text if text == "-" else text + "0" * (decimals - len(text.rpartition(".")[2])) for text in texts]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: frozenset[int]) -> str:
    """Rows under their headings; columns whose number is in `texts` are flush left, the others right."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number in texts else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (columns, *rows)
    )
