"""ads.txt and app-ads.txt of those who ask most, fetched into the cached folder.

Place: the caretaker calls `refresh` from time to time, where the operator switched it on.
Rule: a file is fetched again after `fetch_every_s`; one that cannot be had is asked for again after that time, and
    what was known of it stays for KEEP_S. Only what reads as such a file replaces the last one. A host that has none is
    spoken for by the one above it.
Limits: `fetch_domains` hosts, AT_ONCE at a time, TIMEOUT_S and MAX_BYTES each; https alone, to addresses of the open
    internet alone (catalogue/fetch.py).
Never: follows a name from a request to a host of our own network.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.catalogue.fetch import FetchError, Validators, fetch
from bidder.fraud.report import added, domains, read_reports
from bidder.fraud.sellers import MAX_BYTES, is_domain, read_ads_txt
from bidder.fraud.supply import ADS, APP_ADS
from bidder.screening import FraudRules

AT_ONCE: Final = 8
TIMEOUT_S: Final = 10.0
KEEP_S: Final = 7 * 86_400.0
_ABSENT: Final = ".absent"
_FILES: Final = {"site": ADS, "app": APP_ADS}

Get = Callable[[str, Path], Awaitable[object]]
"""Puts what an address holds into a file, or raises FetchError."""


class Bounds(Struct, frozen=True):
    """Of one fetch."""

    timeout_s: float = TIMEOUT_S
    max_bytes: int = MAX_BYTES
    private_networks: tuple[str, ...] = ()


class Refreshed(Struct, frozen=True):
    """What a round did."""

    fetched: int = 0
    failed: int = 0
    fresh: int = 0
    """Not asked for again yet."""


async def get(address: str, into: Path) -> None:
    """From the open internet, within bounds; raises FetchError."""
    await fetch(address, into, Validators(), Bounds(), into.parent)


async def refresh_from(run: Path, folder: Path, rules: FraudRules, now_s: float, get: Get = get) -> Refreshed:
    """Fetch for those who ask most by the reports of this host's workers, in its `run` folder; raises OSError."""
    reports = await asyncio.to_thread(read_reports, run)
    return await refresh(folder, domains(added(reports), rules.fetch_domains), rules, now_s, get)


async def refresh(
    folder: Path, wanted: Sequence[tuple[str, str]], rules: FraudRules, now_s: float, get: Get = get
) -> Refreshed:
    """Fetch what is missing or old, of (kind, domain) as report.domains gives them; raises OSError."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    asked = [(kind, domain) for kind, domain in wanted if kind in _FILES and is_domain(domain)]
    due = [
        (kind, domain)
        for kind, domain in asked[: rules.fetch_domains]
        if _age_s(folder / (domain + _FILES[kind]), now_s) >= rules.fetch_every_s
    ]
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(kind: str, domain: str) -> bool:
        async with slots:
            return await _one(folder / (domain + _FILES[kind]), _addresses(kind, domain), get, now_s)

    done = await asyncio.gather(*[one(kind, domain) for kind, domain in due])
    return Refreshed(sum(done), len(done) - sum(done), len(asked[: rules.fetch_domains]) - len(due))


def _addresses(kind: str, domain: str) -> list[str]:
    """Where the file may lie: with the host, and with the one above it."""
    name = _FILES[kind].removeprefix(".")
    above = domain.partition(".")[2]
    hosts = [domain, above] if is_domain(above) else [domain]
    return [f"https://{host}/{name}" for host in hosts]


async def _one(path: Path, addresses: list[str], get: Get, now_s: float) -> bool:
    part, absent = path.with_name(f".{path.name}.part"), path.with_name(path.name + _ABSENT)
    try:
        for address in addresses:
            try:
                await get(address, part)
                read = read_ads_txt(await asyncio.to_thread(part.read_bytes))
            except (FetchError, OSError):
                continue
            if read is not None:
                os.utime(part, (now_s, now_s))
                part.replace(path)
                absent.unlink(missing_ok=True)
                return True
    finally:
        part.unlink(missing_ok=True)
    _missed(path, absent, now_s)
    return False


def _missed(path: Path, absent: Path, now_s: float) -> None:
    """Write down when it was asked for; what is too old to be believed goes."""
    absent.touch()
    os.utime(absent, (now_s, now_s))
    if _modified_s(path) < now_s - KEEP_S:
        path.unlink(missing_ok=True)


def _age_s(path: Path, now_s: float) -> float:
    """Since it was last asked for."""
    return now_s - max(_modified_s(path), _modified_s(path.with_name(path.name + _ABSENT)))


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
