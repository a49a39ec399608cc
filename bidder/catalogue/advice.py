"""What works in a feed and is probably not meant: columns that nobody reads, sale prices above prices, foreign links.

Place: `paceline catalogue check`; the service reads feeds without it.
Shapes: one piece of advice for each kind, with a count and the first line where it holds.
Limits: MAX_NAMES columns and as many hosts are told by name.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final
from urllib.parse import urlsplit

from bidder.campaigns.located import Problem
from bidder.catalogue.columns import NAMES, plain_name, sale_is_above
from bidder.catalogue.product import Product

MAX_NAMES: Final = 20
_SHOWN: Final = 60
"""Characters of a name."""


class _Seen:
    """How often something was met, and where first."""

    def __init__(self) -> None:
        self.count, self.line = 0, 0

    def add(self, line: int) -> None:
        self.line = self.line if self.count else line
        self.count += 1


class Advisor:
    """Looks on while a feed is read."""

    def __init__(self, domains: Sequence[str] = ()) -> None:
        """The shop's domains, which links should lead to or below; none: any."""
        self._domains = [domain.casefold() for domain in domains]
        self._columns: dict[str, _Seen] = {}
        self._hosts: dict[str, _Seen] = {}
        self._sales = _Seen()

    def ignored(self, line: int, name: str) -> None:
        """A column that is not read stands here."""
        _bounded(self._columns, name.strip()[:_SHOWN]).add(line)

    def look(self, line: int, values: Mapping[str, str], product: Product) -> None:
        """A good product stands here."""
        if sale_is_above(values, product):
            self._sales.add(line)
        if self._domains and not self._is_own(host := urlsplit(product.url).hostname or ""):
            _bounded(self._hosts, host).add(line)

    def told(self, file: str) -> list[Problem]:
        """The advice, by line."""
        advice = []
        if self._columns:
            first = min(seen.line for seen in self._columns.values())
            names = ", ".join(map(_with_hint, self._columns))
            advice.append(Problem(file, first, "", f"columns that are not read: {names}"))
        if self._sales.count:
            message = f"is above the price and therefore ignored, {_of_products(self._sales.count)}"
            advice.append(Problem(file, self._sales.line, "sale_price", message))
        for host, seen in self._hosts.items():
            message = f"leads to {host}, not to {' or '.join(self._domains)}, {_of_products(seen.count)}"
            advice.append(Problem(file, seen.line, "link", message))
        return sorted(advice)

    def _is_own(self, host: str) -> bool:
        return any(host == domain or host.endswith(f".{domain}") for domain in self._domains)


def _bounded(known: dict[str, _Seen], name: str) -> _Seen:
    """What is known of a name; those beyond MAX_NAMES share one."""
    return known.setdefault(name if name in known or len(known) < MAX_NAMES else "others", _Seen())


def _with_hint(name: str) -> str:
    close = get_close_matches(plain_name(name), NAMES, 1, 0.8)
    return f"{name or 'one without a name'} (did you mean {close[0]}?)" if close and name else name or '""'


def _of_products(count: int) -> str:
    return f"here and in {count - 1:,} more" if count > 1 else "here alone"
