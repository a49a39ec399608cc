"""One YAML file into nodes that know their lines, whatever the bytes are.

Place: load.py and rates.py read their files here.
Limits: MAX_FILE_BYTES, MAX_DEPTH, MAX_NUMBER_LENGTH; MAX_NODES with every alias written out, which is where
    a "billion laughs" stops.
Never: builds an object that a tag asks for: plain values only. Raises nothing: problems are noted.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import yaml

from bidder.campaigns.located import Node, Problems, Scalar, field_text

MAX_FILE_BYTES = 64 * 1024 * 1024  # some 30,000 line items; a larger book is several files
MAX_DEPTH = 24  # the schema is 9 deep
MAX_NODES = 4_000_000  # values of one file; the schema needs about 60 per line item
MAX_NUMBER_LENGTH = 40  # characters; no amount or coordinate needs more

_PREFIX = "tag:yaml.org,2002:"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_resolver = yaml.resolver.Resolver()
_BOOLEANS = yaml.constructor.SafeConstructor.bool_values


def read(path: Path, problems: Problems) -> Node | None:
    """The one document of a file; None, with the problem noted, where it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        problems.add(path.name, 0, "", f"cannot be read: {error.strerror or error}")
        return None
    return parse(data, path.name, problems)


def parse(data: bytes, file: str, problems: Problems) -> Node | None:
    """The one document in some bytes of UTF-8, as far as it makes sense; None where there is none.

    Every problem is noted; a scalar that cannot be read is null in the tree.
    """
    if len(data) > MAX_FILE_BYTES:
        problems.add(file, 0, "", f"larger than {MAX_FILE_BYTES // 1024 // 1024} MiB: divide it into several")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.add(file, data.count(b"\n", 0, error.start) + 1, "", "not UTF-8 text")
        return None
    composer = _Composer(file, problems)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.add(file, _line(mark), "", f"not YAML: {error.problem or error.context}")
        return None
    except yaml.YAMLError as error:
        problems.add(file, 0, "", f"not YAML: {str(error).splitlines()[0]}")
        return None
    if composer.root is None:
        problems.add(file, 1, "", "holds nothing")
    return composer.root


class _Stop(Exception):
    """A problem that makes the rest of a file meaningless."""


class _Composer:
    """Builds nodes from parser events, without recursion."""

    def __init__(self, file: str, problems: Problems) -> None:
        self.root: Node | None = None
        self._file = file
        self._problems = problems
        self._open: list[tuple[Node, str | None]] = []
        self._key: str | None = None
        self._anchors: dict[str, Node] = {}
        self._count = 0

    def take(self, event: yaml.Event) -> None:
        """The next event of the document."""
        line = _line(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._aliased(str(event.anchor), line), line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event.tag, "seq", line)
            self._begin(Node(line, [], size=0), event.anchor, line)
        elif isinstance(event, yaml.MappingStartEvent):
            self._check_tag(event.tag, "map", line)
            self._begin(Node(line, {}, size=0, key_lines={}), event.anchor, line)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._end()
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._stop(line, "a second document: one file holds one")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if self._open and self._key is None and isinstance(self._open[-1][0].value, dict):
            self._check_tag(event.tag, "str", line)
            self._begin_key(event.value, line)
            return
        node = self._resolved(event, line)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._place(node, line)

    def _resolved(self, event: yaml.ScalarEvent, line: int) -> Node:
        text: str = event.value
        tag = event.tag
        if tag is None or tag == "!":
            tag = _plain_tag(text) if tag is None and event.implicit[0] else _PREFIX + "str"
        try:
            value = scalar(tag, text)
        except ValueError as error:
            self._problems.add(self._file, line, self._where(), str(error))
            value = None
        return Node(line, value, "" if isinstance(value, str) else text)

    def _begin_key(self, key: str, line: int) -> None:
        node = self._open[-1][0]
        if node.key_lines is None:
            raise AssertionError("a mapping keeps its keys' lines")
        if key in node.key_lines:
            self._problems.add(
                self._file, line, self._where(key), f"stands twice (first in line {node.key_lines[key]})"
            )
        node.key_lines[key] = line
        self._key = key

    def _begin(self, node: Node, anchor: str | None, line: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._stop(line, f"nested deeper than {MAX_DEPTH}")
        if anchor:
            self._anchors[anchor] = node
        self._place(node, line)
        self._open.append((node, self._key))
        self._key = None

    def _place(self, node: Node, line: int) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            self._stop(line, f"more than {MAX_NODES:,} values: divide it into several files")
        if not self._open:
            self.root = node
            return
        parent = self._open[-1][0].value
        if isinstance(parent, list):
            parent.append(node)
        elif isinstance(parent, dict):
            if self._key is None:
                self._stop(line, "a key must be text")
            parent[str(self._key)] = node
            if node.size:
                self._key = None

    def _end(self) -> None:
        node = self._open[-1][0]
        self._key = None
        if isinstance(node.value, dict):
            self._merge(node.value)
            children: Iterable[Node] = node.value.values()
        else:
            children = node.value if isinstance(node.value, list) else ()
        self._open.pop()
        node.size = 1 + sum(child.size for child in children)
        if node.size > MAX_NODES:
            self._stop(node.line, f"more than {MAX_NODES:,} values, its aliases written out")

    def _merge(self, entries: dict[str, Node]) -> None:
        merged = entries.pop("<<", None)
        if merged is None:
            return
        for source in merged.value if isinstance(merged.value, list) else [merged]:
            if not isinstance(source.value, dict):
                self._problems.add(self._file, source.line, self._where("<<"), "expected mappings to merge")
                continue
            for key, child in source.value.items():
                entries.setdefault(key, child)

    def _aliased(self, anchor: str, line: int) -> Node:
        node = self._anchors.get(anchor)
        if node is None:
            self._stop(line, f"no anchor &{anchor} stands before this alias")
        if not node.size:
            self._stop(line, f"the alias *{anchor} stands inside what it stands for")
        return node

    def _check_tag(self, tag: str | None, kind: str, line: int) -> None:
        if tag not in (None, "!", _PREFIX + kind):
            self._problems.add(self._file, line, self._where(), _tag_words(str(tag)))

    def _where(self, last: str | None = None) -> str:
        """The path of the value that is being read; "" of the document itself."""
        if not self._open:
            return ""
        path: list[str | int] = []
        keys = [key for _, key in self._open[1:]] + [last or self._key]
        for (node, _), key in zip(self._open, keys, strict=True):
            if isinstance(node.value, list):
                path.append(len(node.value) - (len(path) < len(self._open) - 1))
            elif key is not None:
                path.append(key)
        return field_text(tuple(path))

    def _stop(self, line: int, message: str) -> NoReturn:
        self._problems.add(self._file, line, "", message)
        raise _Stop


def _plain_tag(text: str) -> str:
    """What a plain scalar is by YAML 1.1."""
    return str(_resolver.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]  # stubs


def scalar(tag: str, text: str) -> Scalar:
    """The value of a scalar by its tag; raises ValueError with words for a person."""
    kind = tag.removeprefix(_PREFIX)
    if kind in ("str", "timestamp", "value", "merge"):
        return _text(text)
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in _BOOLEANS:
        return bool(_BOOLEANS[text.lower()])
    if kind in ("int", "float"):
        return _number(kind, text)
    raise ValueError(_tag_words(tag))


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a character (a lone surrogate)") from None
    return text


def _number(kind: str, text: str) -> Scalar:
    if ":" in text:  # YAML 1.1 reads 10:30 as 630 seconds or minutes; nobody means that
        return text
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError(f"a number of more than {MAX_NUMBER_LENGTH} characters")
    constructor = yaml.constructor.SafeConstructor()
    node = yaml.ScalarNode(_PREFIX + kind, text)
    try:
        if kind == "int":
            return int(constructor.construct_yaml_int(node))
        number = float(constructor.construct_yaml_float(node))
    except (ValueError, IndexError):
        raise ValueError(f"not a number: {text}") from None
    if not math.isfinite(number):
        raise ValueError(f"not a finite number: {text}")
    return number


def _tag_words(tag: str) -> str:
    return f"the tag {tag.replace(_PREFIX, '!!')[:60]} is not allowed: plain values only"


def _line(mark: "yaml.Mark | yaml._yaml.Mark | None") -> int:
    return mark.line + 1 if mark else 0
