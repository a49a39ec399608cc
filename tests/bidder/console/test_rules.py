"""Whether all is well: every rule finds its fault, and no other; and nothing where all is well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
import yaml

from bidder.campaigns.rates import load_rates
from bidder.console.rules import RULES, Rule
from bidder.console.shapes import State
from tests.bidder.console.samples import Service

DAY_S = 86_400.0
ALERTS = Path(__file__).resolve().parents[3] / "helm" / "paceline" / "rules" / "alerts.yaml"


def after(change: Callable[[Service], None]) -> State:
    """Some traffic, a change, and then a second of traffic, unless the change is that there is none."""
    service = Service()
    service.serve(3)
    change(service)
    if change not in (silent, unbid):
        service.serve(1)
    return service.view.look(service.now_s + 0.5)


def silent(service: Service) -> None:
    service.now_s += 70
    for _ in range(62):
        service.now_s += 1
        service.view.look(service.now_s)


def unbid(service: Service) -> None:
    service.now_s += 70
    service.serve(62, bids=0)


def late(count: int) -> Callable[[Service], None]:
    return lambda service: service.add("paceline_slo_answers_total", count, "google", "bad")


def counted(name: str, *labels: str) -> Callable[[Service], None]:
    return lambda service: service.add(name, 1, *labels)


def gauge(name: str, value: float, *labels: str) -> Callable[[Service], None]:
    return lambda service: service.set(name, value, *labels)


def ages(name: str, seconds: float) -> Callable[[Service], None]:
    return lambda service: service.set(name, service.now_s - seconds)


def both_down(service: Service) -> None:
    for slot in "01":
        service.set("paceline_worker_up", 0, slot)


def failing_reads(service: Service) -> None:
    service.add("paceline_people_reads_total", 90, "ok")
    service.add("paceline_people_reads_total", 10, "late")


def full(service: Service) -> None:
    service.set("paceline_memory_limit_bytes", 100)
    service.set("paceline_process_resident_memory_bytes", 90, "worker-0")


def ending(days: float) -> Callable[[Service], None]:
    return lambda service: service.set(
        "paceline_tls_expiry_timestamp_seconds", service.now_s + days * DAY_S, "ops"
    )


FAULTS: dict[str, Callable[[Service], None]] = {
    "NoWorkerReady": both_down,
    "Overspent": gauge("paceline_wallet_overspent_micros", 1, "shop"),
    "LedgerDown": gauge("paceline_ledger_down", 1),
    "NoticesNotKept": counted("paceline_spool_records_total", "memory"),
    "WorkersFailing": gauge("paceline_workers_failing", 1),
    "DeadlinesMissedFast": late(2_000),
    "NoBids": unbid,
    "CertificateExpires": ending(1),
    "PeopleStoreDown": gauge("paceline_people_breaker_state", 1),
    "WorkerDown": gauge("paceline_worker_up", 0, "1"),
    "WorkersRestarting": counted("paceline_worker_restarts_total", "0"),
    "WorkerHung": counted("paceline_workers_hung_total"),
    "DeadlinesMissed": late(20),
    "NoRequests": silent,
    "RequestFaults": counted("paceline_outcomes_total", "google", "fault"),
    "AnswersHeldBack": counted("paceline_self_check_faults_total"),
    "PublicFaults": counted("paceline_public_faults_total"),
    "LedgerClockOff": gauge("paceline_ledger_ahead_seconds", 30),
    "NoticesLag": lambda service: service.observe("paceline_notice_lag_seconds", {30.0: 10}),
    "JournalNotArchived": ages("paceline_journal_archived_timestamp_seconds", 1_000),
    "BookkeeperDown": gauge("paceline_bookkeeper_up", 0),
    "PaceOld": gauge("paceline_pace_age_seconds", 300),
    "CaretakerDown": gauge("paceline_caretaker_up", 0),
    "PeopleReadsFail": failing_reads,
    "PeopleReadsSlow": lambda service: service.observe("paceline_people_read_seconds", {0.018: 10}),
    "CampaignsReloadFailed": gauge("paceline_campaigns_reload_failed", 1),
    "CatalogueOld": gauge("paceline_catalogue_age_seconds", 2 * DAY_S, "shop"),
    "RatesOld": ages("paceline_rates_date_seconds", 15 * DAY_S),
    "RetentionViolated": gauge("paceline_retention_violations", 1, "p"),
    "EventsDropped": counted("paceline_events_dropped_total", "shop", "full"),
    "SeriesOverflow": counted("paceline_series_overflow_total"),
    "MemoryNearLimit": full,
    "CertificateExpiresSoon": ending(10),
}


def test_all_is_well() -> None:
    """A service that serves, and one that has just begun, have no fault."""
    state = after(lambda service: None)
    assert (state.level, state.findings) == ("ok", [])
    young = Service()
    assert young.view.look(young.now_s).findings == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.level != "note"], ids=lambda rule: rule.name)
def test_each_rule_finds_its_fault(rule: Rule) -> None:
    """And none of the others; the level is the rule's."""
    state = after(FAULTS[rule.name])
    assert [(each.rule, each.level) for each in state.findings] == [(rule.name, rule.level)]
    assert state.level == state.findings[0].level
    assert state.findings[0].text


def test_shipped_rates_are_a_note() -> None:
    """Those that came with the version are told when they are old, and all is well: a first look is no fault."""
    shipped_s = datetime.combine(load_rates().as_of, time(), UTC).timestamp()

    def look(service: Service) -> None:
        service.now_s = shipped_s + 20 * DAY_S
        service.view.look(service.now_s)
        service.set("paceline_rates_date_seconds", shipped_s)

    state = after(look)
    assert (state.level, [(each.rule, each.level) for each in state.findings]) == (
        "ok",
        [("RatesOld", "note")],
    )
    assert "20 days old" in state.findings[0].text


def test_less_than_a_minute_is_called_so() -> None:
    """Where nobody watched before, what is counted says of how many seconds it is."""
    service = Service()
    service.serve(3)
    service.add("paceline_worker_restarts_total", 1, "0")
    service.serve(1)
    state = service.view.look(service.now_s + 1)
    assert (state.minute_s, state.findings[0].text) == (4, "a worker died once in the last 4 seconds")
    service.serve(62)
    service.add("paceline_worker_restarts_total", 2, "0")
    state = service.view.look(service.now_s + 1)
    assert (state.minute_s, state.findings[0].text) == (60, "a worker died 2 times in the last minute")


def test_the_worst_comes_first() -> None:
    """Of several, what is broken stands on the first line."""

    def several(service: Service) -> None:
        FAULTS["RatesOld"](service)
        FAULTS["LedgerDown"](service)

    state = after(several)
    assert [each.rule for each in state.findings] == ["LedgerDown", "RatesOld"]
    assert state.level == "broken"


def test_rules_are_named_as_alerts_are() -> None:
    """So that each leads to its runbook."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert {rule.name for rule in RULES} <= alerts
    assert len({(rule.name, rule.level) for rule in RULES}) == len(RULES)
