"""What a service needs to know of its ledger before it spends: that it keeps what it is told, and what the demo has.

Place: service.py asks before the workers start; `paceline budget` and `paceline audit` open the same ledger.
Raises: budget.store.LedgerDown where nobody answers, ValueError for what is no URL.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import redis.asyncio

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.logs import redact
from bidder.settings import Stores
from bidder.stores.people_writer import open_client
from budget.accounts import WALLET
from budget.money import Micros, micros_from_text
from budget.redis_store import RedisStore
from budget.store import LedgerDown, Status, Store, Waits

PLAY_MONEY: Final = micros_from_text(100_000)
"""What each of the demo's shops has, in its own currency."""
DEMO_OP: Final = "demo"
RETRY_S: Final = 2.0
TIMEOUT_S: Final = 5.0

_WISHES: Final = {
    "maxmemory-policy": ({"noeviction"}, "it forgets money when its memory is full"),
    "appendonly": ({"yes"}, "it forgets all money when it restarts"),
    "appendfsync": ({"always", "everysec"}, "it forgets the last half minute of money when its machine dies"),
}

_log = logging.getLogger(__name__)


@asynccontextmanager
async def opened(store: Stores, waits: Waits | None = None) -> AsyncIterator[RedisStore]:
    """The ledger at an address, until the block ends; `waits`: see RedisStore. Raises AddressError."""
    client = open_client(store)
    try:
        yield RedisStore(client, waits)
    finally:
        await client.aclose()


async def prepare(store: Stores, *, given: bool, demo: bool) -> None:
    """Examine a ledger that was given, fund the demo's shops where they are served: until it answers."""
    url = redact(store.redis_url)
    while True:
        try:
            if given:
                for bad in await misgivings(store.redis_url):
                    _log.warning("THE LEDGER AT %s MAY LOSE MONEY: %s", url, bad)
                given = False
            if demo:
                async with opened(store) as ledger:
                    await fund_demo(ledger)
            return
        except LedgerDown as error:
            _log.error("the ledger at %s cannot be reached: %s", url, error)
        await asyncio.sleep(RETRY_S)


async def misgivings(urls: str) -> list[str]:
    """What of the servers' own configuration is bad for money; raises LedgerDown."""
    found: dict[str, None] = {}
    for url in urls.split(","):
        try:
            settings = await _settings(url.strip())
        except redis.ResponseError:  # CONFIG is often forbidden
            found["it does not tell its configuration: see for yourself that " + _wanted()] = None
            continue
        except (redis.RedisError, OSError) as error:
            raise LedgerDown(str(error)) from None
        for name, (good, consequence) in _WISHES.items():
            if settings[name] not in good:
                found[f"{name} is {settings[name]}: {consequence}"] = None
    return list(found)


async def _settings(url: str) -> dict[str, str]:
    """What one server is set to; raises redis.RedisError or OSError."""
    client = redis.asyncio.Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, decode_responses=True
    )
    async with client:  # one by one: servers before 7.0 take no list
        return {name: str((await client.config_get(name)).get(name, "")) for name in _WISHES}


async def fund_demo(store: Store) -> None:
    """Give the demo's shops their play money, once; a wallet that ever had money gets none. Raises LedgerDown."""
    for advertiser in load_book(demo_book_path()).advertisers:
        wallet = (await store.books(advertiser.id)).accounts.get(WALLET)
        if wallet is not None and wallet.limit:
            continue
        if await store.fund(advertiser.id, DEMO_OP, Micros(PLAY_MONEY)) is Status.DONE:
            _log.warning(
                "play money: the demo's shop %s has %d %s to spend",
                advertiser.id,
                PLAY_MONEY // micros_from_text(1),
                advertiser.currency,
            )


def _wanted() -> str:
    return ", ".join(f"{name} is {' or '.join(sorted(good))}" for name, (good, _) in _WISHES.items())
