"""Every metric that is declared anywhere."""

import re

from bidder.metrics import BOUNDS
from bidder.supervisor.catalogue import catalogue
from bidder.supervisor.ranking import LINE_ITEMS, SOURCES
from bidder.web.exposition import render


def test_names_help_and_labels_are_proper() -> None:
    """Names begin with paceline_, counters end in _total, histograms have rising buckets, all have help."""
    for metric in catalogue().values():
        assert re.fullmatch(r"paceline_[a-z0-9_]+", metric.name)
        assert metric.kind in ("counter", "gauge", "histogram"), metric.name
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        assert metric.help, metric.name
        assert list(metric.buckets) == sorted(set(metric.buckets)), metric.name
        assert bool(metric.buckets) == (metric.kind == "histogram"), metric.name
        assert "le" not in metric.labels, metric.name


def test_every_label_is_bounded() -> None:
    """Each metric says what bounds its series; a line item's labels come first, so that those of few are shown."""
    for metric in catalogue().values():
        assert set(metric.labels) <= BOUNDS.keys() or metric.bound, metric.name
        assert bool(metric.bound) == bool(metric.labels), metric.name
        if "line_item" in metric.labels or "campaign" in metric.labels:
            assert metric.labels[:2] == LINE_ITEMS.labels, metric.name
        if "publisher" in metric.labels:
            assert metric.labels == SOURCES.labels, metric.name
    assert catalogue()[LINE_ITEMS.score].kind == catalogue()[SOURCES.score].kind == "counter"


def test_the_whole_catalogue_renders() -> None:
    """Without a single sample, every metric still has its HELP and TYPE."""
    text = render(catalogue(), {}).decode()
    for name in catalogue():
        assert f"# TYPE {name} " in text or f"# TYPE {name.removesuffix('_total')} " in text
