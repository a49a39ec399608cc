"""Who may call again: a few calls at once, then so many a second, for each of those who called last.

Place: web/privacy_pages asks it before a change, for a form and for a connection; one per worker.
Units: seconds of any clock that does not run backwards.
Limits: `most` callers are remembered, those who called last: whoever is forgotten begins anew, so it holds back one
    caller, and not a thousand of them.
"""

from collections import OrderedDict
from collections.abc import Hashable


class Turns:
    """Token buckets of callers."""

    def __init__(self, per_s: float, burst: float, most: int) -> None:
        """`burst` calls at once, then `per_s`; at least one caller is remembered."""
        self._per_s, self._burst, self._most = per_s, burst, max(1, most)
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, caller: Hashable, now_s: float) -> bool:
        """Whether it is this caller's turn; a call that is refused costs nothing."""
        left, then_s = self._left.pop(caller, (self._burst, now_s))
        left = min(self._burst, left + max(0.0, now_s - then_s) * self._per_s)
        granted = left >= 1.0
        self._left[caller] = (left - granted, now_s)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return granted
