"""Latency, from socket to socket and by stage, and what it waits for."""

from typing import Final

from helm.panels.sketch import (
    EXCHANGE,
    Panel,
    Query,
    Section,
    Sheet,
    by,
    counters,
    figure,
    gauges,
    mean,
    now,
    quantile,
    quantiles,
    rate,
)

_LATENCY: Final = "paceline_bid_latency_seconds"
_STAGE: Final = "paceline_stage_seconds"

SHEET: Final = Sheet(
    uid="paceline-latency",
    title="Paceline / Latency by stage",
    about="How long a bid takes, where, and how much of the exchange's time it uses up.",
    by_exchange=True,
    sections=(
        Section(
            "From socket to socket",
            (
                figure("p50", quantile(0.5, _LATENCY, where=EXCHANGE), "s"),
                figure("p99", quantile(0.99, _LATENCY, where=EXCHANGE), "s"),
                figure("p99.9", quantile(0.999, _LATENCY, where=EXCHANGE), "s"),
                figure(
                    "Deadline used, p99",
                    quantile(0.99, "paceline_deadline_used_ratio", where=EXCHANGE),
                    "percentunit",
                    red_above=1,
                ),
                figure("Cost of one decision", now("paceline_decide_seconds_per_request"), "s"),
                figure("Mean batch", mean("paceline_batch_requests")),
                Panel(title="Latency", queries=quantiles(_LATENCY, where=EXCHANGE), unit="s"),
                Panel(
                    title="p99 by exchange",
                    queries=(Query(quantile(0.99, _LATENCY, "exchange", where=EXCHANGE), "{{exchange}}"),),
                    unit="s",
                ),
                Panel(
                    title="Latency, how often",
                    queries=(Query(rate(f"{_LATENCY}_bucket", "le", where=EXCHANGE), "{{le}}"),),
                    kind="heat",
                    unit="s",
                ),
                Panel(
                    title="Share of the deadline that was used",
                    queries=quantiles("paceline_deadline_used_ratio", where=EXCHANGE),
                    unit="percentunit",
                    about="Above 100 % the answer was late.",
                    red_above=1,
                ),
            ),
        ),
        Section(
            "Stages",
            (
                Panel(
                    title="Mean time in each stage",
                    queries=(Query(mean(_STAGE, "stage"), "{{stage}}"),),
                    unit="s",
                    kind="stack",
                    about="A request waits for its whole batch: these are times that pass, not CPU.",
                ),
                Panel(
                    title="p99 of each stage",
                    queries=(Query(quantile(0.99, _STAGE, "stage"), "{{stage}}"),),
                    unit="s",
                ),
                Panel(
                    title="Age of the oldest request of a batch",
                    queries=quantiles("paceline_queue_age_seconds"),
                    unit="s",
                ),
                Panel(title="Requests decided together", queries=quantiles("paceline_batch_requests")),
            ),
        ),
        Section(
            "The people's store",
            (
                Panel(title="Reads of people", queries=quantiles("paceline_people_read_seconds"), unit="s"),
                by("Batch reads by result", "paceline_people_reads_total", "status"),
                Panel(
                    title="Breaker",
                    queries=(Query(now("paceline_people_breaker_state", "instance"), "{{instance}}"),),
                    about="0 closed, 1 open: bids are contextual, 2 probing.",
                    red_above=0,
                ),
                gauges("Commands without a reply", ("paceline_people_in_flight", "in flight")),
                counters(
                    "Breaker, late replies, refusals",
                    ("paceline_people_breaker_opened_total", "breaker opened"),
                    ("paceline_people_abandoned_total", "late or lost replies"),
                    ("paceline_store_refused_total", "batches refused at a bound"),
                    ("paceline_store_overdue_total", "connections closed: overdue"),
                ),
                counters(
                    "Connections and slots",
                    ("paceline_store_connects_total", "made"),
                    ("paceline_store_losses_total", "broken"),
                    ("paceline_store_moved_total", "reads sent elsewhere"),
                    ("paceline_store_slot_maps_total", "slot maps read"),
                ),
            ),
        ),
        Section(
            "The ledger",
            (
                Panel(
                    title="Calls of the treasurer, p99",
                    queries=(Query(quantile(0.99, "paceline_ledger_seconds", "verb"), "{{verb}}"),),
                    unit="s",
                ),
                Panel(
                    title="From a notice to the ledger's answer",
                    queries=quantiles("paceline_notice_lag_seconds"),
                    unit="s",
                ),
            ),
        ),
    ),
)
