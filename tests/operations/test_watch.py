"""The watch itself: a real Prometheus scrapes, evaluates, and tells a real Alertmanager."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.bidder.supervisor.serving import Serving, until
from tests.operations.prometheus import Watch

pytestmark = pytest.mark.process


def test_it_scrapes_evaluates_and_tells(tmp_path: Path, watch: Callable[..., Watch]) -> None:
    """What the ops port says can be asked for; an alert that holds reaches the Alertmanager."""
    rule = {"alert": "Always", "expr": "paceline_workers_configured == 1", "labels": {"severity": "ticket"}}
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
    service = Serving(tmp_path / "data", PACELINE_WORKERS="1")
    try:
        service.until_ready(1)
        seen = watch(service.ports["ops"], [rules])
        assert seen.value("sum(up)") == 1
        assert seen.query("paceline_workers_configured")[0].labels["job"] == "paceline"
        until(lambda: seen.firing() == {"Always"}, "the alert")
        until(lambda: seen.received() == {"Always"}, "the alert in the Alertmanager")
        (told,) = seen.alertmanager_alerts()
        assert told.labels["severity"] == "ticket"
        with pytest.raises(AssertionError, match="parse error"):
            seen.query("sum(")
    finally:
        service.process.terminate()
        service.wait()
