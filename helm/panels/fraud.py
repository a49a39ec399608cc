"""Invalid traffic: how much, why, from where, and how fresh the lists are."""

from typing import Final

from helm.panels.sketch import EXCHANGE, Panel, Query, Section, Sheet, by, figure, now, rate, share

_SUSPECTED: Final = "paceline_invalid_traffic_requests_total"

SHEET: Final = Sheet(
    uid="paceline-fraud",
    title="Paceline / Invalid traffic",
    about="Requests, beacons and clicks that are suspected not to be people's, by reason and by source.",
    by_exchange=True,
    sections=(
        Section(
            "How much",
            (
                figure(
                    "Suspected, of all requests",
                    share(rate(_SUSPECTED, where=EXCHANGE), rate("paceline_requests_total", where=EXCHANGE)),
                    "percentunit",
                ),
                figure(
                    "Filtered, of all requests",
                    share(
                        rate(_SUSPECTED, where=f'{EXCHANGE},action="filtered"'),
                        rate("paceline_requests_total", where=EXCHANGE),
                    ),
                    "percentunit",
                ),
                figure("Suspect notices", rate("paceline_suspect_notices_total", where=EXCHANGE), "ops"),
            ),
        ),
        Section(
            "Why and where",
            (
                by("By exchange", _SUSPECTED, "exchange", "action", where=EXCHANGE),
                by("By reason", "paceline_invalid_traffic_reasons_total", "reason", "action", where=EXCHANGE),
                Panel(
                    title="Sources with the most",
                    queries=(
                        Query(
                            "topk(20, "
                            + rate(
                                "paceline_invalid_traffic_source_requests_total",
                                "publisher",
                                "place",
                                where=EXCHANGE,
                            )
                            + ")",
                            "{{publisher}} {{place}}",
                        ),
                    ),
                    unit="ops",
                    about="`paceline fraud report` lists all of them.",
                ),
                by(
                    "Suspect beacons and clicks",
                    "paceline_suspect_notices_total",
                    "kind",
                    "mark",
                    where=EXCHANGE,
                ),
            ),
        ),
        Section(
            "Lists",
            (
                Panel(
                    title="Entries",
                    queries=(Query(now("paceline_fraud_list_entries", "list"), "{{list}}"),),
                ),
                Panel(
                    title="Lines that could not be read",
                    queries=(Query(now("paceline_fraud_list_problems", "list"), "{{list}}"),),
                    red_above=0,
                ),
                by("Files of sellers asked for", "paceline_fraud_fetches_total", "result"),
            ),
        ),
    ),
)
