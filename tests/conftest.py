"""Fixtures that every test folder may use."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from tests.corpus import SHARED
from tests.nodes import nodes
from tests.servers import own_server, redis_server, session_server

__all__ = ["corpus", "nodes", "own_server", "redis_server", "session_server", "shared"]

# A property is never judged by the clock: the machine may be busy.
hypothesis.settings.register_profile("paceline", deadline=None)
# CI repeats the same examples, so that a red run speaks of the change; everybody else explores new ones.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "paceline")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared check data beside the repository; skips where it is absent."""
    if SHARED is None:
        pytest.skip("../shared is absent: real requests, consent strings and schemas cannot be read")
    return SHARED


@pytest.fixture(scope="session")
def corpus(shared: Path) -> Path:
    """The shared corpus of requests, answers, specs and schemas."""
    return shared / "corpus"
