"""What `paceline erase`, `export` and `retention` share: the store of people that the configuration names.

Place: those three commands alone.
Shapes: a problem is one line on stderr; exit code 1.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from bidder.commands.audience import people_stores
from bidder.commands.ledger import CannotBe
from bidder.commands.serve import configured
from bidder.config import Config, ConfigError
from bidder.rights.sweep import Files
from bidder.stores.errors import AddressError
from bidder.stores.people_writer import Client, open_client

DAY_S: Final = 86_400
Command = Callable[[Config, argparse.Namespace, Client], Awaitable[int]]


def run(args: argparse.Namespace, command: Command) -> int:
    """Carry out a command on the people's store that the configuration names; returns its exit code."""
    from bidder import logs

    try:
        config = configured(args)
        logs.configure(config.log_level, "rights")
        return asyncio.run(_run(config, args, command))
    except (CannotBe, ConfigError) as error:
        print(f"paceline: {logs.redact(str(error))}", file=sys.stderr)
        return 1


async def _run(config: Config, args: argparse.Namespace, command: Command) -> int:
    import duckdb

    try:
        client = open_client(people_stores(config))
    except AddressError as error:
        raise CannotBe(f"the people's store: {error}") from None
    try:
        return await command(config, args, client)
    except (RedisError, OSError, duckdb.Error) as error:
        raise CannotBe(f"it could not be done: {error}") from None
    finally:
        await client.aclose()


def files_of(config: Config) -> Files:
    """Where files lie that may name people."""
    days = max(config.privacy.retention_days, config.events.keep_days)
    return Files(config.events_folder(), Path(config.data_dir) / "spool", days * DAY_S)
