"""Mends a request of wrong types: what is said in another way is read, junk is dropped, breakage is named.

Place: the slow path of `codec.decode_request`, taken only when the typed decoder refuses a body.
Shapes: a mender turns one untyped JSON value into the value of a Struct field, or raises `Broken`. Menders
    are compiled once from the Struct types, so this file names no field but the firm ones.
Raises: `Violation`, when a required or firm thing cannot be read or a bound is broken.
Source: what 2,725 real requests get wrong (numbers for strings and the reverse, single values for lists,
    nulls in lists, `ext` as a string); slips in the examples of OpenRTB 2.6.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec.inspect as inspect
from msgspec import Struct, ValidationError, convert

from openrtb import request as req
from openrtb.violation import OverLimit, Violation

Mender = Callable[[object], Any]

# Losing one of these silently would bid against a rule: a signal of privacy, a block, a floor, a deal.
# Unreadable, they break the object that they stand in; what is not firm is merely dropped.
FIRM: dict[type[Struct], frozenset[str]] = {
    req.BidRequest: frozenset(["regs", "device", "test", "wseat", "bseat", "cur", "wlang", "wlangb"]).union(
        ["acat", "bcat", "cattax", "badv", "bapp"]
    ),
    req.Regs: frozenset(["coppa", "gdpr", "us_privacy", "gpp", "gpp_sid", "ext"]),
    req.RegsExt: frozenset(["coppa", "gdpr", "us_privacy", "gpp", "gpp_sid", "gpc"]),
    req.Device: frozenset(["dnt", "lmt"]),
    req.Imp: frozenset(["bidfloor", "bidfloorcur", "pmp"]),
    req.Pmp: frozenset(["private_auction", "deals"]),
    req.Deal: frozenset(["bidfloor", "bidfloorcur", "wseat", "wadomain", "mincpmpersec", "durfloors"]),
    req.DurFloors: frozenset(["mindur", "maxdur", "bidfloor"]),
    req.Banner: frozenset(["btype", "battr"]),
    req.Video: frozenset(["battr", "mincpmpersec", "durfloors"]),
    req.Audio: frozenset(["battr", "mincpmpersec", "durfloors"]),
    req.Native: frozenset(["battr"]),
}

_NUMBER = re.compile(r"\s*[+-]?\d{1,18}(\.\d{0,18})?([eE][+-]?\d{1,2})?\s*")
_WORDS = {"true": 1, "false": 0}


class Broken(Exception):
    """A value that cannot be mended: `hard` breaks the whole request, else the nearest optional field."""

    def __init__(self, rule: str, *, hard: bool = False, over_limit: bool = False) -> None:
        super().__init__(rule)
        self.rule = rule
        self.hard = hard
        self.over_limit = over_limit
        self.path: list[str] = []

    def under(self, part: str) -> Broken:
        """The same breakage, seen from one level up."""
        self.path.append(part)
        return self

    def violation(self) -> Violation:
        kind = OverLimit if self.over_limit else Violation
        return kind("".join(reversed(self.path)).removeprefix("."), self.rule)


def mend_request(value: object) -> req.BidRequest:
    """Build a request from untyped JSON; raises `Violation`."""
    try:
        request: req.BidRequest = _mend_request(value)
    except Broken as broken:
        raise broken.violation() from None
    return request


def _number(value: object) -> int | float:
    """The number that a JSON value means; raises `Broken` when it means none."""
    if isinstance(value, int | float):
        return value  # a bool is an int
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return float(value) if not value.strip().lstrip("+-").isdigit() else int(value)
        word = _WORDS.get(value.strip().lower())
        if word is not None:
            return word
    if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list):
        return _number(value[0])
    raise Broken("must be a number")


def _in_bounds(value: float, low: float | None, high: float | None) -> None:
    if low is not None and value < low:
        if low == 0:
            raise Broken("must not be negative", hard=True)
        raise Broken(f"must be at least {low:.0f}")
    if high is not None and not value <= high:
        raise Broken(f"must be at most {high:.0f}")


def _int_mender(kind: inspect.IntType) -> Mender:
    low, high = kind.ge, kind.le

    def mend(value: object) -> int:
        number = _number(value)
        _in_bounds(number, low, high)
        return int(number)

    return mend


def _float_mender(kind: inspect.FloatType) -> Mender:
    low, high = kind.ge, kind.le

    def mend(value: object) -> float:
        number = _number(value)
        _in_bounds(number, low, high)
        return float(number)

    return mend


def _text(value: object) -> str:
    """The text that a JSON value means: numbers are written out, a list of one is that one."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise Broken("must be a string")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list):
        return _text(value[0])
    raise Broken("must be a string")


def _keywords(value: object) -> str:
    """`keywords` is a comma-separated string; a list of words is seen."""
    if isinstance(value, list):
        return ",".join(_text(word) for word in value if word is not None)
    return _text(value)


def _too_long(most: int, things: str) -> Broken:
    return Broken(f"must hold at most {most} {things}", hard=True, over_limit=True)


def _text_mender(kind: inspect.StrType, read: Callable[[object], str] = _text) -> Mender:
    least, most = kind.min_length, kind.max_length
    if not least and most is None:
        return read

    def mend(value: object) -> str:
        text = read(value)
        if least and not text:
            raise Broken("must not be empty", hard=True)
        if most is not None and len(text) > most:
            raise _too_long(most, "characters")
        return text

    return mend


def _text_or_object_mender(kind: inspect.StrType) -> Mender:
    mend_text = _text_mender(kind)

    def mend(value: object) -> str | dict[str, Any]:
        if isinstance(value, dict):
            return value
        if isinstance(value, str):
            text: str = mend_text(value)
            return text
        raise Broken("must be a string or an object")

    return mend


def _items(value: object) -> list[object]:
    """The items that a JSON value means where a list is expected: a single value is a list of one."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value]


def _list_mender(kind: inspect.ListType, firm: bool) -> Mender:
    mend_item = _mender(kind.item_type, firm, "")
    of_objects = isinstance(kind.item_type, inspect.StructType)
    of_text = isinstance(kind.item_type, inspect.StrType)  # an empty word is sound, as on the fast path
    least, most = kind.min_length, kind.max_length

    def mend(value: object) -> list[Any]:
        given, items = _items(value), []
        if most is not None and len(given) - given.count(None) > most:  # before any of them costs time
            raise _too_long(most, "items")
        for i, item in enumerate(given):
            if item is None or (item == "" and not of_text):
                continue
            try:
                items.append(mend_item(item))
            except Broken as broken:
                if broken.hard or (firm and (isinstance(item, dict) or not of_objects)):
                    raise broken.under(f"[{i}]") from None
        if least is not None and len(items) < least:
            raise Broken("must not be empty", hard=True)
        return items

    return mend


def _struct_mender(kind: inspect.StructType) -> Mender:
    cls = kind.cls
    firm = FIRM.get(cls, frozenset())
    fields = [
        (f.encode_name, f.required, f.required or f.name in firm, _field_mender(f, f.name in firm))
        for f in kind.fields
    ]

    def mend(value: object) -> Struct:
        if not isinstance(value, dict):
            raise Broken("must be an object")
        try:
            return convert(value, cls, strict=False)  # most objects of a sloppy request are sound
        except ValidationError:
            pass
        values = {}
        for name, required, is_firm, mend_field in fields:
            item = value.get(name)
            if item is None:
                if required:
                    raise Broken("is required", hard=True).under(f".{name}")
                continue
            try:
                values[name] = mend_field(item)
            except Broken as broken:
                if broken.hard or (is_firm and not (name == "ext" and not isinstance(item, dict))):
                    raise broken.under(f".{name}") from None
        return cls(**values)

    return mend


def _field_mender(field: inspect.Field, firm: bool) -> Mender:
    mend = _mender(field.type, firm or field.required, field.name)
    if field.required:
        return mend
    assert isinstance(field.type, inspect.UnionType), field
    blanks: tuple[object, ...] = ("", "null", [])  # PHP writes an empty object as an empty list
    if any(isinstance(t, inspect.ListType) for t in field.type.types):
        blanks = ()
    elif any(isinstance(t, inspect.StrType) for t in field.type.types):
        blanks = ([],)

    def mend_optional(value: object) -> Any:
        return None if value in blanks else mend(value)

    return mend_optional


def _mender(kind: inspect.Type, firm: bool, name: str) -> Mender:
    """The mender of a type; null is handled by who calls it."""
    if isinstance(kind, inspect.UnionType):
        inner = [t for t in kind.types if not isinstance(t, inspect.NoneType | inspect.BoolType)]
        if len(inner) == 2:  # native.request
            return _text_or_object_mender(next(t for t in inner if isinstance(t, inspect.StrType)))
        return _mender(inner[0], firm, name)
    if isinstance(kind, inspect.StrType):
        return _text_mender(kind, _keywords if name == "keywords" else _text)
    if isinstance(kind, inspect.IntType):
        return _int_mender(kind)
    if isinstance(kind, inspect.FloatType):
        return _float_mender(kind)
    if isinstance(kind, inspect.ListType):
        return _list_mender(kind, firm)
    assert isinstance(kind, inspect.StructType), kind
    return _struct_mender(kind)


_mend_request = _mender(inspect.type_info(req.BidRequest), True, "")
