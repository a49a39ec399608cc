"""The public keys of those whose data deletion requests we believe: fetched from their domains, kept for a while.

Place: deletion.py asks for the key that a request names.
Rule: only domains that are configured are ever asked, over https, at addresses that the open internet routes
    (catalogue/addresses). `https://<domain>/dsrdelete.json`, else the same at `www.`; its `publicKey` (version 1.0), or
    the set at its `jwksUri` (2.0). A key id that is not known is looked for once more, at most every REFETCH_S.
Limits: MAX_BYTES and TIMEOUT_S per file, MAX_KEYS per domain; a file is kept for its `pollFrequency`, between
    MIN_KEPT_S and MAX_KEPT_S, and one that could not be had is not asked for again within FAILED_S.
Raises: PartnerError, with the step that failed.
Source: IAB Tech Lab, Data Deletion Request Framework 1.0 and 2.0, "Discovery".
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from bidder.catalogue.addresses import AddressError, Resolver
from bidder.clock import Clock

MAX_BYTES: Final = 65_536
TIMEOUT_S: Final = 5.0
MAX_KEYS: Final = 64
MIN_KEPT_S: Final = 3_600
MAX_KEPT_S: Final = 86_400
REFETCH_S: Final = 300
FAILED_S: Final = 60
FILE: Final = "dsrdelete.json"

Jwk = Mapping[str, Any]
Fetch = Callable[[str], Awaitable[bytes]]


class Step(Enum):
    """Where the way to a key ended."""

    CONNECTION = "domain_connection_failed"
    FILE = "dsrdelete_file_not_found"
    JWKS_URI = "jwksuri_not_found"
    JWKS = "jwks_keys_file_not_found"
    KEY = "jwks_kid_not_found"


class PartnerError(Exception):
    """There is no key."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.value)
        self.step = step


class _Kept(Struct):
    fetched_s: float
    until_s: float
    keys: dict[str, Jwk]
    failed: Step | None = None


class Partners:
    """Keys by domain and id."""

    def __init__(self, domains: Iterable[str], clock: Clock, fetch: Fetch | None = None) -> None:
        """`fetch` gives the bytes of an https URL, or raises OSError, or LookupError where there is no such file."""
        self._domains, self._clock, self._fetch = frozenset(domains), clock, fetch or fetch_https
        self._kept: dict[str, _Kept] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def key(self, domain: str, kid: str) -> Jwk:
        """The key of this id; raises PartnerError."""
        if domain not in self._domains:
            raise PartnerError(Step.CONNECTION)
        async with self._locks.setdefault(domain, asyncio.Lock()):
            now_s, kept = self._clock.now_s(), self._kept.get(domain)
            if (
                kept is None
                or now_s >= kept.until_s
                or (kid not in kept.keys and kept.failed is None and now_s >= kept.fetched_s + REFETCH_S)
            ):
                kept = self._kept[domain] = await self._read(domain, now_s)
        if kept.failed is not None:
            raise PartnerError(kept.failed)
        if kid not in kept.keys:
            raise PartnerError(Step.KEY)
        return kept.keys[kid]

    async def _read(self, domain: str, now_s: float) -> _Kept:
        try:
            file = await self._file(domain)
            keys = file.get("publicKey")
            if not isinstance(keys, list):
                keys = await self._set(file.get("jwksUri"))
            named = {key["kid"]: key for key in keys[:MAX_KEYS] if _is_key(key)}
        except PartnerError as error:
            return _Kept(now_s, now_s + FAILED_S, {}, error.step)
        return _Kept(now_s, now_s + _kept_s(file.get("pollFrequency")), named)

    async def _file(self, domain: str) -> dict[str, Any]:
        step = Step.CONNECTION
        for host in (domain, f"www.{domain}"):
            try:
                return _object(await self._fetch(f"https://{host}/{FILE}"))
            except (LookupError, ValueError):
                step = Step.FILE
            except OSError:
                continue
        raise PartnerError(step)

    async def _set(self, address: object) -> list[Any]:
        if not isinstance(address, str) or not address.startswith("https://"):
            raise PartnerError(Step.JWKS_URI)
        try:
            keys = _object(await self._fetch(address)).get("keys")
        except (LookupError, ValueError, OSError):
            raise PartnerError(Step.JWKS) from None
        if not isinstance(keys, list):
            raise PartnerError(Step.JWKS)
        return keys


async def fetch_https(address: str) -> bytes:
    """What stands at an https URL: no redirect, no cookie, no proxy. Raises OSError where it cannot be had in time,
    LookupError where it is not there, or larger than MAX_BYTES."""
    try:
        url, resolver = URL(address), Resolver(())
        resolver.judge(url)
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise LookupError(str(answer.status))
            body = await answer.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and (more := await answer.content.read(MAX_BYTES + 1)):
                body += more
    except (aiohttp.ClientError, AddressError, TimeoutError, ValueError) as error:
        raise OSError(type(error).__name__) from None
    if len(body) > MAX_BYTES:
        raise LookupError("too large")
    return body


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object; raises ValueError for anything else."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("not a JSON object") from None


def _is_key(key: object) -> bool:
    return isinstance(key, dict) and isinstance(key.get("kid"), str) and isinstance(key.get("kty"), str)


def _kept_s(told: object) -> float:
    """`pollFrequency`, a number or the text of one, within our bounds."""
    try:
        seconds = float(told) if isinstance(told, int | float | str) else MAX_KEPT_S
    except ValueError:
        seconds = MAX_KEPT_S
    return min(max(seconds, MIN_KEPT_S), MAX_KEPT_S)
