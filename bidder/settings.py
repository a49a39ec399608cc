"""What can be set, section by section, every bound in its type.

Place: config.py reads them; each part of the service is handed its own.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Milliseconds = Annotated[float, Meta(gt=0, le=60_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Network = Annotated[str, Meta(pattern=r"^[0-9a-fA-F:.]{2,39}(/[0-9]{1,3})?\Z")]
PartnerDomain = Annotated[str, Meta(pattern=r"^([a-z0-9-]+\.)+[a-z]{2,}\Z", max_length=253)]


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files in PEM form; read anew on SIGHUP and when they change. Without a certificate a port speaks plainly."""

    cert_file: str = ""
    """The certificate, then those that lead to its root."""
    key_file: str = ""
    """Its key; empty: it stands in `cert_file`."""
    client_ca_file: str = ""
    """Clients must show a certificate that one of these signed; for the exchange and the operators' port."""


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
    drain_wait_s: Annotated[float, Meta(ge=0, le=3_600)] = 0.0
    """After SIGTERM /ready says no, and both ports still accept, for so long: load balancers move away meanwhile."""
    drain_timeout_s: Seconds = 20.0
    tick_budget_ms: Milliseconds = 10.0  # deciding longer than this in one tick sheds what else waits
    tls: Tls = Tls()


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token bucket: `burst` calls at once, then `per_s`."""

    per_s: Annotated[float, Meta(ge=0.001, le=1_000_000)]
    burst: Count


def _rate(per_s: float, burst: int) -> Rate:
    return Rate(per_s=per_s, burst=burst)


class Rates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often one caller may call, by kind of endpoint, of each worker. A caller is an address, of IPv6 a /64: behind
    one of a mobile carrier or an office are many people. A /48 has fifty times as much for all of its /64s."""

    beacons: Rate = _rate(200.0, 1_000)
    """/click and /event; HEAD of every notice. /win, /bill, /loss and /imp move money and are never counted."""
    forgeries: Rate = _rate(10.0, 200)
    """Notices, batches and uploads whose token or signature is not ours."""
    shop: Rate = _rate(100.0, 500)
    """/tag.js, /pixel, /v1/syncs: a page loads three, and events as the visitor goes on."""
    events: Rate = _rate(50.0, 200)
    """/v1/events, by advertiser: of 500 events each."""
    sync: Rate = _rate(50.0, 500)
    """/sync/{exchange}."""
    matches: Rate = _rate(20.0, 200)
    """/v1/matches/{exchange}: of 1,000 ids each."""
    render: Rate = _rate(200.0, 1_000)
    """/render, /render/native: one for each ad."""
    privacy: Rate = _rate(10.0, 100)
    """/privacy and what is below it: each look reads the store."""
    deletion: Rate = _rate(20.0, 200)
    """/dsr, /dsr/jwks.json, /dsrdelete.json: each request costs a signature to check and one to make."""
    other: Rate = _rate(10.0, 100)
    """/openapi.json, and paths that are none."""


PRIVATE: Final = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
"""Addresses that nobody on the open internet calls from."""


class PublicPort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The port that browsers and notices reach."""

    host: str = "0.0.0.0"  # noqa: S104  browsers call from outside
    port: Port = 8081
    base_url: Annotated[str, Meta(pattern=r"^https?://[^\s/]+(/[^\s]*)?\Z")] = "http://127.0.0.1:8081"
    """How the outside world reaches this port: it stands in every notice and click URL."""
    max_body_bytes: Count = 65_536
    max_per_address: Count = 512
    """Connections of one client address, per worker; more are closed at once. Those of proxies are not counted: how
    many they open is theirs to bound."""
    proxies: Annotated[tuple[Network, ...], Meta(max_length=200)] = PRIVATE
    """CIDRs of our own load balancers and proxies, whose X-Forwarded-For is believed: the rightmost address in it that
    is none of theirs is the caller. What they call in their own name, or for an address that is none of the open
    internet, is counted together, in buckets of fifty callers."""
    rates: Rates = Rates()
    hsts_days: Annotated[int, Meta(ge=0, le=3_650)] = 365
    """So long browsers come back by https alone (Strict-Transport-Security), where `base_url` is https; 0: not told."""
    tls: Tls = Tls()


class OpsPort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The port for operators: metrics, liveness, readiness, the operator's page, admin actions."""

    host: str = "127.0.0.1"
    port: Port = 8082
    tls: Tls = Tls()
    token_required: bool = False
    """Whether the page and the metrics need a token of `paceline token` on a loopback address too; on any other they
    always do. Admin actions need one everywhere, /live and /ready nowhere."""
    open_metrics: bool = False
    """Whether /metrics needs no token on an address that is not loopback."""
    hosts: Annotated[tuple[Annotated[str, Meta(max_length=253)], ...], Meta(max_length=50)] = ()
    """Names by which the port may be called, beside localhost and its own address: such as a tunnel's. Off loopback
    every name will do where none is given here, else no other: then name all that Prometheus calls it by."""

    @property
    def loopback(self) -> bool:
        """Whether this machine alone reaches the port."""
        return self.host == "localhost" or self.host == "::1" or self.host.startswith("127.")

    @property
    def page_token(self) -> bool:
        """Whether the page needs a token."""
        return self.token_required or not self.loopback

    @property
    def metrics_token(self) -> bool:
        """Whether /metrics needs one."""
        return self.token_required if self.loopback else not self.open_metrics


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
    wait_replicas: Annotated[int, Meta(ge=0, le=5)] = 0
    """Replicas that must have a verb that moves money before it counts; 0: none, a primary that dies takes with it
    what they had not heard (helm/CLUSTER.md)."""
    wait_ms: Annotated[int, Meta(ge=1, le=4_000)] = 200
    """So long they are waited for; then a lease is no money yet, and a charge is repeated."""


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


class MetricRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told of the service in numbers."""

    top_line_items: Annotated[int, Meta(ge=1, le=1_000)] = 100
    """So many line items, those that spend most, have series of their own, some 20 each; the rest is summed."""


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
