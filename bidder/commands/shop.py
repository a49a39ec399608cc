"""`paceline shop token | tag | secret`: what shops put into their pages and servers, and exchanges into theirs.

Place: __main__ registers it; it reads configuration, campaigns and keys, and changes nothing but keys that are not
    there yet, which it makes as `serve` does.
Shapes: the result alone on stdout, one line, the tag's three; advice and problems on stderr; exit code 1 = it
    cannot be told.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.campaigns.load import CampaignError
from bidder.campaigns.model import Advertiser
from bidder.commands.deeds import What
from bidder.commands.ledger import CannotBe, advertisers, hint
from bidder.commands.serve import configured
from bidder.config import Config, ConfigError
from bidder.notices.keys import Keyring, KeysError, load_keys
from bidder.shop.tag import snippet
from bidder.shop.tokens import exchange_secret, shop_token

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: "Subparsers") -> None:
    """Add `shop` and its commands to the command line."""
    parser = subparsers.add_parser("shop", help="what shops and exchanges need to send us events and matches")
    commands = parser.add_subparsers(dest="shop_command", metavar="command", required=True)
    token = commands.add_parser("token", help="the token of an advertiser's server for POST /v1/events")
    token.add_argument("advertiser")
    token.set_defaults(
        run=lambda args: _guarded(args, _token), deed=lambda args: What("shop token", args.advertiser)
    )
    tag = commands.add_parser("tag", help="the lines of HTML that load the tag into an advertiser's pages")
    tag.add_argument("advertiser")
    tag.set_defaults(run=lambda args: _guarded(args, _tag))
    secret = commands.add_parser("secret", help="the secret of an exchange for POST /v1/matches")
    secret.add_argument("exchange")
    secret.set_defaults(
        run=lambda args: _guarded(args, _secret), deed=lambda args: What("shop secret", args.exchange)
    )
    for command in (token, tag, secret):
        command.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")


def _token(config: Config, args: argparse.Namespace) -> str:
    return shop_token(_keys(config), _advertiser(config, args.advertiser).id)


def _tag(config: Config, args: argparse.Namespace) -> str:
    advertiser = _advertiser(config, args.advertiser)
    if not advertiser.country:
        print(
            f"advice: {advertiser.id} has no country: where no consent is told, no law is presumed",
            file=sys.stderr,
        )
    if config.base_url().endswith(":0"):
        print(
            "advice: the public port is any free port: `serve` alone knows it, set public.base_url",
            file=sys.stderr,
        )
    return snippet(config.base_url(), advertiser)


def _secret(config: Config, args: argparse.Namespace) -> str:
    names = [profile.name for profile in config.profiles()]
    if args.exchange not in names:
        raise CannotBe(f"there is no exchange {args.exchange}; there are {', '.join(names)}")
    return exchange_secret(_keys(config), args.exchange)


def _advertiser(config: Config, name: str) -> Advertiser:
    known = advertisers(config)
    if name not in known:
        raise CannotBe(f"there is no advertiser {name}; {hint(known)}")
    return known[name]


def _keys(config: Config) -> Keyring:
    return load_keys(os.environ, config.keys_file, Path(config.data_dir))


def _guarded(args: argparse.Namespace, command: Callable[[Config, argparse.Namespace], str]) -> int:
    try:
        print(command(configured(args), args))
        return 0
    except (CannotBe, ConfigError, CampaignError, KeysError) as error:
        print(f"paceline: {error}", file=sys.stderr)
        return 1
