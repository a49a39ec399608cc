"""What the exchange port counts: the catalogue, and the cells of one exchange looked up once.

Place: ticks and connections add to the cells; the supervisor exposes them.
Units: latency cells are nanoseconds.
Limits: exchanges are configured, so the number of series is too.
Rule: an answer is bad, for the objective that 99 % are in time, where it left after the deadline that the exchange
    gave, or where we kept it in time by not deciding: SHED, LATE, FAULT and SELF_CHECK. NO_TIME is bad where FAIR_NS
    or more were left at arrival: the time went by in our queue. DISCONNECTED is bad where the deadline had passed:
    whoever hung up had waited for all of it. What is the client's own doing is neither good nor bad: what was no
    bid request, broken, too large or too slow, hung up in time, or came with no time left. All else is good, a
    no-bid as much as a bid.
"""

from bisect import bisect_left

from bidder.auction.counts import STAGE
from bidder.metrics import Metric, Tally
from bidder.outcome import Outcome

GOOD, BAD, NEITHER = 0, 1, 2
FAIR_NS = 2_000_000
"""Twice what a request must leave to be begun (auction/run.py): less at arrival is no time that anybody could keep."""
_BAD = (Outcome.SHED, Outcome.LATE, Outcome.FAULT, Outcome.SELF_CHECK)
_NEITHER = (
    *(Outcome.NOT_FOUND, Outcome.METHOD, Outcome.HEAD_TOO_LARGE, Outcome.BODY_TOO_LARGE, Outcome.ENCODING),
    *(Outcome.BAD_HTTP, Outcome.MALFORMED, Outcome.DISCONNECTED, Outcome.TIMEOUT, Outcome.NO_TIME),
)
MAX_SHARE = 1_000_000
"""A thousand times the deadline: beyond it, as where no time was given at all, a sum would tell of nothing else."""
VERDICTS = tuple(BAD if outcome in _BAD else NEITHER if outcome in _NEITHER else GOOD for outcome in Outcome)
"""By outcome, of an answer in time."""

_MS = 1_000_000
LATENCY_BUCKETS_NS = tuple(
    int(ms * _MS)
    for ms in (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150)
) + tuple(ms * _MS for ms in (200, 300, 500, 750, 1_000))
NONE = "none"
"""The exchange of what never reached a profile."""

REQUESTS = Metric("paceline_requests_total", "counter", "Bid requests, broken ones too", ("exchange",))
OUTCOMES = Metric("paceline_outcomes_total", "counter", "How requests ended", ("exchange", "outcome"))
LATE = Metric("paceline_late_answers_total", "counter", "Answers sent after their deadline", ("exchange",))
LATENCY = Metric(
    "paceline_bid_latency_seconds",
    "histogram",
    "From the arrival of a request to the write of its answer; requests that were shed are left out",
    ("exchange",),
    1e-9,
    LATENCY_BUCKETS_NS,
)
BATCH = Metric(
    "paceline_batch_requests",
    "histogram",
    "Requests decided together in one tick of the event loop",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096),
)
QUEUE_AGE = Metric(
    "paceline_queue_age_seconds",
    "histogram",
    "How long the oldest request of a batch had waited when the batch was handed over to be decided",
    (),
    1e-9,
    LATENCY_BUCKETS_NS,
)
DEADLINE_USED = Metric(
    "paceline_deadline_used_ratio",
    "histogram",
    "From the arrival of a request to the write of its answer, as a share of the time to its deadline; above 1 is late",
    ("exchange",),
    1e-3,
    (50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950, 1_000, 1_100, 1_250, 1_500, 2_000, 5_000),
)
SLO = Metric(
    "paceline_slo_answers_total",
    "counter",
    "Requests by whether they were decided and answered within their deadline: good, or bad, which are late answers "
    "and the outcomes shed, late, fault and self_check; what is the client's own doing is not counted",
    ("exchange", "result"),
)
CONNECTIONS = Metric("paceline_connections", "gauge", "Open connections of exchanges")
ACCEPTED = Metric("paceline_connections_total", "counter", "Connections accepted")
REFUSED = Metric("paceline_connections_refused_total", "counter", "Connections closed: too many are open")
CUT = Metric(
    "paceline_connections_cut_total",
    "counter",
    "Connections cut: idle, or a client that never reads",
    ("why",),
)
IN_FLIGHT = Metric("paceline_requests_in_flight", "gauge", "Requests handed over and not answered yet")
READY_CHECKS = Metric("paceline_ready_checks_total", "counter", "Answers to /ready", ("answer",))
RECEIVED = Metric("paceline_exchange_received_bytes_total", "counter", "Bytes read from exchanges")
SENT = Metric("paceline_exchange_sent_bytes_total", "counter", "Bytes written to exchanges")
DECIDE_COST = Metric(
    "paceline_decide_seconds_per_request", "gauge", "Smoothed time to decide one request", (), 1e-9, (), "max"
)

METRICS: tuple[Metric, ...] = (
    REQUESTS,
    OUTCOMES,
    LATE,
    LATENCY,
    BATCH,
    STAGE,
    QUEUE_AGE,
    DEADLINE_USED,
    SLO,
    CONNECTIONS,
    ACCEPTED,
    REFUSED,
    CUT,
    IN_FLIGHT,
    READY_CHECKS,
    RECEIVED,
    SENT,
    DECIDE_COST,
)


class Counts:
    """The cells of one exchange."""

    __slots__ = (
        "deadline_ns", "good", "late", "latency", "latency_sum", "outcomes", "received_ns", "requests",
        "run", "slo", "used", "used_sum",
    )  # fmt: skip

    def __init__(self, tally: Tally, exchange: str) -> None:
        """Make the series of an exchange, so that all of them show from the start."""
        self.requests = tally.slot(REQUESTS.name, exchange)
        self.outcomes = [tally.slot(OUTCOMES.name, exchange, o.name.lower()) for o in Outcome]
        self.late = tally.slot(LATE.name, exchange)
        parts = range(len(LATENCY_BUCKETS_NS) + 1)
        self.latency = [tally.slot(LATENCY.name, exchange, part=str(i)) for i in parts]
        self.latency_sum = tally.slot(LATENCY.name, exchange, part="sum")
        parts = range(len(DEADLINE_USED.buckets) + 1)
        self.used = [tally.slot(DEADLINE_USED.name, exchange, part=str(i)) for i in parts]
        self.used_sum = tally.slot(DEADLINE_USED.name, exchange, part="sum")
        self.slo = [tally.slot(SLO.name, exchange, result) for result in ("good", "bad")]
        self.run = self.good = 0
        self.received_ns = self.deadline_ns = 0
        """Calls answered together that share these moments, and how many of them were good."""

    def end_run(self, cells: "memoryview[int]", now_ns: int) -> None:
        """Count the run of calls that are answered now, and begin another: histograms cost a run what they cost a
        call."""
        run = self.run
        if not run:
            return
        took_ns = now_ns - self.received_ns
        cells[self.latency[bisect_left(LATENCY_BUCKETS_NS, took_ns)]] += run
        cells[self.latency_sum] += took_ns * run
        if self.deadline_ns:
            share = min(took_ns * 1_000 // max(self.deadline_ns - self.received_ns, 1), MAX_SHARE)
            cells[self.used[bisect_left(DEADLINE_USED.buckets, share)]] += run
            cells[self.used_sum] += share * run
        cells[self.slo[GOOD]] += self.good
        self.run = self.good = 0


class PortCells:
    """The cells of the port as a whole."""

    __slots__ = (
        "accepted", "batch", "connections", "cost", "cut_idle", "cut_unread",
        "in_flight", "not_ready", "queue", "queue_age", "ready", "received", "refused", "sent",
    )  # fmt: skip

    def __init__(self, tally: Tally) -> None:
        """Make the series."""
        self.accepted = tally.slot(ACCEPTED.name)
        self.batch = tally.histogram(BATCH)
        self.connections = tally.slot(CONNECTIONS.name)
        self.cost = tally.slot(DECIDE_COST.name)
        self.cut_idle = tally.slot(CUT.name, "idle")
        self.cut_unread = tally.slot(CUT.name, "unread")
        self.in_flight = tally.slot(IN_FLIGHT.name)
        self.queue = tally.histogram(STAGE, "queue")
        self.queue_age = tally.histogram(QUEUE_AGE)
        self.ready = tally.slot(READY_CHECKS.name, "ready")
        self.not_ready = tally.slot(READY_CHECKS.name, "not_ready")
        self.received = tally.slot(RECEIVED.name)
        self.refused = tally.slot(REFUSED.name)
        self.sent = tally.slot(SENT.name)
