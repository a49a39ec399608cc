"""Structs out of located nodes: every field converted on its own, so that every mistake is found in one go.

Place: load.py builds advertisers, rates.py a table of rates.
Shapes: a Filler knows one file; a rule sees a value that has its type, and At, the place where it stands. The rule
    of a Struct sees no field that broke a rule of its own.
Limits: those of the types; the words for each are made here.
Never: knows what a campaign is: rules are given to it by type, or by (type, field).
"""

import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

from bidder.campaigns.located import Node, Problems, Steps, field_text
from bidder.campaigns.wording import mismatch

S = TypeVar("S", bound=Struct)

# What a field holds decides how it is converted.
_STRUCT, _STRUCTS, _ITEMS, _TABLE, _LEAF = range(5)


class At(Struct, frozen=True, gc=False):
    """Where a value stands: its node, the steps to it, and the file that it is of."""

    node: Node
    steps: Steps
    filler: "Filler"

    def wrong(self, message: str, *steps: str | int) -> None:
        """Note a problem here, or some steps further in; the line is that of the last step that exists."""
        line, field = self._place(steps)
        self.filler.problems.add(self.filler.file, line, field, message)

    def advise(self, message: str, *steps: str | int) -> None:
        """Note what works and is probably not meant."""
        line, field = self._place(steps)
        self.filler.problems.advise(self.filler.file, line, field, message)

    def _place(self, steps: Steps) -> tuple[int, str]:
        node, taken = self.node, list(self.steps)
        for step in steps:
            if isinstance(node.value, list) and isinstance(step, str):
                continue  # a plain list stands for the one field that it is short for
            taken.append(step)
            node = _child(node, step) or node
        return node.line, field_text(tuple(taken))


Rule = Callable[[Any, At], None]
Rules = Mapping[object, Rule]


class Filler:
    """Builds Structs from the nodes of one file and notes every problem."""

    def __init__(self, file: str, problems: Problems, rules: Rules, short: Mapping[type, str]) -> None:
        self.file = file
        self.problems = problems
        self._rules = rules
        self._short = short
        """Struct types that a plain list may stand for, and the field which it then is."""

    def struct(self, cls: type[S], node: Node, steps: Steps) -> S | None:
        """A Struct, or None where something in it is wrong; then the problems are noted."""
        at = At(node, steps, self)
        before = self.problems.count
        value = self._value(cls, node, steps)
        if value is not None and cls in self._rules:
            self._rules[cls](value, at)
        return value if self.problems.count == before else None

    def _value(self, cls: type[S], node: Node, steps: Steps) -> S | None:
        entries = node.value
        if isinstance(entries, list) and cls in self._short:
            field = self._short[cls]
            made = self._field(cls, field, node, steps)
            return None if made is _BROKEN else cls(**{field: made})
        if not isinstance(entries, dict):
            words = "a list or a mapping of fields" if cls in self._short else "a mapping of fields"
            self._wrong(node, steps, mismatch(words, node))
            return None
        before = self.problems.count
        hints = _hints(cls)
        values: dict[str, Any] = {}
        for name, child in entries.items():
            if name not in hints:
                self._unknown(node, (*steps, name), tuple(hints))
            else:
                values[name] = self._field(cls, name, child, (*steps, name))
        for name in _required(cls):
            if name not in entries:
                self._wrong(node, (*steps, name), "is missing")
        if self.problems.count == before:
            return cls(**values)
        return self._partly(cls, values, entries)

    def _partly(self, cls: type[S], values: dict[str, Any], entries: Mapping[str, Node]) -> S | None:
        """A Struct whose only faults lie in its lists of Structs, so that its own rule can still be asked."""
        hints = _hints(cls)
        for name, value in values.items():
            if value is _BROKEN:
                if _kind(hints[name])[0] != _STRUCTS:
                    return None
                values[name] = ()
        return cls(**values) if all(name in entries for name in _required(cls)) else None

    def _field(self, cls: type, name: str, node: Node, steps: Steps) -> object:
        hint = _hints(cls)[name]
        kind, inner, optional = _kind(hint)
        if optional and node.value is None:
            return None
        if kind == _STRUCT:
            value: object = self.struct(inner, node, steps) or _BROKEN
        elif kind in (_STRUCTS, _ITEMS):
            value = self._list(hint, node, steps)
        elif kind == _TABLE:
            value = self._table(inner, node, steps)
        else:
            value = self._leaf(hint, node, steps)
        rule = self._rules.get((cls, name))
        if rule is not None and value is not _BROKEN:
            before = self.problems.count
            rule(value, At(node, steps, self))
            if self.problems.count > before:
                return _BROKEN
        return value

    def _list(self, hint: object, node: Node, steps: Steps) -> object:
        kind, inner, _ = _kind(hint)
        if not isinstance(node.value, list):
            return self._wrong(node, steps, mismatch("a list", node))
        values: list[object] = []
        for i, item in enumerate(node.value):
            if kind == _STRUCTS:
                values.append(self.struct(inner, item, (*steps, i)) or _BROKEN)
            else:
                values.append(self._leaf(inner, item, (*steps, i)))
        low, high = _lengths(hint)
        if not low <= len(values) <= high:
            words = f"at least {low}" if len(values) < low else f"at most {high}"
            return self._wrong(node, steps, f"expected {words}, found {len(values)}")
        return _BROKEN if _BROKEN in values else tuple(values)

    def _table(self, hint: object, node: Node, steps: Steps) -> object:
        if not isinstance(node.value, dict):
            return self._wrong(node, steps, mismatch("a mapping", node))
        values = {key: self._leaf(hint, item, (*steps, key)) for key, item in node.value.items()}
        return _BROKEN if _BROKEN in values.values() else values

    def _leaf(self, hint: object, node: Node, steps: Steps) -> object:
        if isinstance(node.value, list | dict):
            return self._wrong(node, steps, mismatch(hint, node))
        try:
            return msgspec.convert(node.value, hint)
        except msgspec.ValidationError:
            return self._wrong(node, steps, mismatch(hint, node))

    def _unknown(self, node: Node, steps: Steps, known: tuple[str, ...]) -> None:
        line = (node.key_lines or {}).get(str(steps[-1]), node.line)
        message = f"unknown field; known: {', '.join(known)}"
        self.problems.add(self.file, line, field_text(steps), message)

    def _wrong(self, node: Node, steps: Steps, message: str) -> object:
        self.problems.add(self.file, node.line, field_text(steps), message)
        return _BROKEN


class _Broken:
    """Stands where a value could not be made."""


_BROKEN = _Broken()


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node.value, dict):
        return node.value.get(str(step))
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@cache
def _required(cls: type) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in msgspec.structs.fields(cls)
        if field.default is NODEFAULT and field.default_factory is NODEFAULT
    )


def _bare(hint: Any) -> Any:
    """A hint without its Annotated and None."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (types.UnionType, Union):
        inner = [arm for arm in get_args(hint) if arm is not type(None)]
        return _bare(inner[0]) if len(inner) == 1 else hint
    return hint


@cache
def _kind(hint: Any) -> tuple[int, Any, bool]:
    """How a field is converted, the type of what it holds, and whether it may be null."""
    optional = get_origin(hint) in (types.UnionType, Union) and type(None) in get_args(hint)
    bare = _bare(hint)
    if isinstance(bare, type) and issubclass(bare, Struct):
        return _STRUCT, bare, optional
    if get_origin(bare) is tuple:
        inner = get_args(bare)[0]
        held = _bare(inner)
        is_struct = isinstance(held, type) and get_origin(held) is None and issubclass(held, Struct)
        return (_STRUCTS, held, optional) if is_struct else (_ITEMS, inner, optional)
    if get_origin(bare) is dict:
        return _TABLE, get_args(bare)[1], optional
    return _LEAF, hint, optional


@cache
def _lengths(hint: Any) -> tuple[int, int]:
    """The fewest and most items of a list."""
    info = msgspec.inspect.type_info(hint)
    arms = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    for arm in arms:
        if isinstance(arm, msgspec.inspect.VarTupleType):
            return arm.min_length or 0, 1_000_000 if arm.max_length is None else arm.max_length
    return 0, 1_000_000
