"""What the page shows: rates, quantiles and standings, as one small JSON each second, and two minutes behind it.

Place: feed.py asks once a second, in a thread of the supervisor, while somebody watches.
Shapes: State of shapes.py; `history` holds its points, the newest last.
Limits: ROWS line items, those that spent most; REASONS of a kind; HISTORY points; looks of WINDOW_S are remembered,
    which hold no more than totals.py picks.
Never: anything of a person: no metric knows one.
"""

import functools
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from typing import Final

import msgspec

from bidder.campaigns.rates import load_rates
from bidder.console.look import WINDOW_S, Look
from bidder.console.rules import bad_share, findings, worst
from bidder.console.shapes import (
    Campaigns,
    Exchange,
    Latency,
    LineItem,
    Money,
    People,
    Point,
    Process,
    Ranked,
    Reasons,
    Stage,
    State,
    Stores,
    Traffic,
    Wallet,
    Workers,
)
from bidder.console.totals import Sums, Totals, line_key, totals
from bidder.metrics import Metric
from bidder.web.exposition import Samples
from openrtb.enums import LossReason

HISTORY: Final = 120
ROWS: Final = 100
REASONS: Final = 10
STAGES: Final = ("queue", "intake", "person", "retrieve", "price", "admit", "respond")


class View:
    """Makes a State of each look, and remembers the last two minutes."""

    def __init__(self, samples: Callable[[], Samples], catalogue: Callable[[], Mapping[str, Metric]]) -> None:
        """`samples` are a scrape's, `catalogue` all metrics; both are asked in the thread of `look`."""
        self._samples, self._catalogue = samples, catalogue
        self._seen: deque[Totals] = deque()
        self.history: deque[Point] = deque(maxlen=HISTORY)

    def look(self, now_s: float) -> State:
        """How the service is now. May take some milliseconds: not for an event loop."""
        known = self._catalogue()
        now = totals(now_s, self._samples(), known)
        seen = self._seen
        while seen and not now_s - WINDOW_S - 1 <= seen[0].at_s < now_s:
            seen.popleft()
        state = _state(Look(now, list(seen), known))
        seen.append(msgspec.structs.replace(now, gauges={}))
        self.history.append(state.point)
        return state


def _state(look: Look) -> State:
    traffic, latency = _traffic(look), _latency(look)
    draft = State(
        at_s=look.now.at_s,
        minute_s=round(look.reach_s(WINDOW_S), 1),
        version=next((labels[0] for labels in look.now.all_of("paceline_build_info")), ""),
        level="ok",
        findings=[],
        traffic=traffic,
        latency=latency,
        money=_money(look),
        reasons=_reasons(look),
        stores=_stores(look),
        workers=_workers(look),
        campaigns=_campaigns(look),
        people=_people(look),
        point=_point(look.now.at_s, traffic, latency),
    )
    found = findings(draft, look)
    return msgspec.structs.replace(draft, findings=found, level=worst(found))


def _point(at_s: float, traffic: Traffic, latency: Latency) -> Point:
    return (
        round(at_s, 1), traffic.requests, traffic.bids, latency.p50_ms, latency.p99_ms, traffic.bad_share
    )  # fmt: skip


def _traffic(look: Look) -> Traffic:
    requests, bids = look.rates("paceline_requests_total"), look.rates("paceline_bids_total")
    late = look.rates("paceline_late_answers_total", WINDOW_S)
    shown = sorted(requests, key=lambda name: (-requests[name], name))
    return Traffic(
        requests=round(sum(requests.values()), 1),
        bids=round(sum(bids.values()), 1),
        impressions=round(look.rate("paceline_line_item_impressions_total"), 2),
        clicks=round(look.rate("paceline_line_item_clicks_total", WINDOW_S), 3),
        bad_share=round(bad_share(look), 5),
        in_flight=look.now.gauge("paceline_requests_in_flight"),
        connections=look.now.gauge("paceline_connections"),
        exchanges=[
            Exchange(
                name, round(requests[name], 1), round(bids.get(name, 0.0), 1), round(late.get(name, 0.0), 3)
            )
            for name in shown
            if name != "none" or requests[name]
        ],
    )


def _latency(look: Look) -> Latency:
    name, stages = "paceline_bid_latency_seconds", "paceline_stage_seconds"
    return Latency(
        p50_ms=look.quantile_ms(name, 0.5),
        p90_ms=look.quantile_ms(name, 0.9),
        p99_ms=look.quantile_ms(name, 0.99),
        p999_ms=look.quantile_ms(name, 0.999),
        queue_p99_ms=look.quantile_ms("paceline_queue_age_seconds", 0.99),
        stages=[
            Stage(each, look.mean_ms(stages, each), look.quantile_ms(stages, 0.99, each)) for each in STAGES
        ],
    )


def _money(look: Look) -> Money:
    now, periods = look.now, look.counted("paceline_pacing_periods_total", WINDOW_S)
    spent = sorted(
        now.all_of("paceline_line_item_spent_micros").items(), key=lambda item: (-item[1], item[0])
    )
    rates = look.rates("paceline_line_item_spend_micros_total", WINDOW_S)
    counted, busy = sum(periods.values()), look.rate("paceline_requests_total", WINDOW_S)
    return Money(
        lines=[_line(look, labels, value, rates) for labels, value in spent if _is_known(look, labels)][
            :ROWS
        ],
        wallets=[
            Wallet(name, value, *(now.gauge(f"paceline_wallet_{part}_micros", name) for part in _PARTS))
            for (name,), value in sorted(now.all_of("paceline_wallet_funded_micros").items())
        ],
        spend={
            name: round(rate * 60)
            for name, rate in look.rates("paceline_spend_micros_total", WINDOW_S).items()
        },
        within_share=round(periods.get("within", 0.0) / counted, 4) if counted and busy else None,
        overspent=now.most("paceline_wallet_overspent_micros")
        + now.most("paceline_line_item_overspent_micros"),
        stranded={labels[0]: value for labels, value in now.all_of("paceline_money_stranded_micros").items()},
        pace_age_s=now.gauge("paceline_pace_age_seconds"),
    )


_PARTS: Final = ("spent", "leased", "available")


def _is_known(look: Look, labels: tuple[str, ...]) -> bool:
    """A series of a line item that is gone stays, at nothing."""
    return any(
        look.now.gauge(f"paceline_line_item_{part}", *labels) for part in ("multiplier_ratio", "spent_micros")
    )


def _line(look: Look, labels: tuple[str, ...], spent: float, rates: Sums) -> LineItem:
    now = look.now
    budget = now.gauge("paceline_line_item_budget_micros", *labels)
    planned = now.gauge("paceline_line_item_planned_micros", *labels, absent=-1.0)
    return LineItem(
        campaign=labels[0],
        line_item=labels[1],
        budget=budget or None,
        used=round(budget * now.gauge("paceline_line_item_utilisation_ratio", *labels)) if budget else None,
        planned=planned if budget and planned >= 0 else None,
        spent=spent,
        reserved=now.gauge("paceline_line_item_reserved_micros", *labels),
        pace_error=round(now.gauge("paceline_line_item_pace_error_ratio", *labels), 4),
        multiplier=round(now.gauge("paceline_line_item_multiplier_ratio", *labels), 4),
        rate=round(rates.get(line_key(*labels), 0.0) * 60),
    )


def _reasons(look: Look) -> Reasons:
    losses = look.rates("paceline_loss_reasons_total", WINDOW_S)
    return Reasons(
        outcomes=_ranked(look.rates("paceline_outcomes_total", WINDOW_S)),
        drops=_ranked(look.rates("paceline_drops_total", WINDOW_S)),
        losses=_ranked({_loss(code): rate for code, rate in losses.items()}),
    )


def _loss(code: str) -> str:
    """A loss reason's words; an exchange's own number as it is."""
    try:
        return LossReason(int(code)).name.lower()
    except ValueError:
        return code


def _stores(look: Look) -> Stores:
    now, reads = look.now, look.rates("paceline_people_reads_total", WINDOW_S)
    asked, name = look.rate("paceline_people_asked_total", WINDOW_S), "paceline_people_read_seconds"
    failed = sum(rate for status, rate in reads.items() if status not in ("ok", "skipped"))
    tried = sum(rate for status, rate in reads.items() if status != "skipped")
    lag = look.quantile_ms("paceline_notice_lag_seconds", 0.99)
    return Stores(
        breaker=int(now.gauge("paceline_people_breaker_state")),
        reads=round(tried, 1),
        failed_share=round(failed / tried, 4) if tried else 0.0,
        found_share=round(look.rate("paceline_people_found_total", WINDOW_S) / asked, 4) if asked else None,
        read_p50_ms=look.quantile_ms(name, 0.5),
        read_p99_ms=look.quantile_ms(name, 0.99),
        ledger_up=not now.gauge("paceline_ledger_down"),
        lag_p99_ms=lag,
        spool_bytes=now.gauge("paceline_spool_bytes"),
        journal_age_s=look.age_s("paceline_journal_archived_timestamp_seconds"),
    )


def _workers(look: Look) -> Workers:
    now, cpu = look.now, look.rates("paceline_process_cpu_seconds_total")
    return Workers(
        up=int(sum(now.all_of("paceline_worker_up").values())),
        configured=int(now.gauge("paceline_workers_configured")),
        failing=int(now.gauge("paceline_workers_failing")),
        restarts=sum(now.counters["paceline_worker_restarts_total"].values()),
        processes=[
            Process(name, resident, round(cpu.get(name, 0.0), 3))
            for (name,), resident in sorted(now.all_of("paceline_process_resident_memory_bytes").items())
        ],
    )


def _campaigns(look: Look) -> Campaigns:
    now = look.now
    return Campaigns(
        line_items=now.gauge("paceline_line_items"),
        loaded_age_s=look.age_s("paceline_campaigns_loaded_timestamp_seconds"),
        reload_failed=bool(now.gauge("paceline_campaigns_reload_failed")),
        catalogue_age_s=now.most("paceline_catalogue_age_seconds") or None,
        rates_age_s=look.age_s("paceline_rates_date_seconds"),
        rates_shipped=now.most("paceline_rates_date_seconds") == _shipped_rates_s(),
    )


@functools.cache
def _shipped_rates_s() -> float:
    """The date of the exchange rates that come with this version."""
    return datetime.combine(load_rates().as_of, time(), UTC).timestamp()


def _people(look: Look) -> People:
    consent = look.rates("paceline_consent_total", WINDOW_S)
    requests = look.rate("paceline_requests_total", WINDOW_S)
    marked = look.rates("paceline_invalid_traffic_requests_total", WINDOW_S)
    return People(consent=_shares(consent, sum(consent.values())), invalid=_shares(marked, requests))


def _shares(rates: Sums, whole: float) -> Ranked:
    return [(name, round(rate / whole, 5)) for name, rate in sorted(rates.items())] if whole else []


def _ranked(rates: Sums) -> Ranked:
    """Those that happen, the most frequent first; what is beyond REASONS is left out."""
    found = sorted(
        ((name, rate) for name, rate in rates.items() if rate), key=lambda item: (-item[1], item[0])
    )
    return [(name, round(rate, 3)) for name, rate in found[:REASONS]]
