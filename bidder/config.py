"""The configuration: one TOML or YAML file and PACELINE_* variables, read once, every bound in its type.

Place: `paceline` commands load it; the supervisor hands it to its workers as it is.
Limits: each field's own; unknown keys are refused with their place.
Raises: ConfigError, one line per mistake.
Never: a secret from the file: keys come from the environment or from files named here.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta, Struct

from bidder.events.writer import Bounds
from bidder.exchanges import SHIPPED, Exchange
from bidder.screening import FraudRules
from bidder.settings import (
    AuctionRules,
    Catalogue,
    Events,
    ExchangePort,
    FrequencyRules,
    Ledger,
    MetricRules,
    OpsPort,
    Priors,
    PrivacyRules,
    PublicPort,
    Seconds,
    Stores,
)
from budget.store import Waits


class ConfigError(Exception):
    """The configuration cannot be used; `str()` says where and why."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    workers: Annotated[int, Meta(ge=1, le=512)] = 1
    ready_timeout_s: Seconds = 120.0
    """So long a worker that is to replace another (SIGUSR2) may take to be ready; then it is given up."""
    data_dir: str = "data"
    campaigns: str = ""
    """A YAML file or a folder of them; empty: the demo's shops."""
    rates: str = ""
    """A YAML file of exchange rates; empty: the one shipped."""
    keys_file: str = ""
    """Token keys, one `id:hex` per line, the newest first; PACELINE_TOKEN_KEYS goes before it."""
    log_level: Annotated[str, Meta(pattern=r"^(debug|info|warning|error)\Z")] = "info"
    exchange: ExchangePort = ExchangePort()
    public: PublicPort = PublicPort()
    ops: OpsPort = OpsPort()
    stores: Stores = Stores()
    ledger: Ledger = Ledger()
    frequency: FrequencyRules = FrequencyRules()
    auction: AuctionRules = AuctionRules()
    priors: Priors = Priors()
    privacy: PrivacyRules = PrivacyRules()
    events: Events = Events()
    fraud: FraudRules = FraudRules()
    catalogue: Catalogue = Catalogue()
    metrics: MetricRules = MetricRules()
    exchanges: tuple[Exchange, ...] = ()
    """Added to the shipped profiles; the same name replaces one."""

    def base_url(self, port: int = 0) -> str:
        """What our public URLs begin with, without a slash at the end: the configured one; where none is, the one that
        this machine's own clients can use. `port`: the one that was bound, 0: the configured one."""
        public = self.public
        if public.base_url == PublicPort().base_url:
            return f"http://127.0.0.1:{port or public.port}"
        return public.base_url.rstrip("/")

    def events_folder(self) -> Path:
        """Where what is recorded lies."""
        return Path(self.events.folder or Path(self.data_dir) / "events")

    def recording(self) -> Bounds:
        """The limits of a worker's recorder."""
        events = self.events
        return Bounds(
            flush_s=events.flush_s,
            queue_bytes=events.queue_bytes,
            segment_bytes=events.segment_bytes,
            segment_s=events.segment_s,
            keep_days=self.keep_days(),
            max_bytes=events.max_bytes,
        )

    def keep_days(self) -> int:
        """So many days what is recorded names its people."""
        return min(self.events.keep_days, self.privacy.retention_days)

    def ledger_store(self, url: str) -> Stores:
        """How to reach the ledger at the URL that was found for it."""
        shared = not self.ledger.redis_url and bool(self.stores.redis_url)
        return Stores(redis_url=url, cluster=self.stores.cluster if shared else self.ledger.cluster)

    def waits(self) -> Waits:
        """How many of the ledger's replicas are waited for, and how long."""
        return Waits(self.ledger.wait_replicas, self.ledger.wait_ms)

    def profiles(self) -> tuple[Exchange, ...]:
        """The shipped exchange profiles with the configured ones over them."""
        named = {profile.name: profile for profile in (*SHIPPED, *self.exchanges)}
        return tuple(named.values())


class WorkerSetup(Struct, frozen=True, kw_only=True):
    """What the supervisor hands to one worker beside the configuration."""

    slot: Annotated[int, Meta(ge=0, le=513)]
    """Behind the workers' stand the bookkeeper's and the caretaker's."""
    redis_url: str
    """The configured one, or the embedded server's."""
    tally_path: str
    """The worker's counters, shared with the supervisor by mmap; a successor goes on from them."""
    token_keys: tuple[tuple[int, bytes], ...]
    """(id, secret), the newest first: for notices.keys.Keyring."""
    price_keys: dict[str, dict[str, str]] = {}
    """Exchange name to the keys of its price decoder."""
    exchange_port: Annotated[int, Meta(ge=1, le=65_535)]
    public_port: Annotated[int, Meta(ge=1, le=65_535)]
    """Where both listen; the configuration's 0 is resolved here."""
    exchange_fd: int = -1
    public_fd: int = -1
    """The slot's own sockets, bound with SO_REUSEPORT; they outlive a worker that is replaced as planned. Below 0: the
    worker binds its own."""
    base_url: str
    """What notice and click URLs begin with; without a slash at the end."""
    unhurried: bool = False
    """Whether another worker serves until this one is ready: see unhurried.py."""
    announce_fd: int
    """Lines of JSON to the supervisor: see `Announcement`."""
    workers: Annotated[int, Meta(ge=1, le=512)] = 1
    """How many slots there are; slot 0 also takes over the spools of slots that are no more."""
    ledger_url: str = ""
    """The configured one, the people's, or the embedded ledger's; empty only where a benchmark runs without one."""
    spool_dir: str = ""
    """Accepted notices on their way to the ledger, one spool per slot; it outlives workers and supervisor."""
    journal_dir: str = ""
    """Where the ledger's journal becomes durable segments."""
    data_dir: str = ""
    """The supervisor's, absolute: catalogues, models, reports and keys of its workers lie there."""
    events_dir: str = ""
    """Where what is recorded of shops, impressions and clicks lies; empty: where the configuration says."""


SUCCEEDED = "its successor goes on"
"""What a worker says that drains because another one of its name is ready."""


class Announcement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line from a worker to the supervisor."""

    ready: bool
    """Whether both ports listen and campaigns are loaded; false again while it drains."""
    detail: Annotated[str, Meta(max_length=500)] = ""


ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "PACELINE_WORKERS": ("workers",),
    "PACELINE_DATA_DIR": ("data_dir",),
    "PACELINE_CAMPAIGNS": ("campaigns",),
    "PACELINE_RATES": ("rates",),
    "PACELINE_KEYS_FILE": ("keys_file",),
    "PACELINE_LOG_LEVEL": ("log_level",),
    "PACELINE_EXCHANGE_HOST": ("exchange", "host"),
    "PACELINE_EXCHANGE_PORT": ("exchange", "port"),
    "PACELINE_PUBLIC_HOST": ("public", "host"),
    "PACELINE_PUBLIC_PORT": ("public", "port"),
    "PACELINE_PUBLIC_BASE_URL": ("public", "base_url"),
    "PACELINE_OPS_HOST": ("ops", "host"),
    "PACELINE_OPS_PORT": ("ops", "port"),
    "PACELINE_OPS_OPEN_METRICS": ("ops", "open_metrics"),
    "PACELINE_REDIS_URL": ("stores", "redis_url"),
    "PACELINE_LEDGER_URL": ("ledger", "redis_url"),
    "PACELINE_VENDOR_ID": ("privacy", "vendor_id"),
}
_SECURE_URL = re.compile(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])([:/]|$)")

SECRETS = ("PACELINE_TOKEN_KEYS", "PACELINE_PRICE_KEYS", "PACELINE_PRICE_KEYS_FILE")
"""Variables that hold secrets, or name their files: read where they are used, never printed."""
URLS = ("PACELINE_REDIS_URL", "PACELINE_LEDGER_URL")
"""Variables that may hold a password: each may stand in a file, which `<name>_FILE` names."""
_PARTS_OF_URLS = frozenset({"VALKEY_PASSWORD"})
"""Variables of which a deployment makes those of URLS."""


def of_children(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for processes that we start: without our own variables, some of which are secret, and without
    the password that a deployment puts into our URLs."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("PACELINE_") and name not in _PARTS_OF_URLS
    }


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration of a file (none: defaults) with the environment over it; raises ConfigError."""
    raw = _read(path) if path else {}
    environment = _with_files(environment)
    for name, place in ENVIRONMENT.items():
        if name in environment:
            _put(raw, place, environment[name])
    known = {*ENVIRONMENT, *SECRETS, "PACELINE_CONFIG"}
    strange = sorted(name for name in environment if name.startswith("PACELINE_") and name not in known)
    if strange:
        raise ConfigError(f"unknown environment variables: {', '.join(strange)}")
    try:
        config = msgspec.convert(raw, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_located(str(error), path, environment)) from None
    for index, network in enumerate(config.public.proxies):
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise ConfigError(
                _located(f"{error} - at `$.public.proxies[{index}]`", path, environment)
            ) from None
    if not _SECURE_URL.match(config.public.base_url):
        problem = "must be https; plain http is for loopback addresses alone - at `$.public.base_url`"
        raise ConfigError(_located(problem, path, environment))
    return config


def _with_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the content of files in the place of their names; raises ConfigError."""
    told = dict(environment)
    for name in URLS:
        file = told.pop(f"{name}_FILE", "")
        if not file:
            continue
        if name in told:
            raise ConfigError(f"{name} and {name}_FILE are both set: one is enough")
        try:
            told[name] = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not plain text"
            raise ConfigError(f"{name}_FILE: {file}: {reason}") from None
    return told


def _located(problem: str, path: Path | None, environment: Mapping[str, str]) -> str:
    """A problem with the variable or the file that it came from; it ends in "at `$.place`"."""
    message, _, place = problem.rpartition(" - at ")
    for name, parts in ENVIRONMENT.items():
        if name in environment and place == f"`$.{'.'.join(parts)}`":
            return f"{name}: {message}"
    return f"{path or 'environment'}: {problem}"


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (ValueError, yaml.YAMLError) as error:  # a date that is none is a ValueError of either
        raise ConfigError(f"{path}: {error}") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a table of settings")
    return raw


def _put(raw: dict[str, Any], place: tuple[str, ...], value: str) -> None:
    for part in place[:-1]:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise ConfigError(f"{part}: expected a table of settings")
    raw[place[-1]] = value
