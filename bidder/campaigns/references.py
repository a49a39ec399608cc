"""What must hold across items: ids taken once, creatives that exist, segments with keys of their own.

Place: load.py shows it every file of a book; it reads nodes, so that a broken item hides no other mistake.
Never: keeps nodes: only ids and where they stood.
"""

from collections.abc import Iterator

from bidder.campaigns.located import Node, Problems, Steps, field_text
from bidder.keys import segment_key


class References:
    """The ids of a whole book."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._file = ""
        self._taken: dict[tuple[str, str], str] = {}

    def take(self, file: str, root: Node) -> None:
        """Check one file against itself and against those before."""
        self._file = file
        for steps, advertiser in _items(root, "advertisers", ()):
            self._unique("advertiser", advertiser, steps)
            known = self._creatives(advertiser, steps)
            used = self._campaigns(advertiser, steps, known)
            for name in known.keys() - used:
                self._problems.advise(
                    file, known[name], field_text(steps), f'creative "{name}" is never used'
                )

    def _creatives(self, advertiser: Node, steps: Steps) -> dict[str, int]:
        known: dict[str, int] = {}
        for at, creative in _items(advertiser, "creatives", steps):
            node = _entry(creative, "id")
            if node is None or not isinstance(node.value, str):
                continue
            if node.value in known:
                message = f'"{node.value}" is taken: line {known[node.value]} has it'
                self._problems.add(self._file, node.line, field_text((*at, "id")), message)
            known.setdefault(node.value, node.line)
        return known

    def _campaigns(self, advertiser: Node, steps: Steps, known: dict[str, int]) -> set[str]:
        used: set[str] = set()
        segments: dict[int, str] = {}
        owner = _entry(advertiser, "id")
        for at, campaign in _items(advertiser, "campaigns", steps):
            self._unique("campaign", campaign, at)
            for place, line_item in _items(campaign, "line_items", at):
                self._unique("line item", line_item, place)
                used |= self._use(line_item, place, known)
                if owner is not None and isinstance(owner.value, str):
                    self._segments(owner.value, line_item, place, segments)
        return used

    def _use(self, line_item: Node, steps: Steps, known: dict[str, int]) -> set[str]:
        used = set()
        for at, node in _items(line_item, "creatives", steps):
            if isinstance(node.value, str):
                used.add(node.value)
                if node.value not in known:
                    message = f'the advertiser has no creative "{node.value[:64]}"'
                    self._problems.add(self._file, node.line, field_text(at), message)
        return used

    def _segments(self, advertiser_id: str, line_item: Node, steps: Steps, seen: dict[int, str]) -> None:
        rules = _entry(_entry(line_item, "targeting"), "segments")
        for side in ("any", "none"):
            for at, node in _items(rules, side, (*steps, "targeting", "segments")):
                if isinstance(node.value, str):
                    first = seen.setdefault(segment_key(advertiser_id, node.value), node.value)
                    if first != node.value:
                        message = f'"{node.value}" and "{first}" have the same key: rename one of them'
                        self._problems.add(self._file, node.line, field_text(at), message)

    def _unique(self, kind: str, item: Node, steps: Steps) -> None:
        node = _entry(item, "id")
        if node is None or not isinstance(node.value, str):
            return
        first = self._taken.setdefault((kind, node.value), f"{self._file}:{node.line}")
        if first != f"{self._file}:{node.line}":
            message = f'"{node.value}" is taken: {first} has it'
            self._problems.add(self._file, node.line, field_text((*steps, "id")), message)


def _entry(node: Node | None, key: str) -> Node | None:
    return node.value.get(key) if node is not None and isinstance(node.value, dict) else None


def _items(node: Node | None, key: str, steps: Steps) -> Iterator[tuple[Steps, Node]]:
    """The items of a list in a mapping, where there is one, each with the steps to it."""
    held = _entry(node, key)
    if held is not None and isinstance(held.value, list):
        for i, item in enumerate(held.value):
            yield (*steps, key, i), item
