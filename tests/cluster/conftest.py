"""A whole cluster for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.shards import Shards, cluster


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Shards]:
    """Three primaries and their replicas: to be killed, paused, resharded."""
    with cluster(tmp_path / "cluster") as whole:
        yield whole
