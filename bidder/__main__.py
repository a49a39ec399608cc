"""`paceline`: the command line.

Place: the console script and `python -m bidder`. Each command's module registers itself, and imports what is
    heavy only when it runs. An entry point of the group COMMANDS adds a command: a function that takes the
    arguments after its name and returns an exit code.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final = "paceline.commands"
CHILDREN: Final = ("worker", "bookkeeper", "caretaker")
"""Between the supervisor and its children alone, so no help lists them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 something is wrong, 2 a wrong command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    added = _added()
    if arguments and arguments[0] in added:
        return _run_added(arguments[0], arguments[1:])
    try:
        if arguments and arguments[0] in CHILDREN:
            return _run_child(arguments[0], arguments[1:])
        from bidder.commands.deeds import carried_out

        return carried_out(_parser(added).parse_args(arguments))
    except KeyboardInterrupt:
        return 130


def _parser(added: list[str]) -> argparse.ArgumentParser:
    from bidder.commands import capacity, check, probe, serve, token

    parser = argparse.ArgumentParser(
        prog="paceline",
        description="A real-time bidder for retargeting.",
        epilog=f"More commands: {', '.join(added)}." if added else None,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(metavar="command", required=True)
    serve.register(subparsers)
    check.register(subparsers)
    _register_books(subparsers)
    _register_products(subparsers)
    _register_people(subparsers)
    token.register(subparsers)
    probe.register(subparsers)
    capacity.register(subparsers)
    return parser


def _register_books(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from bidder.commands import audit, budget, campaigns

    campaigns.register(subparsers)
    budget.register(subparsers)
    audit.register(subparsers)


def _register_products(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from bidder.commands import catalogue, train

    catalogue.register(subparsers)
    train.register(subparsers)


def _register_people(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from bidder.commands import audience, events, fraud, privacy, rights, shop

    shop.register(subparsers)
    events.register(subparsers)
    audience.register(subparsers)
    privacy.register(subparsers)
    fraud.register(subparsers)
    rights.register(subparsers)


def _run_child(kind: str, arguments: list[str]) -> int:
    from bidder.commands.serve import run_child

    return run_child(kind, arguments)


def _added() -> list[str]:
    """Names of commands that installed packages add."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=COMMANDS).names)


def _run_added(name: str, arguments: list[str]) -> int:
    from importlib.metadata import entry_points

    (found,) = entry_points(group=COMMANDS, name=name)
    status: int = found.load()(arguments)
    return status


class _Version(argparse.Action):
    """Reads the version only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from bidder.supervisor.scrape import paceline_version

        print(f"paceline {paceline_version()}")
        parser.exit()


if __name__ == "__main__":
    raise SystemExit(main())
