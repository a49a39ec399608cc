"""Alerts on real processes: each fault is done to the running service, Prometheus sees it, the Alertmanager is told,
and is told again when it is over.

Rule: the rules are the shipped ones with their times divided by FACTOR (test_rules proves that nothing else differs).
    Faults follow each other in one run. What takes days or volumes, what only a bug of ours can cause, and what
    belongs to the machine (its clock, its memory) is shown by unit tests alone: see ELSEWHERE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.operations.prometheus import Watch
from tests.operations.rules import ROUTES, alerts, load
from tests.operations.stage import DEAR_TMAX_MS, SETTINGS, SLOW_S, Stage, book, short_rules
from tests.servers import RealServer
from tests.service.client import bid_request
from tests.service.people import SlowLine, remember, slow_line, visitor_request
from tests.service.service import started

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]

ROBOT = {
    "ua": "Googlebot/2.1 (+http://www.google.com/bot.html)",
    "ip": "192.0.2.1",
    "geo": {"country": "USA"},
}
OVERSPENT = ("Overspent",)
PACING = ("PacingOffPlanFast", "PacingOffPlan")
DISK = ("NoticesNotKept", "EventsDiskNearlyFull", "EventsDropped")
PEOPLE = ("PeopleStoreDown", "PeopleReadsFail", "ChoresFail")
CALLERS = ("InvalidTrafficJumps", "CallersLimited")
QUIET = ("NoRequests", "BookkeeperDown", "CaretakerDown", "WorkerHung", "WorkersFailing", "WorkerDown")
DEAD = ("NoWorkerReady", "WorkersRestarting", "RetentionViolated")
ABSENT = ("InstanceDown", "PacelineAbsent")
LEDGER = ("LedgerDown", "PaceOld", "JournalNotArchived", "SpoolGrows", "NoticesLag")
LOAD = ("PeopleReadsSlow", "LatencyNearDeadline", "RequestsShed", "DeadlinesMissedFast", "DeadlinesMissed")
BOOK_FAULTS = ("CampaignsReloadFailed", "NoBids")
SHOWN = {
    *OVERSPENT, *PACING, *DISK, *PEOPLE, *CALLERS, "DescriptorsNearLimit", *QUIET, *DEAD, *ABSENT, *LEDGER, *LOAD,
    *BOOK_FAULTS,
}  # fmt: skip
BUSY = {*LOAD, "PeopleReadsFail", "NoticesLag", "PaceOld"}
"""What a machine that is too busy for this test brings about by itself: it is over when the traffic is."""
ELSEWHERE = {
    "days": {
        "DeadlinesMissedSlowly", "DeadlinesMissedSteadily", "PacingOffPlanSlowly", "PacingOffPlanSteadily",
        "WinRateCollapses", "MoneyStranded", "CampaignsOld", "CatalogueOld", "RatesOld", "ChoresOverdue",
        "RetentionSweepOverdue", "ErasuresWait",
    },
    "test_alerts_certificates": {"CertificateExpiresSoon", "CertificateExpires", "CertificateReloadFailed"},
    "a bug of ours": {"RequestFaults", "AnswersHeldBack", "PublicFaults"},
    "a release that does not start": {"RollingRestartFailed"},
    "the machine": {"LedgerClockOff", "MemoryNearLimit"},
    "65,536 series": {"SeriesOverflow"},
}  # fmt: skip


def test_every_alert_is_shown_somewhere() -> None:
    """Each is either caused here, or named with the reason why it is not."""
    elsewhere = set().union(*ELSEWHERE.values())
    assert SHOWN.isdisjoint(elsewhere)
    assert SHOWN | elsewhere == {alert.name for alert in alerts()}


async def test_each_alert_fires_on_its_fault_and_clears(tmp_path: Path, watch: Callable[..., Watch]) -> None:
    """Stores killed and slow, disks full, processes killed again and again or standing still, bad files, robots, more
    than can be decided: the Alertmanager receives each alert, and each is over when its fault is."""
    with ExitStack() as held:
        people, ledger = (RealServer(tmp_path / name) for name in ("people", "ledger"))
        for server in (people, ledger):
            server.start()
            held.callback(server.close)
        await remember(people.url)
        campaigns = tmp_path / "book.yaml"
        campaigns.write_text(book())
        async with slow_line(people.port) as line:
            url = f"redis://127.0.0.1:{line.port}/0"
            running = started(
                tmp_path / "data",
                redis_url=url,
                ledger_url=ledger.url,
                campaigns=campaigns,
                workers=2,
                settings=SETTINGS,
            )
            service = held.enter_context(running)
            rules = short_rules(tmp_path)
            seen = await asyncio.to_thread(watch, service.ports["ops"], rules, quiet(load(ROUTES)))
            stage = Stage(service, seen, people, ledger)
            following = asyncio.create_task(stage.log.follow())
            try:
                await run(stage, line)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)


def quiet(routes: dict[str, list[dict[str, object]]]) -> dict[str, object]:
    """The example's routes and inhibitions, with nobody to tell."""
    return routes | {"receivers": [{"name": receiver["name"]} for receiver in routes["receivers"]]}


async def run(stage: Stage, line: SlowLine) -> None:
    """All faults, one after the other; every alert is over at the end."""
    log = stage.log
    async with stage.traffic():
        await stage.holds("paceline:requests:rate5m > 10 and paceline:bids:rate5m > 10")
        await log.clear(ABSENT)
        log.forget()
        await stage.holds("min_over_time(paceline:bids:rate5m[5s]) > 10")
        assert not (SHOWN - BUSY) & set(log.seen), "in order, nothing fires"
        await strangers(stage)
    await quiet_hours(stage)
    async with stage.traffic():
        await no_ledger(stage)
        await overload(stage, line)
        await log.clear(SHOWN - BUSY)
    await log.clear(SHOWN - {"NoRequests"})
    for alert in log.seen.values():
        text = " ".join(alert.annotations.values())
        assert "<no value>" not in text, text
        assert "error" not in alert.annotations["summary"], text


async def strangers(stage: Stage) -> None:
    """No people's store, no disk; forged books, a plan that nobody can follow, robots and scripts."""
    log = stage.log
    stage.put(book(flight_s=20.0))
    robots = bid_request(2, device=ROBOT)
    async with stage.crowd([robots], 50), stage.caller("/nothing", 80):
        stage.people.kill()
        with stage.forged_books():
            await log.fire(*OVERSPENT)
        async with stage.no_disk():
            await log.fire(*DISK)
        await log.fire(*PEOPLE, *CALLERS, *PACING)
    stage.people.restart()
    await log.clear([*OVERSPENT, *DISK, "PeopleStoreDown", "CallersLimited"])


async def quiet_hours(stage: Stage) -> None:
    """Nobody asks; one worker may open no more files; one stands still, the other dies again and again, and so do
    bookkeeper and caretaker; at last all die, and then the supervisor stands still."""
    service, log = stage.service, stage.log
    service.look()
    stage.live_for_ever()
    with stage.few_descriptors():
        await log.fire("DescriptorsNearLimit")
    still = service.workers()[0]
    with stage.stopped(still):
        async with stage.killed("worker", but=still), stage.killed("bookkeeper"), stage.killed("caretaker"):
            await log.fire(*QUIET)
    async with stage.killed("worker"):
        await log.fire("NoWorkerReady", "WorkersRestarting")
    await log.fire(*DEAD)
    with stage.stopped(service.process.pid):
        await log.fire(*ABSENT)
        await log.wait(lambda: "InstanceDown" in log.suppressed, lambda: "InstanceDown to be inhibited")
    await log.clear(ABSENT)
    await asyncio.to_thread(service.until_ready, 2)
    service.hang_up()
    await log.clear(["NoWorkerReady", "WorkersFailing", "WorkerDown", "BookkeeperDown", "CaretakerDown"])
    await log.clear(["RetentionViolated"])


async def no_ledger(stage: Stage) -> None:
    """The ledger is killed for 18 s, in which notices go on to come; then it is back. The new workers have money of it
    before: who has none bids nothing, and gets no notices."""
    await stage.holds("min_over_time(paceline:bids:rate5m[5s]) > 10")
    stage.ledger.kill()
    await stage.log.fire(*set(LEDGER) - {"NoticesLag"})
    await stage.holds(
        "min_over_time(paceline_ledger_down[18s]) == 1 and count_over_time(paceline_ledger_down[18s]) > 12"
    )
    stage.ledger.restart()
    await stage.log.fire("NoticesLag")
    await stage.log.clear({*LEDGER, "NoRequests"} - BUSY)


async def overload(stage: Stage, line: SlowLine) -> None:
    """Reads of people take most of a request's time, and more comes than workers may have in hand; campaign files are
    bad, and then suit nobody."""
    stage.put(book().replace("kind: cpm", "kind: cpx"))
    line.delay_s = SLOW_S
    bodies = [visitor_request(tmax=DEAR_TMAX_MS), visitor_request()]
    async with stage.crowd(bodies, 300, clients=64):
        await stage.log.fire("CampaignsReloadFailed")
        stage.put(book(elsewhere=True))
        await stage.log.fire(*LOAD, *BOOK_FAULTS)
    line.delay_s = 0.0
    stage.put(book())
