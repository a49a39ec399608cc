"""What is wrong with a malformed request, and where.

Place: raised by codec and validate; the edge answers it with 400 (or, over a limit, with a quick no-bid).
"""

from __future__ import annotations


class Violation(Exception):
    """A request that breaks a rule; `path` is like `imp[0].banner.w` (empty for the whole body)."""

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(path, rule)
        self.path = path
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.path or 'request'}: {self.rule}"


class OverLimit(Violation):
    """A request that may be well formed, yet holds more of something than we take (`openrtb.limits`)."""
