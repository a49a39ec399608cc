"""A feed fetched from where it lies: a file beside the campaigns, or an https address.

Place: refresh.py; config.Catalogue gives the rules.
Limits: `max_bytes` as inflated, `timeout_s` for all of it, MAX_REDIRECTS; a path stays within its home.
Rule: addresses.py judges every address, those behind names and redirects too; proxies and cookies are not used.
Raises: FetchError.
"""

import asyncio
import os
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import aiohttp
from msgspec import Struct
from yarl import URL

from bidder.catalogue.addresses import AddressError, Resolver

MAX_REDIRECTS: Final = 5
MAX_VALIDATOR: Final = 500
CHUNK: Final = 1 << 18
USER_AGENT: Final = "Paceline feed reader"

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class FetchError(Exception):
    """The feed cannot be had; `str()` says why."""


class FetchRules(Protocol):
    """What bounds a fetch; config.Catalogue is one."""

    @property
    def timeout_s(self) -> float:
        """For all of a fetch."""

    @property
    def max_bytes(self) -> int:
        """Of a feed, inflated."""

    @property
    def private_networks(self) -> tuple[str, ...]:
        """CIDRs of our own networks that feeds may lie in."""


class Validators(Struct, frozen=True):
    """What tells whether a feed is still the one that we have."""

    etag: str = ""
    last_modified: str = ""


async def fetch(
    location: str, into: Path, known: Validators, rules: FetchRules, home: Path
) -> Validators | None:
    """Put the feed into a file, whole or not at all, and say what it is known by; None where it is still what `known`
    says. A path is meant from `home`."""
    staged = into.with_name(f".{into.name}.{os.getpid()}")
    try:
        if "://" in location:
            found = await _fetch_url(location, staged, known, rules)
        else:
            found = await asyncio.to_thread(_fetch_file, home / location, staged, known, (rules, home))
        if found is not None:
            staged.replace(into)
        return found
    except OSError as error:
        raise FetchError(f"cannot be kept: {error.strerror or error}") from None
    finally:
        staged.unlink(missing_ok=True)


def _fetch_file(
    path: Path, into: Path, known: Validators, bounds: tuple[FetchRules, Path]
) -> Validators | None:
    rules, home = bounds
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(home.resolve()):
            raise FetchError(f"{path} lies outside of the campaign files' folder")
        if not real.is_file():
            raise FetchError(f"{path} is not a file")
        with real.open("rb") as source, into.open("wb") as target:
            stat = os.fstat(source.fileno())
            found = Validators(f"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}")
            if found == known:
                return None
            taken = _Bounded(target, rules.max_bytes)
            while chunk := source.read(CHUNK):
                taken.write(chunk)
    except OSError as error:
        raise FetchError(f"{path} cannot be read: {error.strerror or error}") from None
    return found


async def _fetch_url(location: str, into: Path, known: Validators, rules: FetchRules) -> Validators | None:
    timeout = aiohttp.ClientTimeout(total=rules.timeout_s, sock_connect=min(10.0, rules.timeout_s))
    try:
        resolver = Resolver(rules.private_networks)
        async with (
            asyncio.timeout(rules.timeout_s),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False),
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT, **_conditions(known)},
            ) as session,
        ):
            return await _follow(session, location, into, (resolver, rules.max_bytes))
    except TimeoutError:
        raise FetchError(f"took longer than {rules.timeout_s:g} s") from None
    except AddressError as error:
        raise FetchError(str(error)) from None
    except (aiohttp.ClientError, ValueError) as error:
        raise FetchError(_words(error)) from None


async def _follow(
    session: aiohttp.ClientSession, location: str, into: Path, bounds: tuple[Resolver, int]
) -> Validators | None:
    """Get an address and those that it leads to, each judged anew."""
    resolver, max_bytes = bounds
    url = URL(location)
    for _ in range(MAX_REDIRECTS + 1):
        resolver.judge(url)
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status == 304:
                return None
            if answer.status in _REDIRECTS:
                url = url.join(URL(answer.headers.get("Location", "")))
                continue
            if answer.status != 200:
                raise FetchError(f"was answered with {answer.status}")
            with into.open("wb") as file:
                taken = _Bounded(file, max_bytes)
                async for chunk in answer.content.iter_chunked(CHUNK):
                    taken.write(chunk)
            return Validators(
                answer.headers.get("ETag", "")[:MAX_VALIDATOR],
                answer.headers.get("Last-Modified", "")[:MAX_VALIDATOR],
            )
    raise FetchError(f"was redirected more than {MAX_REDIRECTS} times")


def _conditions(known: Validators) -> dict[str, str]:
    conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in conditions.items() if value}


class _Bounded:
    """A file that takes so many bytes."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._left, self._most = file, most, most

    def write(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise FetchError(f"is longer than {self._most:,} bytes")
        self._file.write(data)


def _words(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return f"cannot be fetched: {text[:200]}"
