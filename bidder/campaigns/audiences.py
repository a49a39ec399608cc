"""What must hold of the events that a shop sends, of the segments that follow from them, and of its product feed.

Place: rules.py hands these rules to the Filler along with its own; references.py has those across items.
Limits: windows from MIN_WINDOW_S to MAX_WINDOW_S, feeds from MIN_EVERY_S to MAX_EVERY_S; counts in the types.
Never: reads files or the clock.
"""

import re
from typing import Final

from bidder.campaigns.bounds import MAX_WINDOW_S, MIN_WINDOW_S, between
from bidder.campaigns.durations import DAY_S, MINUTE_S, seconds_of
from bidder.campaigns.model import DeclaredEvents, EventRule, Feed, Segment
from bidder.campaigns.structs import At, Rule

MIN_EVERY_S: Final = MINUTE_S
MAX_EVERY_S: Final = 7 * DAY_S

_OF_NO_PRODUCT: Final = ("page_view", "category_view", "search")
"""Events that are about no product, and so are worth nothing."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # one letter would be a drive
_URL: Final = re.compile(r"https://[^/?#\s@]+(/\S*)?")


def audiences() -> dict[object, Rule]:
    """The rules by type or by (type, field)."""
    return {
        EventRule: _event_rule,
        Segment: _segment,
        (EventRule, "within"): between(MIN_WINDOW_S, MAX_WINDOW_S),
        (EventRule, "categories"): distinct,
        (EventRule, "products"): distinct,
        (Segment, "keep"): between(MIN_WINDOW_S, MAX_WINDOW_S),
        (Feed, "every"): between(MIN_EVERY_S, MAX_EVERY_S),
        (Feed, "location"): _location,
        (DeclaredEvents, "kinds"): distinct,
        (DeclaredEvents, "custom"): distinct,
        (DeclaredEvents, "conversions"): distinct,
        (DeclaredEvents, "origins"): distinct,
        DeclaredEvents: _events,
    }


def distinct(values: tuple[str, ...], at: At) -> None:
    """Nothing stands twice in a list."""
    seen: set[str] = set()
    for i, value in enumerate(values):
        if value in seen:
            at.wrong(f'"{value}" stands twice', i)
        seen.add(value)


def _events(events: DeclaredEvents, at: At) -> None:
    if "custom" in events.kinds and not events.custom:
        at.wrong("is missing: the shop sends custom events, and they have names", "custom")


def _event_rule(rule: EventRule, at: At) -> None:
    if rule.event == "custom" and rule.custom is None:
        at.wrong("is missing: a rule on custom events names one", "custom")
    elif rule.event != "custom" and rule.custom is not None:
        at.wrong(f"has no place in a rule on {rule.event}", "custom")
    if rule.event in _OF_NO_PRODUCT:
        for field, given in (("products", rule.products), ("min_value", rule.min_value)):
            if given:
                at.wrong(f"has no place in a rule on {rule.event}, which is about no product", field)


def _segment(segment: Segment, at: At) -> None:
    """A rule that another one makes idle, or that can never hold."""
    keep_s = seconds_of(segment.keep)
    longest_s = max((seconds_of(rule.within) for rule in segment.when), default=MAX_WINDOW_S)
    if keep_s > longest_s and _written(at, "keep"):
        at.advise("is never reached: every window is shorter", "keep")
    for side, rules in (("when", segment.when), ("unless", segment.unless)):
        for i, rule in enumerate(rules):
            if rule in rules[:i]:
                at.advise("stands twice", side, i)
    for i, rule in enumerate(segment.unless):
        for n, wanted in enumerate(segment.when):
            if _asks_less(rule, wanted):
                at.wrong(f"nobody is ever in it: whoever fulfils when[{n}] fulfils this, too", "unless", i)


def _asks_less(rule: EventRule, other: EventRule) -> bool:
    """Whether everybody who fulfils the other rule fulfils this one."""
    return (
        (rule.event, rule.custom) == (other.event, other.custom)
        and (not rule.categories or (bool(other.categories) and {*other.categories} <= {*rule.categories}))
        and (not rule.products or (bool(other.products) and {*other.products} <= {*rule.products}))
        and rule.at_least <= other.at_least
        and seconds_of(rule.within) >= seconds_of(other.within)
        and (rule.min_value or 0) <= (other.min_value or 0)
    )


def _location(location: str, at: At) -> None:
    if location.startswith("https:"):
        if not _URL.fullmatch(location):
            at.wrong("expected an https URL with a host and no user name, or a path")
    elif _SCHEME.match(location) or not location.isprintable():
        at.wrong(f'expected an https URL, or a path from this file\'s folder, found "{location[:40]}"')


def _written(at: At, field: str) -> bool:
    return isinstance(at.node.value, dict) and field in at.node.value
