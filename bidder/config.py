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
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta, Struct

from bidder.events.writer import Bounds
from bidder.exchanges import SHIPPED, Exchange
from bidder.screening import FraudRules

Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Milliseconds = Annotated[float, Meta(gt=0, le=60_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
PartnerDomain = Annotated[str, Meta(pattern=r"^([a-z0-9-]+\.)+[a-z]{2,}\Z", max_length=253)]


class ConfigError(Exception):
    """The configuration cannot be used; `str()` says where and why."""


class ExchangePort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lean port that exchanges talk to."""

    host: str = "0.0.0.0"  # noqa: S104  exchanges call from outside
    port: Port = 8080
    max_head_bytes: Count = 16_384  # nginx and most peers stop at 8 to 16 KiB
    max_body_bytes: Count = 131_072  # the largest request seen in the field is below 10 KB
    max_inflated_bytes: Count = 524_288  # a gzip body that grows beyond it is a bomb
    max_connections: Count = 10_000  # per worker
    max_in_flight: Count = 4_096  # requests per worker between arrival and answer
    max_pipelined: Count = 64  # unanswered requests of one connection; reading stops beyond it
    idle_timeout_s: Seconds = 180.0  # Google keeps a connection 150 s
    head_timeout_s: Seconds = 10.0  # from the first byte of a request to the end of its head
    body_timeout_s: Seconds = 10.0  # from the end of the head to the end of the body
    drain_timeout_s: Seconds = 20.0
    tick_budget_ms: Milliseconds = 10.0  # deciding longer than this in one tick sheds what else waits


class PublicPort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The port that browsers and notices reach."""

    host: str = "0.0.0.0"  # noqa: S104  browsers call from outside
    port: Port = 8081
    base_url: Annotated[str, Meta(pattern=r"^https?://[^\s/]+(/[^\s]*)?\Z")] = "http://127.0.0.1:8081"
    """How the outside world reaches this port: it stands in every notice and click URL."""
    max_body_bytes: Count = 65_536
    max_per_address: Count = 512
    """Connections of one client address, per worker; more are closed at once. Behind a proxy all come from its own
    address: then set what the proxy may hold open."""


class OpsPort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The port for operators: metrics, liveness, readiness."""

    host: str = "127.0.0.1"
    port: Port = 8082


class Stores(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Redis: where people live. Without a URL an embedded server is started."""

    redis_url: str = ""
    """redis://, rediss:// or unix://; several, comma-separated, for a cluster. Usually PACELINE_REDIS_URL."""
    cluster: bool = False
    read_timeout_ms: Milliseconds = (
        20.0  # a person read that takes longer is worth less than a contextual bid
    )
    embedded_max_mb: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    """What the embedded server may hold; 0: as much as there is. Beyond it those people go who would soonest: they are
    unknown again; opt-outs stay longest. Of a server of your own its `maxmemory` and `maxmemory-policy` say it."""
    max_in_flight: Count = 4_096  # commands of one connection without a reply
    breaker_failures: Count = 16  # consecutive failed or late reads that open the breaker
    breaker_pause_s: Seconds = 0.5  # how long an open breaker waits before it lets one read try


class Ledger(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the advertisers' money is kept, and how workers draw on it."""

    redis_url: str = ""
    """As the people's. Empty: the people's, where that is set, else an embedded server of its own that writes each
    change to disk before it answers. Usually PACELINE_LEDGER_URL."""
    cluster: bool = False
    """Of `redis_url`; a URL that is shared with the people is what `stores` says."""
    max_exp_s: Annotated[int, Meta(ge=1, le=86_400)] = 3_600
    """The longest `bid.exp` that we promise, whatever a request asks for: so long may money stay reserved."""
    prefetch: Count = 10_000
    """Line items that have their first lease before a worker is ready; the others get theirs when first wanted."""
    lease_bids: Count = 4
    """So many bids of the largest cost a worker holds money for, per line item, before it knows how fast the line item
    spends: more of them fill the first fifth of a second, and lie idle in line items that do not spend."""
    journal_dir: str = ""
    """Durable segments of the ledger's journal, kept for ever; empty: `journal` in the data directory."""
    pacing_period_s: Annotated[float, Meta(ge=0.2, le=300)] = 15.0
    """Of 5, 15 and 60 s, 15 keeps closest to the plan (benchmarks/results/pacing.json)."""


class FrequencyRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How views of one person are held and counted where a line item has a cap."""

    hold_s: Seconds = 60.0
    """So long a bid counts as a view without a notice; a win prolongs it, a loss ends it."""
    busy_ms: Milliseconds = 300.0
    """So long a request for a person that is being decided is seen by others; above any exchange's tmax."""
    visitors: bool = False
    """Whether people without an id are capped by truncated address and user agent, within an hour."""


class Priors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Response rates before there is a model."""

    click_rate_banner: Share = 0.002
    click_rate_native: Share = 0.004
    click_rate_video: Share = 0.006
    click_rate_audio: Share = 0.001
    conversion_rate: Share = 0.02
    affinity_weight: Annotated[float, Meta(ge=0, le=10)] = 1.0
    """How much one unit of affinity score moves the log-odds of a click."""


class AuctionRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How bids are chosen and priced."""

    max_candidates: Annotated[int, Meta(ge=1, le=1_000)] = 64
    """Line items priced for one impression of each kind, in the order of their maximum bid; 64 keep 98.8 % of the
    bid value of an unlimited search among 10,000 line items, 32 keep 89.4 %."""
    first_price_factor: Annotated[float, Meta(gt=0, le=1)] = 0.75
    """Share of the value bid in a first-price auction before a win-rate curve is known."""
    bid_currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] = "USD"
    """Preferred where the exchange allows several."""
    check_answers: bool = True
    """Every answer passes the response check before it is sent."""


class PrivacyRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate needs to know of us."""

    vendor_id: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Our id on the IAB Global Vendor List; 0: not registered, so GDPR traffic stays contextual."""
    page_url: Annotated[str, Meta(pattern=r"^(https://[^\s\"'<>]+)?\Z", max_length=500)] = ""
    """Where a person learns why they see an ad: told where a native request asks for it; empty: nowhere."""
    controller: Annotated[str, Meta(max_length=200)] = ""
    """Who answers for what is kept of people, as the privacy pages name it: a company and its address."""
    contact: Annotated[
        str, Meta(pattern=r"^(https://[^\s\"'<>]+|[^\s@<>\"']+@[^\s@<>\"']+)?\Z", max_length=200)
    ] = ""
    """An e-mail address or an https URL where people ask about it; the privacy pages show it."""
    retention_days: Annotated[int, Meta(ge=1, le=30)] = 30
    """So long is kept what may tell of a person, since the person was last seen."""
    deletion_domain: Annotated[str, Meta(pattern=r"^([a-z0-9-]+\.)+[a-z]{2,}\Z|^\Z", max_length=253)] = ""
    """Our own domain in the IAB's data deletion requests; empty: that of the public port's base URL."""
    deletion_partners: Annotated[tuple[PartnerDomain, ...], Meta(max_length=200)] = ()
    """Domains whose data deletion requests are believed, each by the keys of its dsrdelete.json."""
    deletion_keys_file: str = ""
    """PEM file of EC P-256 keys that sign our answers, the newest first; empty: made in the data directory."""


class Events(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is recorded of shops, impressions and clicks: where, how soon it is on disk, how long it is anybody's."""

    folder: str = ""
    """On a local disk; empty: `events` in the data directory."""
    flush_s: Annotated[float, Meta(ge=0.05, le=60)] = 1.0
    """kill -9 loses what was recorded since the last flush."""
    queue_bytes: Annotated[int, Meta(ge=65_536, le=1_073_741_824)] = 8_388_608
    """Per worker between two flushes, about 40,000 events; beyond it they are dropped and counted."""
    segment_bytes: Annotated[int, Meta(ge=4_096, le=268_435_456)] = 16_777_216
    """A segment is read into memory whole where somebody is erased from it."""
    segment_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 60.0
    """A segment is sealed after so long: until then its events are in no Parquet file."""
    compact_s: Annotated[float, Meta(ge=0.2, le=3_600)] = 60.0
    """How often sealed segments become Parquet files."""
    erase_s: Annotated[float, Meta(ge=0.2, le=3_600)] = 30.0
    """How often people are looked for who are to be erased."""
    keep_days: Annotated[int, Meta(ge=1, le=30)] = 30
    """So long an event names its person, unless `privacy.retention_days` is shorter."""
    keep_rows_days: Annotated[int, Meta(ge=1, le=3_650)] = 400
    """So long an event is kept at all: after `keep_days` as nobody's."""
    max_bytes: Annotated[int, Meta(ge=1_048_576)] = 53_687_091_200
    """Of all files in the folder, 50 GiB: beyond four fifths of it shops' events of nobody are dropped and counted,
    beyond all of it every event."""
    memory_mb: Annotated[int, Meta(ge=128, le=65_536)] = 256
    """What DuckDB may use; beyond it, it sorts on disk."""


class Catalogue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How product feeds are fetched; what is in one, and how often, is said in the campaign files."""

    timeout_s: Annotated[float, Meta(gt=0, le=3_600)] = 300.0
    """For all of a fetch: 1 GB at 30 Mbit/s."""
    max_bytes: Annotated[int, Meta(ge=1, le=4_294_967_296)] = 1_073_741_824
    """Of one feed, inflated; a million products with their descriptions."""
    private_networks: Annotated[tuple[Annotated[str, Meta(max_length=50)], ...], Meta(max_length=50)] = ()
    """CIDRs of our own networks that a feed may be fetched from, also by plain http; empty: the open internet alone,
    by https."""
    folder: str = ""
    """Where paths of feeds are meant from, and must stay in; empty: the campaign files' folder."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    workers: Annotated[int, Meta(ge=1, le=512)] = 1
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
    """Both are bound by every worker with SO_REUSEPORT; the configuration's 0 is resolved here."""
    base_url: str
    """What notice and click URLs begin with; without a slash at the end."""
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
    "PACELINE_REDIS_URL": ("stores", "redis_url"),
    "PACELINE_LEDGER_URL": ("ledger", "redis_url"),
    "PACELINE_VENDOR_ID": ("privacy", "vendor_id"),
}
_SECURE_URL = re.compile(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])([:/]|$)")

SECRETS = ("PACELINE_TOKEN_KEYS", "PACELINE_PRICE_KEYS")
"""Variables that hold secrets: read where they are used, never printed."""


def of_children(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for processes that we start: without our own variables, some of which are secret."""
    return {name: value for name, value in environment.items() if not name.startswith("PACELINE_")}


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration of a file (none: defaults) with the environment over it; raises ConfigError."""
    raw = _read(path) if path else {}
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
    if not _SECURE_URL.match(config.public.base_url):
        problem = "must be https; plain http is for loopback addresses alone - at `$.public.base_url`"
        raise ConfigError(_located(problem, path, environment))
    return config


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
