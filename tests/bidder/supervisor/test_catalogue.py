"""Every metric that is declared anywhere."""

import re

from bidder.supervisor.catalogue import catalogue
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


def test_the_whole_catalogue_renders() -> None:
    """Without a single sample, every metric still has its HELP and TYPE."""
    text = render(catalogue(), {}).decode()
    for name in catalogue():
        assert f"# TYPE {name} " in text or f"# TYPE {name.removesuffix('_total')} " in text
