"""`paceline check`: says what is wrong with configuration, campaigns, keys, store and ports, and where.

Place: operators run it before `serve`, and where one runs: its ports are then its own, and its embedded stores must
    answer. It changes nothing.
Shapes: one line for each thing looked at, `ok` or `WRONG`; exit code 0 = all well, 1 = something is wrong.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.commands.serve import configured
from bidder.config import Config, ConfigError

if TYPE_CHECKING:
    from bidder.campaigns.load import Loaded

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


class Wrong(Exception):
    """Something cannot work; `str()` says what."""


def register(subparsers: "Subparsers") -> None:
    """Add `check` to the command line."""
    check = subparsers.add_parser("check", help="say what is wrong with the configuration, and where")
    check.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    check.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look at everything; 1 when anything is wrong."""
    try:
        config = configured(args)
    except ConfigError as error:
        print(f"WRONG  configuration: {error}")
        return 1
    print(f"ok     configuration: {args.config or os.environ.get('PACELINE_CONFIG') or 'defaults'}")
    results = [_report(name, look, config) for name, look in _LOOKS.items()]
    return 0 if all(results) else 1


def _report(name: str, look: Callable[[Config], str], config: Config) -> bool:
    try:
        print(f"ok     {name}: {look(config)}")
        return True
    except Wrong as wrong:
        print(f"WRONG  {name}: {wrong}")
        return False


def _campaigns(config: Config) -> str:
    from bidder.commands.campaigns import counts

    return f"{counts(_loaded(config).book)} from {config.campaigns or 'the demo'}"


def _feeds(config: Config) -> str:
    from bidder.campaigns.feeds import faults, feeds_folder
    from bidder.commands.campaigns import counted

    try:
        loaded = _loaded(config)
    except Wrong:
        return "not looked at: the campaigns name them"
    if wrong := faults(loaded.feeds, feeds_folder(_book_path(config), config.catalogue.folder)):
        raise Wrong("\n".join(map(str, wrong)))
    sources = [advertiser.feed for advertiser in loaded.book.advertisers if advertiser.feed]
    fetched = len(sources) - len(loaded.feeds)
    return f"{counted(len(loaded.feeds), 'file')}, {fetched:,} fetched from elsewhere"


def _loaded(config: Config) -> "Loaded":
    from bidder.campaigns.load import CampaignError, load

    try:
        return load(_book_path(config))
    except CampaignError as error:
        raise Wrong(f"{error}") from None


def _book_path(config: Config) -> Path:
    from bidder.campaigns.demo import demo_book_path

    return Path(config.campaigns) if config.campaigns else demo_book_path()


def _rates(config: Config) -> str:
    from bidder.campaigns.rates import RatesError, load_rates

    try:
        load_rates(Path(config.rates) if config.rates else None)
    except RatesError as error:
        raise Wrong(str(error)) from None
    return config.rates or "the ones shipped"


def _keys(config: Config) -> str:
    from bidder.notices.keys import GENERATED_NAME, VARIABLE, KeysError, load_keys

    generated = Path(config.data_dir) / GENERATED_NAME
    if not (os.environ.get(VARIABLE) or config.keys_file or generated.exists()):
        return f"none yet: `serve` makes them in {generated}"
    try:
        keyring = load_keys(os.environ, config.keys_file, Path(config.data_dir))
    except KeysError as error:
        raise Wrong(str(error)) from None
    return f"{len(keyring.keys)}, key {keyring.signing.id} signs"


def _deletion_keys(config: Config) -> str:
    from bidder.rights.signing import GENERATED_NAME, SigningError, load_signing_keys

    generated = Path(config.data_dir) / GENERATED_NAME
    if not (config.privacy.deletion_keys_file or generated.exists()):
        return f"none yet: `serve` makes one in {generated}"
    try:
        keys = load_signing_keys(config.privacy.deletion_keys_file, Path(config.data_dir))
    except SigningError as error:
        raise Wrong(str(error)) from None
    return f"{len(keys.published())}, the first signs"


def _price_keys(config: Config) -> str:
    from bidder.commands.campaigns import counted
    from bidder.notices.keys import KeysError, load_price_keys
    from openrtb.prices import price_decoder

    try:
        keys = load_price_keys(os.environ)
    except KeysError as error:
        raise Wrong(str(error)) from None
    unread = []
    for profile in config.profiles():
        try:
            price_decoder(profile.price_decoder, keys.get(profile.name, {}))
        except ValueError as error:
            if profile.name in keys:
                raise Wrong(f"{profile.name}: {error}") from None
            unread.append(profile.name)
    missing = f"; no keys for {', '.join(unread)}: bids there are charged as they were made" if unread else ""
    return f"{counted(len(keys), 'exchange')}{missing}"


def _tls(config: Config) -> str:
    from datetime import UTC, datetime

    from bidder.web.tls import TlsError, server_context

    ports = {"exchange": config.exchange.tls, "public": config.public.tls, "ops": config.ops.tls}
    said = []
    for name, tls in ports.items():
        try:
            speaks = server_context(tls, name)
        except TlsError as error:
            raise Wrong(str(error)) from None
        if speaks is None:
            said.append(f"{name} plain")
            continue
        _, ends = speaks
        if ends <= datetime.now(UTC):
            raise Wrong(f"the {name} port's certificate {tls.cert_file} ended on {ends.date()}")
        said.append(f"{name} until {ends.date()}" + (", of known clients" if tls.client_ca_file else ""))
    return ", ".join(said)


def _store(config: Config) -> str:
    return _answers(config.stores.redis_url) if config.stores.redis_url else _embedded(config, "store")


def _ledger(config: Config) -> str:
    if not config.ledger.redis_url and config.stores.redis_url:
        return "the store's"
    return _answers(config.ledger.redis_url) if config.ledger.redis_url else _embedded(config, "ledger")


def _answers(url: str) -> str:
    from bidder.logs import redact

    try:
        return _ping(url)
    except (OSError, ValueError) as error:
        raise Wrong(redact(str(error))) from None


def _embedded(config: Config, name: str) -> str:
    from bidder.stores.embedded import EmbeddedError, find_server
    from bidder.supervisor.folder import Folder, holder_of

    try:
        server = find_server().name
    except EmbeddedError as error:
        raise Wrong(str(error)) from None
    folder = Folder(Path(config.data_dir).absolute())
    if holder_of(folder.path) is None:
        return f"embedded: {server}, which `serve` starts"
    address = folder.redis_url if name == "store" else folder.ledger_url
    try:
        return f"embedded: {_answers(address.read_text().strip())}"
    except FileNotFoundError:
        raise Wrong(f"the service runs, and its embedded {name} is not ready: no {address}") from None


def _ping(url: str) -> str:
    """Ask every server named; raises OSError or ValueError, which name the place alone."""
    import redis

    from bidder.stores.address import parse_all

    places = parse_all(url)
    for one, place in zip(filter(str.strip, url.split(",")), places, strict=True):
        place.ssl_context()
        try:
            with redis.Redis.from_url(one.strip(), socket_timeout=3, socket_connect_timeout=3) as client:
                client.ping()
        except redis.RedisError as error:
            hint = "" if "CERTIFICATE_VERIFY_FAILED" in str(error) else place.tls_hint
            raise OSError(f"{place}: {error}{hint}") from None
    return f"{', '.join(map(str, places))} answers"


def _ports(config: Config) -> str:
    from bidder.supervisor.folder import Folder, holder_of, read_ports
    from bidder.web.sockets import PortTaken, claim_port

    folder = Folder(Path(config.data_dir).absolute())
    process = holder_of(folder.path)
    bound = read_ports(folder) if process is not None else None
    ports = {
        "exchange": (config.exchange.host, config.exchange.port),
        "public": (config.public.host, config.public.port),
        "ops": (config.ops.host, config.ops.port),
    }
    try:
        for purpose, (host, port) in ports.items():
            if bound is None or port != getattr(bound, purpose):
                claim_port(host, port, purpose).close()
    except PortTaken as error:
        raise Wrong(str(error)) from None
    if bound is not None:
        ours = ", ".join(f"{purpose} {getattr(bound, purpose)}" for purpose in ports)
        return f"{ours}: held by the running service (process {process})"
    return ", ".join(f"{purpose} {port}" for purpose, (_, port) in ports.items())


def _open_files(config: Config) -> str:
    from bidder.commands.serve import hard_limit
    from bidder.web.descriptors import OWN, bounds, needed

    limit, all_ = hard_limit(), needed(config)
    fit = bounds(config, limit)
    connections = f"{fit.exchange:,} connections of the exchange port and {fit.public:,} of the public port"
    if limit < 2 * OWN:
        raise Wrong(f"{limit:,} of each process (the hard limit), and a worker alone needs {2 * OWN}")
    more = f"; {all_:,} for all that are configured" if limit < all_ else ""
    return f"{limit:,} of each process, {connections} of each worker{more}"


_LOOKS: dict[str, Callable[[Config], str]] = {
    "campaigns": _campaigns,
    "product feeds": _feeds,
    "rates": _rates,
    "token keys": _keys,
    "price keys": _price_keys,
    "deletion keys": _deletion_keys,
    "TLS": _tls,
    "store": _store,
    "ledger": _ledger,
    "ports": _ports,
    "open files": _open_files,
}
