"""Whether the books of a run agree: inside the service, between it and the exchanges, and with the ledger.

Place: summary.py shows and reports them; one that does not hold makes the demo end with an error.
"""

from __future__ import annotations

from msgspec import Struct

from benchmarks.demo.ledger import Proof
from benchmarks.demo.readings import Metrics, Reading
from benchmarks.exchange.report import VIOLATIONS, Totals


class Check(Struct, frozen=True):
    """Two numbers that must be equal."""

    name: str
    left: int
    right: int
    detail: str = ""
    """Of how many, or what is wrong."""

    @property
    def holds(self) -> bool:
        """Whether they are."""
        return self.left == self.right


def checks(reading: Reading) -> list[Check]:
    """All of them; a run whose ledger was not proven has a check that does not hold."""
    totals = reading.totals
    return [
        *_counts(totals, reading.metrics),
        *_views(totals),
        *_people(reading),
        *_money(totals, reading.proofs),
    ]


def _counts(totals: Totals, metrics: Metrics) -> list[Check]:
    """Conservation, inside the service and between it and the exchanges."""
    total = metrics.total
    drops = total("paceline_drops_total")
    return [
        Check("requests sent = requests received", totals.requests, total("paceline_requests_total")),
        Check(
            "requests received = sum of outcomes",
            total("paceline_requests_total"),
            total("paceline_outcomes_total"),
        ),
        Check(
            "candidates = drops + bids",
            total("paceline_candidates_total"),
            drops + total("paceline_line_item_bids_total"),
        ),
        Check("bids received = bids sent", totals.bids, total("paceline_line_item_bids_total")),
        Check(
            "beacons fetched = impressions", totals.impressions, total("paceline_line_item_impressions_total")
        ),
        Check("billed = charged, each once", totals.billed, total("paceline_clearing_prices_total")),
        Check("clicks made = clicks counted", totals.clicks, total("paceline_line_item_clicks_total")),
        Check("errors inside the service = 0", total("paceline_outcomes_total", outcome="fault"), 0),
    ]


def _views(totals: Totals) -> list[Check]:
    beyond = totals.cap_violations
    detail = f"of {totals.capped_views:,} views under a cap"
    return [Check("cap violations = 0", sum(beyond.values()), 0, "; ".join(sorted(beyond)[:3]) or detail)]


def _people(reading: Reading) -> list[Check]:
    """What people did and saw, beside what the service counted; and what must not happen to anybody."""
    people, seen = reading.totals.people, reading.society
    wrong = {words: getattr(people, name) for name, words in VIOLATIONS.items()}
    named = [f"{words}: {count}" for words, count in wrong.items() if count]
    watched = f"in {people.visits:,} visits, {people.drawn:,} ads, {people.crawlers:,} crawls"
    by_mistake = max(0, seen.filtered - people.robots_unanswered)
    return [
        Check("shop visits made = counted", people.visits, seen.visits, f"{people.visitors:,} people"),
        Check("product ads looked at = drawn", people.drawn + people.brand, seen.drawn),
        Check("wrongs done to people = 0", sum(wrong.values()), 0, "; ".join(named[:3]) or watched),
        Check("people taken for robots = 0", by_mistake, 0, f"of {seen.filtered:,} requests filtered"),
        *_residue(reading),
    ]


def _residue(reading: Reading) -> list[Check]:
    people, found = reading.totals.people, reading.society.residue
    if found is None:
        return [Check("store of people looked through", 0, 1, "it was not asked")]
    left = people.erased + people.opted_out
    return [
        Check(
            "known again though they left = 0",
            len(found.again),
            0,
            "; ".join(found.again[:2]) or f"of {left} people who left",
        ),
        Check(
            "known without having agreed = 0",
            len(found.strangers),
            0,
            ", ".join(found.strangers[:2]) or f"of {found.people:,} people",
        ),
    ]


def _money(totals: Totals, proofs: tuple[Proof, ...]) -> list[Check]:
    if not proofs:
        return [Check("ledger proven from its journal", 0, 1, "it was not asked")]
    over = {f"{proof.advertiser} {name}": more for proof in proofs for name, more in proof.overspend.items()}
    beyond = [name for name, more in over.items() if more]
    findings = [finding for proof in proofs for finding in proof.findings]
    entries = f"of {sum(proof.entries for proof in proofs):,} entries"
    return [
        Check(
            "spent beyond a budget = 0",
            sum(over.values()),
            0,
            ", ".join(beyond[:3]) or f"of {len(over)} budgets",
        ),
        Check("findings in the ledger's audit = 0", len(findings), 0, "; ".join(findings[:3]) or entries),
        *(
            Check(
                f"{proof.name}: ledger = bills",
                proof.spent + proof.absorbed,
                totals.due_micros.get(proof.advertiser, 0),
                f"{proof.currency} micros"
                + (f", {proof.absorbed:,} of them late and absorbed" if proof.absorbed else ""),
            )
            for proof in proofs
        ),
    ]
