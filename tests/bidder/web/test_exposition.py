"""What a scrape says: read back by Prometheus' own parser, and by promtool where it is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bidder.metrics import OVERFLOW, Metric, Tally, TallyReader
from bidder.web.exposition import METRICS, Table, Tallies, merge, render

REQUESTS = Metric("x_requests_total", "counter", "Requests", ("exchange",))
LATENCY = Metric("x_latency_seconds", "histogram", "Time", ("exchange",), 1e-9, (1_000_000, 5_000_000))
OPEN = Metric("x_open", "gauge", "Open things")
COST = Metric("x_cost_seconds", "gauge", "Worst cost", (), 1e-9, (), "max")
LOADED = Metric("x_loaded_seconds", "gauge", "When", ("advertiser",), merge="min")
AGE = Metric("x_age_seconds", "gauge", "Since", ("advertiser",), merge="age")
PACE = Metric("x_pace_ratio", "gauge", "Pace", (), 1e-3, (), "max")
NO_OVERFLOW = {(f"{OVERFLOW}", ()): 0.0}
CATALOGUE = {metric.name: metric for metric in (REQUESTS, LATENCY, OPEN, COST, *METRICS)}


def parsed(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.fixture
def two_workers(tmp_path: Path) -> list[Path]:
    """Two workers' tallies: they share one series, and each has one of its own."""
    paths = [tmp_path / f"worker-{slot}.tally" for slot in range(2)]
    for slot, path in enumerate(paths):
        tally = Tally(path)
        tally.count("x_requests_total", "both", by=10 + slot)
        tally.count("x_requests_total", f"only-{slot}")
        tally.set("x_open", value=3)
        tally.set("x_cost_seconds", value=2_000 * (slot + 1))
        histogram = tally.histogram(LATENCY, "both")
        for value in (900_000, 1_000_000, 1_000_001, 7_000_000):
            histogram.observe(value)
    return paths


def test_workers_add_up_as_each_metric_says(two_workers: list[Path]) -> None:
    """Counters and gauges are summed, or the largest is taken; cells are scaled to the exposed unit."""
    samples = parsed(render(CATALOGUE, merge(CATALOGUE, Tallies(two_workers), {})))
    assert samples["x_requests_total", (("exchange", "both"),)] == 21
    assert samples["x_requests_total", (("exchange", "only-1"),)] == 1
    assert samples["x_open", ()] == 6
    assert samples["x_cost_seconds", ()] == pytest.approx(4e-6)


def test_histograms_become_cumulative(two_workers: list[Path]) -> None:
    """Buckets add up to the count, bounds and sum are in seconds; a value on a bound is within it."""
    samples = parsed(render(CATALOGUE, merge(CATALOGUE, Tallies(two_workers), {})))

    def bucket(bound: str) -> float:
        return samples["x_latency_seconds_bucket", (("exchange", "both"), ("le", bound))]

    assert [bucket(bound) for bound in ("0.001", "0.005", "+Inf")] == [4, 6, 8]
    assert samples["x_latency_seconds_count", (("exchange", "both"),)] == 8
    assert samples["x_latency_seconds_sum", (("exchange", "both"),)] == pytest.approx(2 * 9.900001e-3)


def test_a_scrape_follows_a_worker_that_counts_on(two_workers: list[Path]) -> None:
    """New series and new counts show at the next scrape, and a file that appears later is taken in."""
    late = two_workers[0].with_name("worker-2.tally")
    tallies = Tallies([*two_workers, late])
    parsed(render(CATALOGUE, merge(CATALOGUE, tallies, {})))
    Tally(two_workers[0]).count("x_requests_total", "new", by=5)
    Tally(late).count("x_requests_total", "new", by=2)
    samples = parsed(render(CATALOGUE, merge(CATALOGUE, tallies, {})))
    assert samples["x_requests_total", (("exchange", "new"),)] == 7


def test_moments_and_the_least_and_the_largest(tmp_path: Path) -> None:
    """The least of moments is of those that are known; an age is since the earliest; a largest may be below 0; what
    nobody noted is not shown."""
    paths = [tmp_path / f"{number}.tally" for number in range(3)]
    for path, moment, pace in zip(paths, (0, 500, 400), (-7, -3, -5), strict=True):
        tally = Tally(path)
        for name in (LOADED.name, AGE.name):
            tally.set(name, "shop", value=moment)
            tally.set(name, "gone", value=0)
        tally.set(PACE.name, value=pace)
    known = {metric.name: metric for metric in (LOADED, AGE, PACE)}
    samples = parsed(render(known, merge(known, Tallies(paths), {}, now_s=1_000.0)))
    shop = (("advertiser", "shop"),)
    assert samples == {
        (LOADED.name, shop): 400,
        (AGE.name, shop): 600,
        (PACE.name, ()): -0.003,
        **NO_OVERFLOW,
    }


def test_a_table_adds_what_comes_later(two_workers: list[Path]) -> None:
    """Read again and again, with cells and tallies that were not there before, it says what a fresh one says."""
    late = two_workers[0].with_name("worker-2.tally")
    tallies, table = Tallies([*two_workers, late]), Table(CATALOGUE)
    for step in range(3):
        Tally(two_workers[step % 2]).count("x_requests_total", f"new-{step}", by=step)
        if step:
            Tally(late).count("x_requests_total", "both", by=3)
        table.read(tallies.sources())
        assert table.samples(range(len(table.cells)), 0.0) == merge(
            CATALOGUE, Tallies([*two_workers, late]), {}
        )


def test_what_no_catalogue_names_is_shown_untyped(tmp_path: Path) -> None:
    """A forgotten declaration is seen in the scrape, not lost."""
    Tally(tmp_path / "t").count("x_forgotten", "a", by=4)
    samples = parsed(render(CATALOGUE, merge(CATALOGUE, Tallies([tmp_path / "t"]), {})))
    assert samples["x_forgotten", (("label0", "a"),)] == 4


def test_the_supervisors_own_samples_stand_over_the_workers(two_workers: list[Path]) -> None:
    """What the supervisor knows itself is shown beside what workers count."""
    own = {("paceline_worker_up", ("0",)): {"": 1.0}}
    samples = parsed(render(CATALOGUE, merge(CATALOGUE, Tallies(two_workers), own)))
    assert samples["paceline_worker_up", (("slot", "0"),)] == 1


def test_a_file_that_is_no_tally_is_left_out(tmp_path: Path) -> None:
    """Empty, short and foreign files do not stop a scrape."""
    for name, content in {"empty": b"", "short": b"x" * 100}.items():
        (tmp_path / name).write_bytes(content)
    Tally(tmp_path / "foreign")
    with (tmp_path / "foreign").open("r+b") as file:
        file.write(b"\0" * 8)
    paths = [tmp_path / name for name in ("absent", "empty", "short", "foreign")]
    assert list(Tallies(paths)) == []


def test_reading_writes_nothing(tmp_path: Path) -> None:
    """A reader works on a file that it may not write to, and changes no byte."""
    Tally(tmp_path / "t").count("x_open", by=2)
    (tmp_path / "t").chmod(0o400)
    before = (tmp_path / "t").read_bytes()
    assert {cell.name: value for cell, value in TallyReader(tmp_path / "t").samples()} == {
        OVERFLOW: 0,
        "x_open": 2,
    }
    assert (tmp_path / "t").read_bytes() == before


def test_labels_with_quotes_and_newlines_come_back(tmp_path: Path) -> None:
    """Escaping is Prometheus' own."""
    Tally(tmp_path / "t").count("x_requests_total", 'a"b\\c\nd')
    samples = parsed(render(CATALOGUE, merge(CATALOGUE, Tallies([tmp_path / "t"]), {})))
    assert samples["x_requests_total", (("exchange", 'a"b\\c\nd'),)] == 1


def test_promtool_finds_nothing_wrong(two_workers: list[Path]) -> None:
    """`promtool check metrics` accepts the text, help and types of all."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    text = render(CATALOGUE, merge(CATALOGUE, Tallies(two_workers), {}))
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
