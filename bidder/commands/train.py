"""`paceline train affinity`: which products go together, from what visitors looked at.

Place: __main__ registers it; a function from arguments to an exit code. The running service takes a new model over
    with the next catalogue, which the caretaker builds within its round.
Shapes: results go to stdout, problems to stderr; exit code 0 = done, 1 = a model could not be trained.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.commands.campaigns import counted
from bidder.commands.catalogue import advertiser_named, advertisers_of, configuration, guarded, places_of
from bidder.commands.ledger import CannotBe
from bidder.config import Config

if TYPE_CHECKING:
    from bidder.learning.training import Trained

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: "Subparsers") -> None:
    """Add `train` and its commands to the command line."""
    parser = subparsers.add_parser("train", help="train models from recorded events")
    commands = parser.add_subparsers(dest="train_command", metavar="command", required=True)
    affinity = commands.add_parser("affinity", help="which products go together, per advertiser")
    affinity.add_argument("--advertiser", help="its id; default: every advertiser of the campaigns")
    affinity.add_argument(
        "--sessions",
        type=Path,
        help="a tab-separated file of session, item and time, instead of recorded events",
    )
    affinity.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    affinity.set_defaults(run=run_affinity)


def run_affinity(args: argparse.Namespace) -> int:
    """Train affinity models."""
    return guarded(lambda: _affinity(configuration(args.config), args.advertiser, args.sessions))


def _affinity(config: Config, advertiser_id: str | None, file: Path | None) -> int:
    if file and not advertiser_id:
        raise CannotBe("say with --advertiser whose sessions these are")
    known = advertisers_of(config)
    if advertiser_id and advertiser_named(advertiser_id, known).child_directed:
        raise CannotBe(f"{advertiser_id} is a shop for children: nothing is known of its visitors")
    names = [each.id for each in known if not each.child_directed]
    done = [_train(config, name, file) for name in ([advertiser_id] if advertiser_id else names)]
    return 0 if all(done) else 1


def _train(config: Config, advertiser_id: str, file: Path | None) -> bool:
    import duckdb

    from bidder.learning.sessions import SessionsError
    from bidder.learning.training import train_from_events, train_from_file

    models, now_s = places_of(config).models, int(time.time())
    begun_s = time.perf_counter()
    try:
        if file is not None:
            trained = train_from_file(file, models, advertiser_id, now_s)
        else:
            trained = train_from_events(_events(config), models, advertiser_id, now_s)
    except (SessionsError, ValueError, ModuleNotFoundError, duckdb.Error) as error:
        print(f"paceline: {advertiser_id}: {error}", file=sys.stderr)
        return False
    print(f"{advertiser_id}: {_words(trained, time.perf_counter() - begun_s)}")
    return True


def _events(config: Config) -> Path:
    return Path(config.events.folder) if config.events.folder else Path(config.data_dir) / "events"


def _words(trained: "Trained | None", took_s: float) -> str:
    if trained is None:
        return "no sessions, nothing trained"
    sizes = f"{counted(trained.sessions, 'session')}, {counted(trained.products, 'product')}"
    return f"{sizes}, {counted(trained.pairs, 'pair')} in {took_s:.1f} s, version {trained.version[:12]}"
