"""`paceline serve`: the service in one command; `paceline worker`: one of its processes.

Place: __main__ calls `run`; the supervisor starts workers.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bidder import logs, unhurried
from bidder.config import Config, ConfigError, load

if TYPE_CHECKING:
    from bidder.link import Handover

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

HELPERS: Final = ("bookkeeper", "caretaker")
"""One of each, beside the workers."""
_log = logging.getLogger(__name__)


def register(subparsers: "Subparsers") -> None:
    """Add `serve` to the command line."""
    serve = subparsers.add_parser("serve", help="serve bids, notices and metrics until stopped")
    serve.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    serve.add_argument(
        "--workers", type=int, help="bidding processes; default: the configured number, else 1"
    )
    serve.set_defaults(run=run)


def configured(args: argparse.Namespace) -> Config:
    """The configuration that the arguments and the environment name; raises ConfigError."""
    named = args.config or os.environ.get("PACELINE_CONFIG")
    config = load(Path(named) if named else None)
    workers = getattr(args, "workers", None)
    if workers is None:
        return config
    try:
        return msgspec.convert({**msgspec.to_builtins(config), "workers": workers}, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"--workers: {error}") from None


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; 0 when it ended as told, 1 when it could not start."""
    _prepare()
    from bidder.supervisor.service import StartError, Supervisor

    try:
        config = configured(args)
        logs.configure(config.log_level, "supervisor")
        if not config.campaigns:
            _log.warning("no campaigns are configured: serving the demo's shops")
        try:
            asyncio.run(Supervisor(config, os.environ).run())
        finally:
            _hear_nothing()  # the loop has taken its handlers along
    except (ConfigError, StartError) as error:
        print(f"paceline: {error}", file=sys.stderr)
        return 1
    return 0


def _prepare() -> None:
    """What children inherit: as many files as there may be, no memory on disk; what is too early goes unheard."""
    _hear_nothing()
    with contextlib.suppress(
        OSError, ValueError
    ):  # elsewhere than on Linux the kernel may want less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (_hard(), _hard()))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _hear_nothing() -> None:
    """Orders to load anew or to replace workers, of a service that has not begun or is over: they would kill it."""
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def hard_limit() -> int:
    """How many files a process of the service may have open: `serve` raises its soft limit to the hard one."""
    return _hard() if _hard() != resource.RLIM_INFINITY else 2**31


def _hard() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def run_child(kind: str, arguments: Sequence[str]) -> int:
    """Be a worker or one of HELPERS: what to do comes over the link, whose descriptor is the one argument."""
    from bidder.link import die_with, receive_handover

    parser = argparse.ArgumentParser(prog=f"paceline {kind}")
    parser.add_argument("link", type=int)
    link: int = parser.parse_args(arguments).link
    try:
        handover = receive_handover(link)
    except (EOFError, OSError) as error:
        print(f"paceline: a {kind} is started by its supervisor alone: {error}", file=sys.stderr)
        return 1
    die_with(handover.parent_pid)
    if handover.setup.unhurried:
        unhurried.begin()
    name = kind if kind in HELPERS else f"{kind}-{handover.setup.slot}"
    logs.configure(handover.config.log_level, name)
    try:
        return _be(kind, handover)
    finally:
        unhurried.end()  # Python's end puts signals back to what they do by themselves


def _be(kind: str, handover: "Handover") -> int:
    """Until told to stop. What cannot be used at the start ends with a status that is not tried again."""
    if kind == "bookkeeper":
        from bidder.bookkeeper import run_bookkeeper as serve
    elif kind == "caretaker":
        from bidder.caretaker import run_caretaker as serve
    else:
        from bidder.app import run_worker as serve
    from bidder.campaigns.located import LocatedError
    from bidder.link import EXIT_CONFIG
    from bidder.rights.errors import SigningError
    from bidder.web.tls import TlsError

    try:
        serve(handover.config, handover.setup)
    except LocatedError as error:
        _log.critical("campaigns or rates cannot be used:\n%s", error)
        return EXIT_CONFIG
    except TlsError as error:
        _log.critical("%s", error)
        return EXIT_CONFIG
    except SigningError as error:
        _log.critical("keys for data deletion requests cannot be used: %s", error)
        return EXIT_CONFIG
    except OSError as error:
        _log.critical("cannot start: %s", error)
        return 1
    return 0
