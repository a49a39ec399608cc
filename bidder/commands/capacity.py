"""`paceline capacity --qps N --people N --line-items N`: what a load takes: cores, memory, stores, network, money.

Place: __main__ registers it; bidder.capacity reckons, this asks and prints.
Shapes: a report for people, or --json; exit code 0, or 2 where a value is none (argparse says which and why).
Units: as bidder.capacity; prices in any currency per hour and GiB.
Limits: --here takes about HERE_S; nothing else takes time.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bidder.capacity import SHIPPED, Constants, Estimate, Load, Prices, estimate

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

HERE_S: Final = 1.0
MIN_SPEED: Final = 0.05
MAX_SPEED: Final = 20.0
_HELP: Final[dict[str, str]] = {
    "qps": "bid requests per second at the peak",
    "people": "people kept within the 30 days",
    "line_items": "live line items",
    "known_share": "of requests, those that name somebody who may be looked up",
    "bid_share": "of requests, those that are bid on",
    "win_share": "of bids, those that win",
    "notices_per_win": "notices, beacons and clicks of a won bid",
    "utilisation": "of its core that a worker is busy at the peak",
    "store_utilisation": "of its core that a store's primary is busy at the peak",
    "node_memory_gib": "memory of a node of the people's store, GiB; half of it is kept free",
    "replicas": "of each primary",
    "workers_per_pod": "workers of one pod or machine",
    "core_hour": "price of a core for an hour",
    "gib_hour": "price of a GiB of memory for an hour",
    "egress_gib": "price of a GiB sent to exchanges",
}
_EXAMPLE: Final = "example: paceline capacity --qps 20000 --people 50e6 --line-items 5000"
_REQUIRED: Final = ("qps", "people", "line_items")


def register(subparsers: "Subparsers") -> None:
    """Add `capacity` to the command line."""
    parser = subparsers.add_parser(
        "capacity",
        help="plan cores, memory, stores, network and cost of a load",
        description="How many workers, cores, store nodes, how much memory, network and money a load takes.",
        epilog=_EXAMPLE,
    )
    for struct in (Load, Prices):
        for field in msgspec.structs.fields(struct):
            needed = field.name in _REQUIRED
            default = "" if needed else f"; default: {field.default:g}"
            parser.add_argument(
                "--" + field.name.replace("_", "-"),
                type=_value(struct, field.name),
                required=needed,
                default=None if needed else field.default,
                metavar="N",
                help=f"{_HELP[field.name]}; {_bounds(field.type)}{default}",
            )
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X",
        help="how much longer code takes than on the machine of the constants; default: 1",
    )  # fmt: skip
    speed.add_argument("--here", action="store_true", help="measure that on this machine, for a second")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print an estimate."""
    speed = speed_here(SHIPPED) if args.here else args.speed
    load = Load(**{name: getattr(args, name) for name in Load.__struct_fields__})
    prices = Prices(**{name: getattr(args, name) for name in Prices.__struct_fields__})
    made = estimate(load, SHIPPED, speed, prices)
    if args.json:
        told = {"load": load, "prices": prices, "speed": speed, "constants": SHIPPED, "estimate": made}
        json.dump(msgspec.to_builtins(told), sys.stdout, indent=1)
        print()
    else:
        print(report(load, prices, speed, made))
    return 0


def speed_here(constants: Constants) -> float:
    """How much longer code takes on this machine now than on that of the constants."""
    from bidder.yardstick import Yardstick

    return Yardstick().measure(HERE_S) / constants.yardstick_us


def report(load: Load, prices: Prices, speed: float, made: Estimate) -> str:
    """An estimate for people."""
    lines = [
        f"{load.qps:,.0f} requests/s, {load.people:,} people, {load.line_items:,} line items",
        "",
        *(f"{name:<10}{value:>16}  {note}".rstrip() for name, value, note in _rows(load, prices, made)),
        "",
        *(limit if limit.startswith("guess: ") else f"limit: {limit}" for limit in made.limits),
        f"assumed: {assumptions(load, speed)}",
    ]
    return "\n".join(lines)


def _rows(load: Load, prices: Prices, made: Estimate) -> list[tuple[str, str, str]]:
    """(what, how much, more of it)."""
    rate = f"{made.worker_rate:,.0f} requests/s each, in batches of {made.batch:.1f}"
    people = f"{made.people_gib:,.1f} GiB of data, {made.people_cores:,.1f} cores busy"
    ledger = f"{made.ledger_cores:,.2f} cores busy; {made.ledger_gib_per_day:,.1f} GiB a day"
    network = f"in; {made.egress_gbit_s:,.2f} out; {made.store_gbit_s:,.2f} to the people's store"
    money = f"at {prices.core_hour:g} a core-hour, {prices.gib_hour:g} a GiB-hour, {prices.egress_gib:g} a GiB sent"
    return [
        ("workers", f"{made.workers:,}", f"{rate}; {made.saturated_rate:,.0f} at most"),
        ("pods", f"{made.pods:,}", f"of up to {load.workers_per_pod} workers"),
        (
            "cores",
            f"{made.ordered_cores:,}",
            f"to order, whole ones for each pod's helpers, as the chart asks; {made.cores:,} are used",
        ),
        ("memory", f"{made.memory_gib:,.1f} GiB", "workers and their helpers"),
        ("people", _nodes(made.people_primaries, load.replicas), people),
        ("ledger", _nodes(made.ledger_primaries, load.replicas), ledger),
        ("network", f"{made.ingress_gbit_s:,.2f} Gbit/s", network),
        ("cost", f"{made.cost_per_billion:,.0f}", f"per billion requests, {money}"),
    ]


def _nodes(primaries: int, replicas: int) -> str:
    return f"{primaries * (1 + replicas):,} nodes"


def assumptions(load: Load, speed: float) -> str:
    """What the estimate takes for granted, in a line."""
    replicas = f"{load.replicas} replica{'' if load.replicas == 1 else 's'}"
    return (
        f"code takes {speed:.2f} times as long as where the constants were measured; workers {load.utilisation:.0%} "
        f"and stores {load.store_utilisation:.0%} busy at the peak; {load.known_share:.0%} of requests name somebody, "
        f"{load.bid_share:.0%} are bid on, {load.win_share:.0%} of bids win; {replicas} of each primary"
    )


def _bounds(kind: Any) -> str:
    """From where to where a value may be."""
    bounds = msgspec.inspect.type_info(kind)
    assert isinstance(bounds, msgspec.inspect.IntType | msgspec.inspect.FloatType)
    low, high = bounds.ge, bounds.le
    assert low is not None
    assert high is not None
    return f"{low:,.12g} to {high:,.12g}"


def _value(struct: type[msgspec.Struct], name: str) -> Callable[[str], Any]:
    """What checks one field of a Struct by the bounds in its type: 50e6 is a whole number, too."""
    field = next(field for field in msgspec.structs.fields(struct) if field.name == name)
    kind = msgspec.inspect.type_info(field.type)
    whole = isinstance(kind, msgspec.inspect.IntType)

    def checked(text: str) -> Any:
        try:
            number = float(text.replace("_", ""))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise argparse.ArgumentTypeError(f"{text!r} is no number")
        if whole and number != int(number):
            raise argparse.ArgumentTypeError(f"{text} is not a whole number")
        try:
            return msgspec.convert(int(number) if whole else number, field.type)
        except msgspec.ValidationError as error:
            words = str(error).removeprefix("Expected `int` ").removeprefix("Expected `float` ")
            raise argparse.ArgumentTypeError(f"{text}: must be {words}") from None

    return checked


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise argparse.ArgumentTypeError(f"{text!r}: a number from {MIN_SPEED:g} to {MAX_SPEED:g}")
    return speed
