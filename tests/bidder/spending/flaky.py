"""A store that can be down, and that can lose its answers after it has acted on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from budget.memory_store import MemoryStore
from budget.store import LedgerDown


class FlakyStore:
    """All verbs of the store behind it; `down` refuses them, `loses` says of which the answer is lost."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.down = False
        self.loses: Callable[[str], bool] = lambda _: False
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.store, name)

        async def call(*arguments: Any) -> Any:
            self.asked.append((name, arguments))
            if self.down:
                raise LedgerDown("down")
            answer = await verb(*arguments)
            if self.loses(name):
                raise LedgerDown(f"the answer to {name} was lost")
            return answer

        return call

    def count(self, verb: str) -> int:
        """How often a verb was asked."""
        return sum(1 for name, _ in self.asked if name == verb)
