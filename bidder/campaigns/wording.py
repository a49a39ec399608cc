"""What a type asks for, in words for a person who writes campaigns.

Place: structs.py says by it what it expected and what it found.
"""

from functools import cache
from typing import Any

import msgspec
import msgspec.inspect as mi

from bidder.campaigns.durations import PATTERN
from bidder.campaigns.located import Node

SHOWN = 40  # characters of a wrong value that are shown

PATTERNS: dict[str, str] = {
    r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z": "an id (1 to 64 letters, digits and . _ : -)",
    r"^https?://[^\s\x00-\x1f\x7f\"'<>]+\Z": "a URL beginning with https://",
    r"^[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?\Z": "a domain in lower case",
    r"^[A-Z]{3}\Z": "3 capital letters",
    r"^([A-Z]{3})?\Z": "3 capital letters such as DEU",
    r"^[a-z]{2}\Z": "2 lower-case letters",
    r"^[a-z]+/[a-z0-9.+-]+\Z": "a media type such as video/mp4",
    PATTERN: "a duration such as 90s, 15m, 6h or 30d",
}
"""Words for the patterns that the schema uses."""


def mismatch(expected: Any, node: Node) -> str:
    """`expected a number above 0, found -1`; `expected` is a type or words."""
    words = expected if isinstance(expected, str) else _words(expected)
    message = f"expected {words}, found {_found(node)}"
    if not isinstance(expected, str) and _is_text(expected):
        message += _hint(expected, node)
    return message


@cache
def _info(hint: Any) -> mi.Type:
    info = mi.type_info(hint)
    while isinstance(info, mi.Metadata | mi.UnionType):
        if isinstance(info, mi.Metadata):
            info = info.type
        else:
            info = next(arm for arm in info.types if not isinstance(arm, mi.NoneType))
    return info


def _is_text(hint: Any) -> bool:
    return isinstance(_info(hint), mi.StrType | mi.LiteralType)


def _takes(hint: Any, text: str) -> bool:
    try:
        msgspec.convert(text, hint)
    except msgspec.ValidationError:
        return False
    return True


def _found(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, str):
        shown = node.value if len(node.value) <= SHOWN else node.value[:SHOWN] + "..."
        return f'text "{shown}"'
    return node.text[:SHOWN]


def _hint(expected: Any, node: Node) -> str:
    if not isinstance(node.value, bool | int | float):
        return ""
    hint = f", which YAML reads as {str(node.value).lower()}" if isinstance(node.value, bool) else ""
    return f'{hint}; quote it: "{node.text}"' if _takes(expected, node.text) else hint


@cache
def _words(hint: Any) -> str:
    info = _info(hint)
    if isinstance(info, mi.StrType):
        return _text_words(info)
    if isinstance(info, mi.IntType | mi.FloatType):
        noun = "a whole number" if isinstance(info, mi.IntType) else "a number"
        return noun + _range(info)
    if isinstance(info, mi.LiteralType):
        return "one of " + ", ".join(map(str, info.values))
    return _PLAIN_WORDS.get(type(info), "another kind of value")


_PLAIN_WORDS: dict[type, str] = {
    mi.BoolType: "true or false",
    mi.DecimalType: "a number",
    mi.DateType: "a date such as 2026-11-01",
    mi.DateTimeType: "a moment with its time zone such as 2026-11-01T08:00:00+01:00",
    mi.DictType: "a mapping",
}


def _text_words(info: mi.StrType) -> str:
    if info.pattern:
        return PATTERNS.get(info.pattern, f"text of the form {info.pattern}")
    if info.max_length is None:
        return "text"
    return f"text of {info.min_length or 0} to {info.max_length} characters"


def _range(info: mi.IntType | mi.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge:,} to {info.le:,}"
    bounds = (("of at least", info.ge), ("above", info.gt), ("at most", info.le), ("below", info.lt))
    words = " and ".join(f"{word} {bound:,}" for word, bound in bounds if bound is not None)
    return f" {words}" if words else ""
