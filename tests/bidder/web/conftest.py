"""The edge is tested on the loop that serves: uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test of this folder runs on uvloop."""
    return {"uvloop": uvloop.new_event_loop}
