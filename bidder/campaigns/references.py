"""What must hold across items: ids taken once, with keys of their own among the advertiser's, creatives that exist.

Place: load.py shows it every file of a book; it reads nodes, so that a broken item hides no other mistake.
Never: keeps nodes: only ids and where they stood.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from bidder.campaigns.feeds import FeedPath
from bidder.campaigns.located import Node, Problems, Steps, field_text
from bidder.campaigns.model import DeclaredEvents
from bidder.keys import key32, segment_key

_SENT: Final = DeclaredEvents().kinds
"""Events that a shop sends which declares none."""


class References:
    """The ids of a whole book."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._file = ""
        self._taken: dict[tuple[str, str], tuple[str, Steps]] = {}
        """Place (file and line) and steps by kind and id: two items of one line are still two."""
        self.feeds: list[FeedPath] = []
        """The feeds that are files, in the order of the campaign files."""

    def take(self, file: str, root: Node) -> None:
        """Check one file against itself and against those before."""
        self._file = file
        for steps, advertiser in _items(root, "advertisers", ()):
            self._unique("advertiser", advertiser, steps)
            self._feed(advertiser, steps)
            known = self._creatives(advertiser, steps)
            segments = self._defined(advertiser, steps)
            used = self._campaigns(advertiser, steps, known, segments)
            for name in known.keys() - used:
                self._problems.advise(
                    file, known[name], field_text(steps), f'creative "{name}" is never used'
                )

    def _feed(self, advertiser: Node, steps: Steps) -> None:
        node = _entry(_entry(advertiser, "feed"), "location")
        location = _text(node)
        if node is not None and location and "://" not in location:
            field = field_text((*steps, "feed", "location"))
            self.feeds.append(FeedPath(location, self._file, node.line, field))

    def _creatives(self, advertiser: Node, steps: Steps) -> dict[str, int]:
        known: dict[str, int] = {}
        keys: dict[int, str] = {}
        owner = _text(_entry(advertiser, "id"))
        for at, creative in _items(advertiser, "creatives", steps):
            node = _entry(creative, "id")
            name = _text(node)
            if node is None or name is None:
                continue
            if name in known:
                message = f'"{name[:64]}" is taken: line {known[name]} has it'
                self._problems.add(self._file, node.line, field_text((*at, "id")), message)
            known.setdefault(name, node.line)
            if owner is not None:
                self._view_key(keys, f"{owner}/", creative, at)
        return known

    def _defined(self, advertiser: Node, steps: Steps) -> dict[int, str]:
        """The segments that an advertiser defines, by key; their rules speak of events that its shop sends."""
        owner = _text(_entry(advertiser, "id"))
        lines: dict[str, int] = {}
        segments: dict[int, str] = {}
        for at, segment in _items(advertiser, "segments", steps):
            node = _entry(segment, "id")
            name = _text(node)
            if node is not None and name is not None:
                if name in lines:
                    message = f'"{name[:64]}" is taken: line {lines[name]} has it'
                    self._problems.add(self._file, node.line, field_text((*at, "id")), message)
                elif owner is not None:
                    self._own_key(segments, segment_key(owner, name), node, (*at, "id"))
                lines.setdefault(name, node.line)
            for side in ("when", "unless"):
                for place, rule in _items(segment, side, at):
                    self._sent(_entry(advertiser, "events"), rule, place)
        return segments

    def _sent(self, events: Node | None, rule: Node, steps: Steps) -> None:
        """An event that the shop does not send never happens."""
        kind, custom = _entry(rule, "event"), _entry(rule, "custom")
        declared = _entry(events, "kinds")
        kinds = _SENT if declared is None else [_text(node) for _, node in _items(events, "kinds", ())]
        names = [_text(node) for _, node in _items(events, "custom", ())]
        name = _text(kind)
        if name == "custom":
            named = _text(custom)
            if custom is not None and named is not None and named not in names:
                message = f'the shop sends no custom event "{named[:64]}": declare it in events.custom'
                self._problems.add(self._file, custom.line, field_text((*steps, "custom")), message)
        elif kind is not None and name is not None and name not in kinds and name in _SENT:
            message = f"the shop sends no {name}: declare it in events.kinds"
            self._problems.add(self._file, kind.line, field_text((*steps, "event")), message)

    def _campaigns(
        self, advertiser: Node, steps: Steps, known: dict[str, int], segments: dict[int, str]
    ) -> set[str]:
        used: set[str] = set()
        defined = frozenset(segments.values())
        campaigns: dict[int, str] = {}
        line_items: dict[int, str] = {}
        owner = _text(_entry(advertiser, "id"))
        for at, campaign in _items(advertiser, "campaigns", steps):
            self._unique("campaign", campaign, at)
            if owner is not None:
                self._view_key(campaigns, f"{owner}/", campaign, at)
            for place, line_item in _items(campaign, "line_items", at):
                self._unique("line item", line_item, place)
                self._view_key(line_items, "", line_item, place)
                used |= self._use(line_item, place, known)
                if owner is not None:
                    self._segments(owner, line_item, place, segments, defined)
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

    def _segments(
        self, owner: str, line_item: Node, steps: Steps, seen: dict[int, str], defined: frozenset[str]
    ) -> None:
        """Segments have keys of their own. One that nobody defines, though others are, may be a slip.
        Servers may fill it; where nobody does, a line item that asks for such ones alone has nobody to bid for."""
        rules = _entry(_entry(line_item, "targeting"), "segments")
        for side in ("any", "none"):
            named = list(_items(rules, side, (*steps, "targeting", "segments")))
            never = ""
            if side == "any" and not any(_text(node) in defined for _, node in named):
                never = (
                    f": it will never bid unless a server fills {'it' if len(named) == 1 else 'one of these'}"
                )
            for at, node in named:
                name = node.value
                if not isinstance(name, str):
                    continue
                self._own_key(seen, segment_key(owner, name), node, at)
                if defined and name not in defined:
                    close = get_close_matches(name, sorted(defined), 1)
                    hint = f"; did you mean {close[0]}?" if close else ""
                    message = f'no segment "{name[:64]}" is defined{never}{hint}'
                    self._problems.advise(self._file, node.line, field_text(at), message)

    def _view_key(self, seen: dict[int, str], prefix: str, item: Node, steps: Steps) -> None:
        """Views are counted by 32-bit keys: two of an advertiser with one key would be capped as one."""
        node = _entry(item, "id")
        name = _text(node)
        if node is not None and name is not None:
            self._own_key(seen, key32(prefix + name), node, (*steps, "id"))

    def _own_key(self, seen: dict[int, str], key: int, node: Node, steps: Steps) -> None:
        name = str(node.value)
        first = seen.setdefault(key, name)
        if first != name:
            message = f'"{name[:64]}" and "{first[:64]}" have the same key: rename one of them'
            self._problems.add(self._file, node.line, field_text(steps), message)

    def _unique(self, kind: str, item: Node, steps: Steps) -> None:
        node = _entry(item, "id")
        name = _text(node)
        if node is None or name is None:
            return
        own = f"{self._file}:{node.line}", steps
        first = self._taken.setdefault((kind, name), own)
        if first is not own:
            message = f'"{name[:64]}" is taken: {first[0]} has it'
            self._problems.add(self._file, node.line, field_text((*steps, "id")), message)


def _text(node: Node | None) -> str | None:
    return node.value if node is not None and isinstance(node.value, str) else None


def _entry(node: Node | None, key: str) -> Node | None:
    return node.value.get(key) if node is not None and isinstance(node.value, dict) else None


def _items(node: Node | None, key: str, steps: Steps) -> Iterator[tuple[Steps, Node]]:
    """The items of a list in a mapping, where there is one, each with the steps to it."""
    held = _entry(node, key)
    if held is not None and isinstance(held.value, list):
        for i, item in enumerate(held.value):
            yield (*steps, key, i), item
