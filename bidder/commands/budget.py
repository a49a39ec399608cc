"""`paceline budget show | fund | withdraw | pause | resume`: an advertiser's money, seen and moved by a person.

Place: __main__ registers it; the ledger is the one that `serve` with the same configuration uses.
Shapes: results on stdout, problems on stderr; exit code 0 = done (or done before, under the same --id), 1 = refused or
    not reachable, 2 = a wrong command line.
Units: amounts are decimals of the advertiser's currency; in JSON, micros.
"""

import argparse
import json
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.campaigns.model import Advertiser
from bidder.commands.deeds import What
from bidder.commands.ledger import CannotBe, advertisers, hint, readable_advertisers, run
from bidder.commands.statement import as_json, as_text
from bidder.config import Config
from budget.accounts import WALLET
from budget.money import Micros, amount_text, micros_from_text
from budget.store import Books, LedgerDown, Status, Store

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_TARGET = re.compile(r"(?P<advertiser>[^/\s|{}]+)(/(?P<account>(campaign|line)/[^/\s|{}]+))?")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


def register(subparsers: "Subparsers") -> None:
    """Add `budget` and its commands to the command line."""
    parser = subparsers.add_parser("budget", help="show, add, take and pause advertisers' money")
    commands = parser.add_subparsers(dest="budget_command", metavar="command", required=True)
    show = commands.add_parser("show", help="accounts as a tree: limit, spent, leased, available, late")
    show.add_argument("advertiser", nargs="?", help="default: all of the ledger and of the campaigns")
    show.add_argument("--json", action="store_true", help="micros, for programs")
    show.add_argument("--leases", action="store_true", help="also what each worker holds")
    show.set_defaults(run=lambda args: run(args, _show))
    for name, text in (("fund", "add money to a wallet"), ("withdraw", "take money that is free")):
        command = commands.add_parser(name, help=text)
        command.add_argument("advertiser", type=_advertiser)
        command.add_argument(
            "amount", type=_amount, help="in the advertiser's currency, such as 250 or 99.50"
        )
        command.add_argument(
            "--id",
            type=_id,
            help="of this movement: repeated with the same one within 30 days, it moves nothing",
        )
        command.set_defaults(run=lambda args: run(args, _move), deed=_moved)
    for name, text in (("pause", "let no more money out"), ("resume", "let money out again")):
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "target", type=_target, help="ADVERTISER, ADVERTISER/campaign/ID or ADVERTISER/line/ID"
        )
        command.set_defaults(run=lambda args: run(args, _pause), deed=_paused)
    for command in commands.choices.values():
        command.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
        if command is not show:
            command.add_argument("--new", action="store_true", help="also what no campaign file names")


async def _show(config: Config, args: argparse.Namespace, store: Store) -> int:
    known = readable_advertisers(config)
    in_ledger = set(await store.advertisers())
    if args.advertiser and args.advertiser not in in_ledger | known.keys():
        raise CannotBe(f"{args.advertiser} has no account; {hint(in_ledger | known.keys())}")
    # Who has campaigns and no money yet is shown too; not the demo's shops, which stand for no configuration.
    running = known.keys() if config.campaigns else set()
    names = [args.advertiser] if args.advertiser else sorted(in_ledger | running)
    shown = [(await store.books(name), known.get(name)) for name in names]
    if args.json:
        print(json.dumps([as_json(books, advertiser, args.leases) for books, advertiser in shown], indent=1))
    else:
        print(
            "\n\n".join(as_text(books, advertiser, args.leases) for books, advertiser in shown)
            or "no accounts yet"
        )
    return 0


async def _move(config: Config, args: argparse.Namespace, store: Store) -> int:
    advertiser = _checked(config, args.advertiser, WALLET, args.new)
    currency = advertiser.currency if advertiser else ""
    op_id = args.id = args.id or secrets.token_hex(8)  # which the audit line has, too
    verb = store.fund if args.budget_command == "fund" else store.withdraw
    try:
        status = await verb(args.advertiser, op_id, args.amount)
    except LedgerDown as error:
        raise CannotBe(
            f"the ledger does not answer ({error}): repeat with --id {op_id}, so that it is done once at most"
        ) from None
    books = await store.books(args.advertiser)
    if status is Status.REFUSED:
        print(f"paceline: {_refusal(args.budget_command)} {_wallet(books, currency)}", file=sys.stderr)
        return 1
    what = f"{args.budget_command} {amount_text(args.amount)}{currency and ' ' + currency}, id {op_id}"
    done = "done before, nothing changed" if status is Status.DUPLICATE else "done"
    print(f"{args.advertiser}: {what}: {done}; {_wallet(books, currency)}")
    return 0


async def _pause(config: Config, args: argparse.Namespace, store: Store) -> int:
    name, account = args.target
    _checked(config, name, account, args.new)
    paused = args.budget_command == "pause"
    await store.pause(name, secrets.token_hex(8), account, paused)
    within = (
        "no more money leaves it; workers spend at most what they hold, within seconds"
        if paused
        else "open again"
    )
    print(f"{name}: {account} {'paused' if paused else 'resumed'}: {within}")
    return 0


def _moved(args: argparse.Namespace) -> What:
    known = args.id and f", id {args.id}"
    return What(f"budget {args.budget_command}", args.advertiser, f"{amount_text(args.amount)}{known or ''}")


def _paused(args: argparse.Namespace) -> What:
    return What(f"budget {args.budget_command}", "/".join(args.target))


def _checked(config: Config, name: str, account: str, new: bool) -> Advertiser | None:
    """The advertiser of the campaign files; with `new`, None where there is none. Raises CannotBe."""
    known = readable_advertisers(config) if new else advertisers(config)
    advertiser = known.get(name)
    if new:
        return advertiser
    if advertiser is None:
        raise CannotBe(f"no campaign file names {name}: --new does it all the same; {hint(known)}")
    campaigns = {f"campaign/{campaign.id}" for campaign in advertiser.campaigns}
    lines = {f"line/{line.id}" for campaign in advertiser.campaigns for line in campaign.line_items}
    if account != WALLET and account not in campaigns | lines:
        alike = campaigns if account.startswith("campaign/") else lines
        raise CannotBe(f"{name} has no {account}: --new does it all the same; {hint(alike)}")
    return advertiser


def _refusal(verb: str) -> str:
    return "refused: a wallet holds no more than that;" if verb == "fund" else "refused: not so much is free;"


def _wallet(books: Books, currency: str) -> str:
    wallet = books.accounts.get(WALLET)
    funded, free = (wallet.limit or 0, wallet.available or 0) if wallet else (0, 0)
    return f"wallet: {amount_text(funded)} funded, {amount_text(free)} available{currency and ' ' + currency}"


def _advertiser(text: str) -> str:
    match = _TARGET.fullmatch(text)
    if match is None or match["account"]:
        raise argparse.ArgumentTypeError(f"not an advertiser: {text!r}")
    return text


def _target(text: str) -> tuple[str, str]:
    match = _TARGET.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}: say ADVERTISER, ADVERTISER/campaign/ID or ADVERTISER/line/ID"
        )
    return match["advertiser"], match["account"] or WALLET


def _amount(text: str) -> Micros:
    try:
        amount = micros_from_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if amount == 0:
        raise argparse.ArgumentTypeError("an amount above 0")
    return amount


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r}: letters, digits and . _ : - alone, at most 64")
    return text
