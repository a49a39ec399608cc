"""Exchange traffic and its service levels: what comes in, what becomes of it, whether it is in time."""

from typing import Final

from helm.panels.sketch import EXCHANGE, Panel, Query, Section, Sheet, by, counters, figure, now, rate, share

_SEEN: Final = "paceline_slo_answers_total"
_BURN: Final = tuple(
    Query(f"paceline:deadline_errors:ratio_rate{window} / 0.01", window)
    for window in ("5m", "1h", "6h", "3d")
)

SHEET: Final = Sheet(
    uid="paceline-traffic",
    title="Paceline / Exchange traffic and SLO",
    about="What exchanges send, what becomes of it, and whether 99 % of the answers are in time.",
    by_exchange=True,
    sections=(
        Section(
            "Now",
            (
                figure("Requests", rate("paceline_requests_total", where=EXCHANGE), "reqps"),
                figure("Bids", rate("paceline_bids_total", where=EXCHANGE), "ops"),
                figure(
                    "Answers in time",
                    share(rate(_SEEN, where=f'{EXCHANGE},result="good"'), rate(_SEEN, where=EXCHANGE)),
                    "percentunit",
                    red_below=0.99,
                ),
                figure(
                    "Error budget left of 3 days",
                    "1 - paceline:deadline_errors:ratio_rate3d / 0.01",
                    "percentunit",
                    about="The objective allows 1 % of bad answers; below nothing it is missed.",
                    red_below=0,
                ),
                figure(
                    "Workers ready",
                    f"{now('paceline_worker_up', of='sum')} / {now('paceline_workers_configured', of='sum')}",
                    "percentunit",
                    red_below=1,
                ),
                figure("Line items", now("paceline_line_items"), about="Live, in the index of a worker."),
            ),
        ),
        Section(
            "Service level",
            (
                Panel(
                    title="Burn rate of the error budget",
                    queries=_BURN,
                    about="1 uses the budget up exactly; 14.4 over an hour pages.",
                    red_above=14.4,
                ),
                Panel(
                    title="Bad answers, of all",
                    queries=(
                        Query(
                            share(
                                rate(_SEEN, "exchange", where=f'{EXCHANGE},result="bad"'),
                                rate(_SEEN, "exchange", where=EXCHANGE),
                            ),
                            "{{exchange}}",
                        ),
                    ),
                    unit="percentunit",
                    about="Late answers, and requests that were shed or ended by our own fault.",
                    red_above=0.01,
                ),
                by("Late answers", "paceline_late_answers_total", "exchange", where=EXCHANGE),
            ),
        ),
        Section(
            "Requests and what became of them",
            (
                by("Requests", "paceline_requests_total", "exchange", where=EXCHANGE, unit="reqps"),
                by(
                    "Outcomes",
                    "paceline_outcomes_total",
                    "outcome",
                    where=EXCHANGE,
                    about="Each request ends in exactly one; bidder/outcome.py names them.",
                ),
                by(
                    "Candidates that became no bid",
                    "paceline_drops_total",
                    "reason",
                    about="Line items that suited an impression, by the one reason that each fell out for.",
                ),
                counters(
                    "Candidates and faults of our own",
                    ("paceline_candidates_total", "candidates"),
                    ("paceline_self_check_faults_total", "answers held back by the self check"),
                ),
                by("Bids", "paceline_bids_total", "medium", "person", where=EXCHANGE),
                Panel(
                    title="Mean bid",
                    queries=(
                        Query(
                            f"{rate('paceline_bid_value_micros_total', 'currency')} / 1e6"
                            f" / on () group_left () ({rate('paceline_bids_total')} > 0)",
                            "{{currency}}",
                        ),
                    ),
                    about="CPM, bids of all currencies taken together in the divisor.",
                ),
            ),
        ),
        Section(
            "Auctions",
            (
                Panel(
                    title="Win rate",
                    queries=(
                        Query(
                            share(rate("paceline_line_item_wins_total"), rate("paceline_bids_total")),
                            "by win notices",
                        ),
                        Query(
                            share(rate("paceline_line_item_impressions_total"), rate("paceline_bids_total")),
                            "by impressions",
                        ),
                    ),
                    unit="percentunit",
                    about="Exchanges without win notices count by impressions alone.",
                ),
                by("Losses by reason", "paceline_loss_reasons_total", "reason", where=EXCHANGE),
                Panel(
                    title="Price to win, as a share of our bid",
                    queries=(
                        Query(
                            "histogram_quantile(0.5, "
                            + rate("paceline_minimum_to_win_ratio_bucket", "kind", "le", where=EXCHANGE)
                            + ")",
                            "{{kind}} p50",
                        ),
                    ),
                    unit="percentunit",
                ),
                by("How prices were found", "paceline_clearing_prices_total", "clearing", where=EXCHANGE),
                by("Notices, beacons and clicks", "paceline_notices_total", "kind", "result", width=12),
                Panel(
                    title="Bids, wins, impressions, clicks by line item",
                    queries=(
                        Query(
                            f"topk(10, {rate('paceline_line_item_bids_total', 'line_item')})",
                            "bids {{line_item}}",
                        ),
                        Query(
                            f"topk(10, {rate('paceline_line_item_clicks_total', 'line_item')})",
                            "clicks {{line_item}}",
                        ),
                        Query(
                            f"topk(10, {rate('paceline_line_item_events_total', 'line_item', 'event')})",
                            "{{event}} {{line_item}}",
                        ),
                    ),
                    unit="ops",
                    width=12,
                    about="The ten largest; line items beyond those that spend most are summed in `other`.",
                ),
            ),
        ),
        Section(
            "Connections",
            (
                Panel(
                    title="Open connections and requests in flight",
                    queries=(
                        Query(now("paceline_connections", of="sum"), "connections"),
                        Query(now("paceline_requests_in_flight", of="sum"), "requests in flight"),
                    ),
                ),
                counters(
                    "Connections made and refused",
                    ("paceline_connections_total", "accepted"),
                    ("paceline_connections_refused_total", "refused: too many"),
                    ("paceline_public_refused_total", "refused on the public port"),
                    ("paceline_public_slow_heads_total", "cut on the public port: slow"),
                ),
                by("Connections cut", "paceline_connections_cut_total", "why"),
                by("Ready checks", "paceline_ready_checks_total", "answer"),
                counters(
                    "Bytes",
                    ("paceline_exchange_received_bytes_total", "received"),
                    ("paceline_exchange_sent_bytes_total", "sent"),
                    unit="Bps",
                ),
                by("Answers of the public port", "paceline_public_responses_total", "status"),
                by(
                    "Calls of the public port refused for their rate", "paceline_public_limited_total", "kind"
                ),
                counters(
                    "Faults of the public port", ("paceline_public_faults_total", "faults"), red_above=0
                ),
            ),
        ),
    ),
)
