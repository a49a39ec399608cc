"""A scrape of all processes: what a restart keeps, how many series there are, and what line items' moves change."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bidder.auction.counts import AuctionCounts
from bidder.metrics import Metric, Tally
from bidder.settings import MetricRules
from bidder.supervisor.catalogue import catalogue
from bidder.supervisor.folder import Folder
from bidder.supervisor.scrape import Scrape
from bidder.web.counts import Counts
from bidder.web.exposition import Samples

SPEND = "paceline_line_item_spend_micros_total"
ROOT = Path(__file__).resolve().parents[3]
TOP = MetricRules().top_line_items


def scrape_of(paths: list[Path]) -> Scrape:
    """Of workers that have no processes here."""
    return Scrape([], {}, paths, dict)


def workers(folder: Path, count: int = 2) -> list[Path]:
    """The tally files of some workers."""
    return [folder / f"worker-{number}.tally" for number in range(count)]


def lines_of(text: bytes) -> list[str]:
    """Samples of a text."""
    return [line for line in text.decode().splitlines() if not line.startswith("#")]


def count(path: Path) -> None:
    """What the path of a bid counts, in a worker's tally."""
    tally = Tally(path)
    auction, port = AuctionCounts(tally), Counts(tally, "one")
    auction.intake(1_000_000, 3)
    tally.count("paceline_consent_total", "coppa", "personal", by=2)
    port.received_ns, port.deadline_ns, port.run, port.good = 0, 2_000_000, 5, 4
    port.end_run(tally.cells, 1_000_000)


def counted(samples: Samples) -> list[float]:
    """The same, as a scrape tells it."""
    return [
        samples["paceline_stage_seconds", ("intake",)]["sum"],
        samples["paceline_consent_total", ("coppa", "personal")][""],
        samples["paceline_slo_answers_total", ("one", "good")][""],
        samples["paceline_deadline_used_ratio", ("one",)]["sum"],
        samples["paceline_bid_latency_seconds", ("one",)]["sum"],
    ]


def count_and_die(path: Path) -> None:
    """A process counts and is killed at once."""
    code = "import sys, pathlib; from tests.bidder.supervisor.test_scrape import count; "
    code += "count(pathlib.Path(sys.argv[1])); print('counted', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        assert child.stdout.readline() == b"counted\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()


def test_a_restarted_worker_loses_no_counter(tmp_path: Path) -> None:
    """Killed right after it counted: all of it is in the next scrape, and its successor goes on from there."""
    paths = workers(tmp_path)
    scrape = scrape_of(paths)
    count_and_die(paths[0])
    once = counted(scrape.samples())
    assert once == pytest.approx([0.003, 2, 4, 2.5, 0.005])
    count(paths[0])
    assert counted(scrape.samples()) == pytest.approx([2 * value for value in once])
    count(paths[1])
    assert counted(scrape.samples()) == pytest.approx([3 * value for value in once])


def test_a_supervisor_begins_anew(tmp_path: Path) -> None:
    """All counters at once are 0 again, which is a reset as any counter of Prometheus may have: none goes on from an
    old value beside others that do not."""
    folder = Folder(tmp_path)
    with folder.taken():
        Tally(folder.tally(0)).count(SPEND, "c", "l", by=7)
        assert scrape_of([folder.tally(0)]).samples()[SPEND, ("c", "l")] == {"": 7}
    with folder.taken():
        Tally(folder.tally(0))
        assert (SPEND, ("c", "l")) not in scrape_of([folder.tally(0)]).samples()


def test_series_are_bounded_however_many_line_items_there_are(tmp_path: Path) -> None:
    """Ten times as many line items as are shown, counted by two workers in every metric of line items: as many
    series as of those that are shown and one more; no more when others spend."""
    paths = workers(tmp_path)
    of_lines = [metric for metric in catalogue().values() if metric.labels[:2] == ("campaign", "line_item")]
    tallies = [Tally(path) for path in paths]
    for number in range(10 * TOP):
        for metric in of_lines:
            _count(tallies[number % 2], metric, f"l{number}", number)
    scrape = scrape_of(paths)
    text = scrape.text()
    shown = [line for line in lines_of(text) if 'line_item="' in line]
    assert len(shown) <= (TOP + 1) * len(of_lines)
    assert f'{SPEND}{{campaign="c",line_item="l{10 * TOP - 1}"}}' in text.decode()
    for number in range(TOP):
        tallies[0].count(SPEND, "c", f"l{number}", by=10**9)
    assert len([line for line in lines_of(scrape.text()) if 'line_item="' in line]) <= len(shown)
    list(text_string_to_metric_families(text.decode()))


def _count(tally: Tally, metric: Metric, line_item: str, value: int) -> None:
    tally.count(metric.name, "c", line_item, *("x" for _ in metric.labels[2:]), by=value)


def test_no_counter_falls_while_who_spends_most_changes(tmp_path: Path) -> None:
    """A hundred scrapes of four times as many line items as are shown, of ever other ones that spend, ten minutes
    apart: each counter's every series only rises, the sums are those of the tallies."""
    draw = random.Random(5)
    paths = workers(tmp_path)
    tallies = [Tally(path) for path in paths]
    scrape, total, now_s = scrape_of(paths), 0, [0.0]
    scrape.now_s = lambda: now_s[0]
    scrape.show(10)
    highest: dict[tuple[str, tuple[str, ...]], float] = {}
    for step in range(100):
        for _ in range(20):
            line_item, amount = f"l{min(39, int(draw.expovariate(0.1)) + step // 4)}", draw.randrange(10**6)
            draw.choice(tallies).count(SPEND, "c", line_item, by=amount)
            total += amount
        now_s[0] += 600.0
        samples = scrape.samples()
        own = {key: parts[""] for key, parts in samples.items() if key[0] == SPEND}
        assert len(own) <= 11
        for key, value in own.items():
            assert value >= highest.get(key, 0.0)
            highest[key] = value
        assert sum(highest.values()) == total
    assert len(highest) > 20, "others came to spend most"


def test_ours_are_beside_the_workers(tmp_path: Path) -> None:
    """What the supervisor counts itself is one more tally."""
    own = Tally()
    own.count("paceline_admin_actions_total", "reload", "done", by=2)
    scrape = Scrape([], {}, workers(tmp_path), dict, own)
    assert scrape.samples()["paceline_admin_actions_total", ("reload", "done")] == {"": 2}
    own.count("paceline_admin_actions_total", "restart", "done")
    assert scrape.samples()["paceline_admin_actions_total", ("restart", "done")] == {"": 1}
