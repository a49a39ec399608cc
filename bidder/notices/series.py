"""The labels of line items: as many series as there may be, the rest under one name.

Place: whoever counts by line item has one: notices, and charges.
Rule: a line item without a name, one of which only the advertiser is still known, is counted as UNKNOWN.
Limits: LINE_ITEM_SERIES line items have labels of their own; what comes after them is counted as OTHERS.
"""

from typing import Final

LINE_ITEM_SERIES: Final = 1_000
OTHERS: Final = ("other", "other")
UNKNOWN: Final = ("unknown", "unknown")


class LineSeries:
    """Which line items have labels of their own."""

    def __init__(self, limit: int = LINE_ITEM_SERIES) -> None:
        self._limit = limit
        self._named: set[tuple[str, str]] = set()

    def of(self, campaign_id: str, line_item_id: str) -> tuple[str, str]:
        """The labels of a line item."""
        if not line_item_id:
            return UNKNOWN
        names = (campaign_id, line_item_id)
        if names not in self._named:
            if len(self._named) >= self._limit:
                return OTHERS
            self._named.add(names)
        return names
