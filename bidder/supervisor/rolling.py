"""A planned replacement of all workers, one after the other: a deploy that no connection notices.

Place: service.py begins one on SIGUSR2 and for the operators' port.
Rule: one at a time; asked for another one meanwhile it refuses, and counts that. The first successor that is not ready
    ends it: that slot, and those behind it, keep the workers that they have.
Limits: one more worker's memory and a share of a core (unhurried.py); `ready_timeout_s` and the drain time-out for
    each.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from bidder.metrics import Metric, Tally
from bidder.supervisor.slots import Slot

DONE: Final = "paceline_worker_rolling_restarts_total"
FAILED: Final = "paceline_worker_rolling_restart_failures_total"
REFUSED: Final = "paceline_worker_rolling_restarts_refused_total"
RUNNING: Final = "paceline_worker_rolling_restart_running"
METRICS = (
    Metric(DONE, "counter", "Times that all workers were replaced as planned"),
    Metric(
        FAILED,
        "counter",
        "Planned replacements that ended early, since a successor was not ready: alarm",
    ),
    Metric(
        REFUSED,
        "counter",
        "Planned replacements that were asked for while one went on",
    ),
    Metric(RUNNING, "gauge", "1 while workers are replaced as planned"),
)

_log = logging.getLogger(__name__)


class RollingRestart:
    """Replaces the workers of these slots whenever it is told to."""

    def __init__(self, slots: Sequence[Slot], within_s: float, tally: Tally) -> None:
        """A successor may take `within_s` to be ready."""
        self._slots, self._within_s, self._tally = slots, within_s, tally
        for name in (DONE, FAILED, REFUSED):
            tally.count(name, by=0)
        tally.set(RUNNING, value=0)
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether workers are being replaced."""
        return self._task is not None and not self._task.done()

    def begin(self) -> bool:
        """Begin one; False where one goes on."""
        if self.running:
            self._tally.count(REFUSED)
            _log.warning("workers are being replaced already: asked once more, refused")
            return False
        self._tally.set(RUNNING, value=1)
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._tally.set(RUNNING, value=0))
        return True

    async def _run(self) -> None:
        _log.info("workers are replaced, one after the other: %d", len(self._slots))
        for slot in self._slots:
            try:
                why_not = await slot.replace(self._within_s)
            except Exception as error:  # whatever it is, it ends this replacement alone, and is counted
                _log.exception("the replacement of %s", slot.name)
                why_not = repr(error)
            if why_not:
                self._tally.count(FAILED)
                _log.error("%s is not replaced, the rest stays as it is: %s", slot.name, why_not)
                return
            _log.info("%s is replaced", slot.name)
        self._tally.count(DONE)
        _log.info("all workers are replaced")

    async def end(self) -> None:
        """Wait until a replacement under way has ended: slots that were told to stop end it soon."""
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({self._task})
