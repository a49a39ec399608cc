"""Is all well? Named rules, each of which looks at one thing now.

Place: state.py asks with each State; the page shows what they find on its first line.
Rule: names are those of the alerts, so each is a heading of helm/RUNBOOKS.md; an alert waits and speaks of hours, a
    rule speaks of this second or of the last minute, or of what is remembered of it. `broken`: no bids, money at
    risk, or an objective lost in hours; a `note` leaves all well.
Never: I/O.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from bidder.console.look import WINDOW_S, Look
from bidder.console.shapes import Finding, Level, State

OBJECTIVE: Final = 0.01
FAST_BURN: Final = 14.4
"""So many times the objective's share of bad answers spend a month's in two days."""
FEW: Final = 1.0
"""Requests a second below which shares say nothing."""
DAY_S: Final = 86_400.0
ORDER: Final[tuple[Level, ...]] = ("broken", "attention", "note", "ok")


class Rule(NamedTuple):
    """One rule; `tell` gives its words, empty where all is well."""

    name: str
    level: Level
    tell: Callable[[State, Look], str]


def findings(state: State, look: Look) -> list[Finding]:
    """What is wrong, the worst first."""
    found = [Finding(rule.name, rule.level, text) for rule in RULES if (text := rule.tell(state, look))]
    return sorted(found, key=lambda finding: ORDER.index(finding.level))


def worst(found: Iterable[Finding]) -> Level:
    """The level of all together."""
    levels = {finding.level for finding in found} - {"note"}
    return "broken" if "broken" in levels else "attention" if levels else "ok"


def bad_share(look: Look) -> float:
    """Of the last minute's answers: late, or not given for want of capacity or by a fault of ours (web/counts.py)."""
    answers = look.counted("paceline_slo_answers_total", WINDOW_S)
    total = sum(answers.values())
    return answers.get("bad", 0.0) / total if total else 0.0


def _none_ready(state: State, _: Look) -> str:
    workers = state.workers
    return "" if workers.up or not workers.configured else "no worker takes requests"


def _some_missing(state: State, _: Look) -> str:
    workers = state.workers
    return (
        f"{workers.up} of {workers.configured} workers are ready"
        if 0 < workers.up < workers.configured
        else ""
    )


def _failing(state: State, _: Look) -> str:
    failing = state.workers.failing
    return f"{failing} worker{'s die' if failing > 1 else ' dies'} again and again" if failing else ""


def _restarting(_: State, look: Look) -> str:
    count = _counted(look, "paceline_worker_restarts_total")
    return f"a worker died {_times(count)} {_lately(look)}" if count else ""


def _hung(_: State, look: Look) -> str:
    return "a worker hung and was killed" if _counted(look, "paceline_workers_hung_total") else ""


def _deadlines_fast(state: State, look: Look) -> str:
    return _deadlines(state, look) if state.traffic.bad_share > FAST_BURN * OBJECTIVE else ""


def _deadlines_slow(state: State, look: Look) -> str:
    return _deadlines(state, look) if OBJECTIVE < state.traffic.bad_share <= FAST_BURN * OBJECTIVE else ""


def _deadlines(state: State, look: Look) -> str:
    enough = look.rate("paceline_requests_total", WINDOW_S) > FEW
    return (
        f"{_percent(state.traffic.bad_share)} of requests are answered late or not decided" if enough else ""
    )


def _no_requests(state: State, look: Look) -> str:
    idle = (
        state.workers.up and look.remembers(WINDOW_S) and not look.rate("paceline_requests_total", WINDOW_S)
    )
    return "no request came in the last minute" if idle else ""


def _no_bids(_: State, look: Look) -> str:
    if not look.remembers(WINDOW_S) or look.rate("paceline_requests_total", WINDOW_S) <= FEW:
        return ""
    return (
        ""
        if look.rate("paceline_bids_total", WINDOW_S)
        else "requests come, and none was bid on in the last minute"
    )


def _faults(_: State, look: Look) -> str:
    count = look.counted("paceline_outcomes_total", WINDOW_S).get("fault", 0)
    return f"{_many(count, 'request')} failed by a fault of ours: the log has its traceback" if count else ""


def _held_back(_: State, look: Look) -> str:
    count = _counted(look, "paceline_self_check_faults_total")
    return f"our own check held back {_many(count, 'answer')}" if count else ""


def _public_faults(_: State, look: Look) -> str:
    return "the public port answered 500" if _counted(look, "paceline_public_faults_total") else ""


def _overspent(state: State, _: Look) -> str:
    return "more was spent than there was" if state.money.overspent > 0 else ""


def _ledger_down(state: State, _: Look) -> str:
    return "" if state.stores.ledger_up else "the ledger does not answer: bids end when leases do"


def _clock_off(_: State, look: Look) -> str:
    ahead_s = look.now.most("paceline_ledger_ahead_seconds")
    return f"the ledger's clock is {ahead_s:.0f} s ahead" if ahead_s > 20 else ""


def _not_kept(_: State, look: Look) -> str:
    counted = look.counted("paceline_spool_records_total", WINDOW_S)
    count = sum(counted.get(kept, 0) for kept in ("memory", "refused", "lost"))
    return f"{_many(count, 'notice')} found no room on disk" if count else ""


def _lag(state: State, _: Look) -> str:
    lag_ms = state.stores.lag_p99_ms or 0
    return f"notices are charged {lag_ms / 1_000:.0f} s after they came" if lag_ms > 15_000 else ""


def _journal(state: State, _: Look) -> str:
    age_s = state.stores.journal_age_s or 0
    return f"the ledger's journal was last archived {_span(age_s)} ago" if age_s > 900 else ""


def _bookkeeper(_: State, look: Look) -> str:
    return _helper(look, "bookkeeper", "nobody paces and archives")


def _caretaker(_: State, look: Look) -> str:
    return _helper(look, "caretaker", "chores wait")


def _helper(look: Look, name: str, so: str) -> str:
    down = not look.now.gauge(f"paceline_{name}_up", absent=1.0)
    return f"the {name} does not run: {so}" if down else ""


def _pace_old(state: State, _: Look) -> str:
    age_s = state.money.pace_age_s
    return f"the pace is {_span(age_s)} old: line items spend uncorrected" if age_s > 240 else ""


def _breaker(state: State, _: Look) -> str:
    return "the people's store does not answer: everybody is a stranger" if state.stores.breaker else ""


def _reads_fail(state: State, _: Look) -> str:
    share = state.stores.failed_share
    failing = share > 0.05 and not state.stores.breaker
    return f"{_percent(share)} of reads of people fail or come late" if failing else ""


def _reads_slow(state: State, _: Look) -> str:
    slow_ms = state.stores.read_p99_ms or 0
    return f"1 in 100 reads of people takes longer than {slow_ms:.0f} ms" if slow_ms > 10 else ""


def _campaigns_bad(state: State, _: Look) -> str:
    return "campaign files are bad: the last good ones stay live" if state.campaigns.reload_failed else ""


def _catalogue_old(state: State, _: Look) -> str:
    age_s = state.campaigns.catalogue_age_s or 0
    return f"a product catalogue is {_span(age_s)} old" if age_s > 1.5 * DAY_S else ""


def _rates_old(state: State, _: Look) -> str:
    age_s = state.campaigns.rates_age_s or 0
    old = age_s > 14 * DAY_S and not state.campaigns.rates_shipped
    return f"exchange rates are {_span(age_s)} old" if old else ""


def _rates_shipped(state: State, _: Look) -> str:
    age_s = state.campaigns.rates_age_s or 0
    old = age_s > 14 * DAY_S and state.campaigns.rates_shipped
    return (
        f"exchange rates are those that came with this version, {_span(age_s)} old: good for a first look; "
        "the setting rates names a file of your own"
        if old
        else ""
    )


def _retention(_: State, look: Look) -> str:
    count = sum(look.now.all_of("paceline_retention_violations").values())
    return f"{_many(count, 'record')} could have outlived their days" if count else ""


def _dropped(_: State, look: Look) -> str:
    counted = look.counted("paceline_events_dropped_total", WINDOW_S)
    count = counted.get("full", 0) + counted.get("disk", 0)
    return (
        f"{_many(count, 'event')} {'was' if count == 1 else 'were'} not recorded {_lately(look)}"
        if count
        else ""
    )


def _overflow(_: State, look: Look) -> str:
    return "counters have no room for more series" if _counted(look, "paceline_series_overflow_total") else ""


def _memory(state: State, look: Look) -> str:
    limit = look.now.gauge("paceline_memory_limit_bytes")
    share = sum(process.resident_bytes for process in state.workers.processes) / limit if limit else 0.0
    return f"{_percent(share)} of the memory is in use" if share > 0.85 else ""


def _certificate(_: State, look: Look) -> str:
    left_s = _left_s(look)
    return f"a certificate ends in {_span(left_s)}" if 2 * DAY_S <= left_s < 14 * DAY_S else ""


def _certificate_ends(_: State, look: Look) -> str:
    left_s = _left_s(look)
    return (
        f"a certificate {f'ends in {_span(left_s)}' if left_s > 0 else 'has ended'}"
        if left_s < 2 * DAY_S
        else ""
    )


def _left_s(look: Look) -> float:
    ends = look.now.all_of("paceline_tls_expiry_timestamp_seconds").values()
    return min(ends) - look.now.at_s if ends else 1_000 * DAY_S


def _counted(look: Look, name: str) -> float:
    return sum(look.counted(name, WINDOW_S).values())


def _lately(look: Look) -> str:
    """The last minute, or what is remembered of it."""
    whole = look.remembers(WINDOW_S)
    return "in the last minute" if whole else f"in the last {_span(look.reach_s(WINDOW_S))}"


def _percent(share: float) -> str:
    """As the page's tiles write it."""
    return f"{share * 100:.0f} %" if share >= 0.1 else f"{share * 100:.2f} %"


def _many(count: float, noun: str) -> str:
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def _times(count: float) -> str:
    return "once" if count == 1 else f"{count:,.0f} times"


def _span(seconds: float) -> str:
    for unit, word in ((DAY_S, "day"), (3_600.0, "hour"), (60.0, "minute")):
        if seconds >= unit:
            return _many(seconds // unit, word)
    return _many(seconds, "second")


RULES: Final = (
    Rule("NoWorkerReady", "broken", _none_ready),
    Rule("Overspent", "broken", _overspent),
    Rule("LedgerDown", "broken", _ledger_down),
    Rule("NoticesNotKept", "broken", _not_kept),
    Rule("WorkersFailing", "broken", _failing),
    Rule("DeadlinesMissedFast", "broken", _deadlines_fast),
    Rule("NoBids", "broken", _no_bids),
    Rule("CertificateExpires", "broken", _certificate_ends),
    Rule("PeopleStoreDown", "attention", _breaker),
    Rule("WorkerDown", "attention", _some_missing),
    Rule("WorkersRestarting", "attention", _restarting),
    Rule("WorkerHung", "attention", _hung),
    Rule("DeadlinesMissed", "attention", _deadlines_slow),
    Rule("NoRequests", "attention", _no_requests),
    Rule("RequestFaults", "attention", _faults),
    Rule("AnswersHeldBack", "attention", _held_back),
    Rule("PublicFaults", "attention", _public_faults),
    Rule("LedgerClockOff", "attention", _clock_off),
    Rule("NoticesLag", "attention", _lag),
    Rule("JournalNotArchived", "attention", _journal),
    Rule("BookkeeperDown", "attention", _bookkeeper),
    Rule("PaceOld", "attention", _pace_old),
    Rule("CaretakerDown", "attention", _caretaker),
    Rule("PeopleReadsFail", "attention", _reads_fail),
    Rule("PeopleReadsSlow", "attention", _reads_slow),
    Rule("CampaignsReloadFailed", "attention", _campaigns_bad),
    Rule("CatalogueOld", "attention", _catalogue_old),
    Rule("RatesOld", "attention", _rates_old),
    Rule("RatesOld", "note", _rates_shipped),
    Rule("RetentionViolated", "attention", _retention),
    Rule("EventsDropped", "attention", _dropped),
    Rule("SeriesOverflow", "attention", _overflow),
    Rule("MemoryNearLimit", "attention", _memory),
    Rule("CertificateExpiresSoon", "attention", _certificate),
)
