"""`paceline privacy explain REQUEST.json`: what the gate allows for a bid request, and why not the rest.

Place: operators and privacy officers run it on a request as an exchange sent it; it changes nothing and asks nobody.
Shapes: a table of activities with the number of every reason against each, or one JSON object with `--json`.
    Exit code 0 = said, 1 = there is no request to explain.
Limits: a request of `exchange.max_inflated_bytes`, as at the exchange port.
Never: an id of the person in what it prints; a consent string.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bidder.commands.serve import configured
from bidder.config import Config, ConfigError

if TYPE_CHECKING:
    from bidder.privacy.explain import Explanation

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

STANDARD_INPUT: Final = "-"


class NoRequest(Exception):
    """There is nothing to explain; `str()` says why."""


def register(subparsers: "Subparsers") -> None:
    """Add `privacy` to the command line."""
    privacy = subparsers.add_parser("privacy", help="what consent allows, and why")
    actions = privacy.add_subparsers(metavar="command", required=True)
    explain = actions.add_parser("explain", help="say what may be done for a bid request, with reasons")
    explain.add_argument(
        "request", metavar="REQUEST.json", help="an OpenRTB bid request; - for standard input"
    )
    explain.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    explain.add_argument(
        "--opted-out",
        action="store_true",
        help="as for a person who opted out with us: the store is not asked",
    )
    explain.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    explain.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Explain one request; 1 where there is none."""
    try:
        config = configured(args)
        explanation = _explanation(args.request, config, args.opted_out)
    except ConfigError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return 1
    except NoRequest as error:
        print(f"{_named(args.request)}: {error}", file=sys.stderr)
        return 1
    print(as_json(explanation) if args.json else as_table(explanation))
    return 0


def as_table(explanation: "Explanation") -> str:
    """For a terminal: the facts, a row for each activity with the numbers of its reasons, and the reasons."""
    lines = explanation.lines
    numbers = {
        words: number
        for number, words in enumerate(dict.fromkeys(w for line in lines for w in line.reasons), 1)
    }
    rows = [*explanation.facts, "", f"{'activity':<18}{'allowed':<9}reasons"]
    for line in lines:
        reasons = " ".join(str(numbers[words]) for words in line.reasons)
        rows.append(f"{line.activity.words:<18}{'yes' if line.allowed else 'no':<9}{reasons}".rstrip())
    if numbers:
        rows += ["", *(f"{number:>2}  {words}" for words, number in numbers.items())]
    return "\n".join(rows)


def as_json(explanation: "Explanation") -> str:
    """For programs: permissions by name, activities with reasons, facts."""
    told = {
        "permissions": explanation.permissions,
        "activities": [
            {"activity": line.activity.words, "allowed": line.allowed, "reasons": line.reasons}
            for line in explanation.lines
        ],
        "facts": explanation.facts,
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def _explanation(name: str, config: Config, opted_out: bool) -> "Explanation":
    from bidder.auction.intake import read_request
    from bidder.privacy.gate import Gate
    from bidder.privacy.signals import signals_of
    from openrtb.violation import Violation

    body = _body(name, config.exchange.max_inflated_bytes)
    try:
        request = read_request(body)
    except Violation as violation:
        raise NoRequest(f"not a bid request that we answer: {violation}") from None
    return Gate(config.privacy.vendor_id).explain(signals_of(request), time.time(), opted_out)


def _body(name: str, most: int) -> bytes:
    """The bytes of the request; raises NoRequest."""
    try:
        if name == STANDARD_INPUT:
            body = sys.stdin.buffer.read(most + 1)
        else:
            with Path(name).open("rb") as file:
                body = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise NoRequest(getattr(error, "strerror", None) or str(error)) from None
    if len(body) > most:
        raise NoRequest(f"longer than {most} bytes, the most that the exchange port reads")
    if not body.strip():
        raise NoRequest("empty")
    return body


def _named(name: str) -> str:
    return "standard input" if name == STANDARD_INPUT else name
