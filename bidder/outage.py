"""An outage of what a process depends on: told when it begins, and when it is over; not at each try between.

Place: of the ledger and the pacing board, in workers and the bookkeeper.
"""

import logging


class Outage:
    """Whether something answers; each change is one line in the log."""

    def __init__(self, log: logging.Logger, name: str, meanwhile: str) -> None:
        """`name` is what answers, `meanwhile` what happens until it does again."""
        self._log, self._name, self._meanwhile = log, name, meanwhile
        self._lasts = False

    def begins(self, error: Exception) -> None:
        """It did not answer."""
        if not self._lasts:
            self._lasts = True
            why = str(error) or "no answer in time"
            self._log.warning("%s is down, %s: %s", self._name, self._meanwhile, why)

    def ends(self) -> None:
        """It answered."""
        if self._lasts:
            self._lasts = False
            self._log.warning("%s answers again", self._name)
