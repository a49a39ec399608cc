"""Answers by id, each until a moment: how a verb knows that it was asked before.

Place: `ledger`; on Redis the keys with an expiry do the same.
"""

import itertools
from typing import Any


class Remembered:
    """Answers by id, each until a moment of the ledger's clock."""

    def __init__(self) -> None:
        self._answers: dict[Any, tuple[Any, float]] = {}

    def get(self, key: object, clock_s: float) -> Any:
        """What was answered; None: never, or too long ago."""
        answer, until_s = self._answers.get(key, (None, 0.0))
        return answer if until_s >= clock_s else None

    def put(self, key: object, answer: object, until_s: float, clock_s: float) -> None:
        """Remember; forgets a few of the oldest whose time is over."""
        self._answers[key] = (answer, until_s)
        for old in list(itertools.islice(self._answers, 2)):
            if self._answers[old][1] < clock_s:
                del self._answers[old]
