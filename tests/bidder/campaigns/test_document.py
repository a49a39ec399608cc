"""One YAML file into nodes: lines, values, hostile input, limits at their edge, any bytes at all."""

import random
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bidder.campaigns import document
from bidder.campaigns.document import MAX_DEPTH, MAX_FILE_BYTES, MAX_NUMBER_LENGTH, parse, read
from bidder.campaigns.located import MAX_PROBLEMS, MAX_SHOWN, Node, Problems, field_text
from tests.bidder.campaigns.written import BOOK, RICH

LOADERS = [loader for loader in (getattr(yaml, "CSafeLoader", None), yaml.SafeLoader) if loader]
"""libyaml's where PyYAML was built with it, and the one in Python."""


def plain(node: Node) -> object:
    """A node as plain values."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def parsed(text: str | bytes) -> tuple[Node | None, list[str]]:
    """The root and the problems."""
    problems = Problems()
    root = parse(text.encode() if isinstance(text, str) else text, "f.yaml", problems)
    return root, list(map(str, problems.listed()))


def value(text: str) -> object:
    """What a text without problems holds."""
    root, problems = parsed(text)
    assert problems == []
    assert root is not None
    return plain(root)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", "abc"),
        ("'7'", "7"),
        ("! 7", "7"),
        ("!!str 7", "7"),
        ("7", 7),
        ("-7", -7),
        ("1_000", 1000),
        ("0x1F", 31),
        ("010", 8),
        ("7.50", 7.5),
        ("1.0e+3", 1000.0),
        ("1e3", "1e3"),
        ("10:30", "10:30"),
        ("190:20:30.15", "190:20:30.15"),
        ("08-20", "08-20"),
        ("2026-11-01", "2026-11-01"),
        ("2026-11-01T08:00:00+01:00", "2026-11-01T08:00:00+01:00"),
        ("NO", False),
        ("on", True),
        ("y", "y"),
        ("~", None),
        ("null", None),
        ("", None),
        ("=", "="),
        ("|\n    two\n    lines\n", "two\nlines\n"),
        ("{b: [1, {c: d}]}", {"b": [1, {"c": "d"}]}),
        ("&x [1]", [1]),
    ],
)
def test_scalars(text: str, expected: object) -> None:
    """Values are those of YAML 1.1, but times of day and dates stay text, as people mean them."""
    assert value(f"a: {text}\n") == {"a": expected}


def test_lines_and_sizes() -> None:
    """Each node knows its line; its size counts aliases in full; a number keeps how it was written."""
    root, _ = parsed("# head\na: &x\n  - 01067\n  - NO\nb: [*x, *x]\n")
    assert root is not None
    assert isinstance(root.value, dict)
    a, b = root.value["a"], root.value["b"]
    assert isinstance(a.value, list)
    assert isinstance(b.value, list)
    assert (root.line, a.line, b.line) == (2, 2, 5)
    assert [(child.line, child.text) for child in a.value] == [(3, "01067"), (4, "NO")]
    assert b.value[0] is a
    assert (a.size, b.size, root.size) == (3, 7, 11)
    assert root.key_lines == {"a": 2, "b": 5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\n", {"x": 1, "y": 3}),
        ("base: &b {x: 1}\nmore: &m {x: 2, z: 4}\nown: {<<: [*b, *m], y: 3}\n", {"x": 1, "y": 3, "z": 4}),
        ("own: {x: 1, <<: {x: 2, y: 2}}\n", {"x": 1, "y": 2}),
    ],
)
def test_merges(text: str, expected: object) -> None:
    """`<<` fills what a mapping does not say itself; of several, the first wins."""
    root = value(text)
    assert isinstance(root, dict)
    assert root["own"] == expected


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f.yaml:1: holds nothing"),
        ("# only words\n", "f.yaml:1: holds nothing"),
        (b"a: 1\nb: \xff", "f.yaml:2: not UTF-8 text"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: a second document: one file holds one"),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: stands twice (first in line 1)"),
        ("a: [{b: 1, b: 2}]", "f.yaml:1: a[0].b: stands twice (first in line 1)"),
        ("a: !!python/object/apply:os.system [id]", "the tag !!python/object/apply:os.system is not allowed"),
        ("a: !!python/name:os.system x", "f.yaml:1: a: the tag !!python/name:os.system is not allowed"),
        ("!!python/name:os.system a: x", "the tag !!python/name:os.system is not allowed: plain values only"),
        ("a: !secret x", "f.yaml:1: a: the tag !secret is not allowed: plain values only"),
        ("a: !!binary aGk=", "f.yaml:1: a: the tag !!binary is not allowed: plain values only"),
        ("a: !!set {x}", "f.yaml:1: a: the tag !!set is not allowed: plain values only"),
        ("a: !!seq {x: 1}", "f.yaml:1: a: the tag !!seq is not allowed: plain values only"),
        (
            "!!python/object/apply:os.system [id]",
            "f.yaml:1: the tag !!python/object/apply:os.system is not allowed",
        ),
        ("!!python/object:a {b: c}", "f.yaml:1: the tag !!python/object:a is not allowed: plain values only"),
        ("!!binary aGk=", "f.yaml:1: the tag !!binary is not allowed: plain values only"),
        (".nan", "f.yaml:1: not a finite number: .nan"),
        ("a: !!int x", "f.yaml:1: a: not a number: x"),
        ("a: !!float ''", "f.yaml:1: a: not a number: "),
        ("a: !!bool perhaps", "f.yaml:1: a: the tag !!bool is not allowed"),
        ("a: 0b_", "f.yaml:1: a: not a number: 0b_"),
        ("a: .nan", "f.yaml:1: a: not a finite number: .nan"),
        ("a: [1, -.inf]", "f.yaml:1: a[1]: not a finite number: -.inf"),
        ("a: 1.0e+999", "f.yaml:1: a: not a finite number: 1.0e+999"),
        ("a: *b", "f.yaml:1: no anchor &b stands before this alias"),
        ("a: &b [*b]", "f.yaml:1: the alias *b stands inside what it stands for"),
        ("a: &b {c: [1, {d: *b}]}", "f.yaml:1: the alias *b stands inside what it stands for"),
        ("a: &b\n  <<: *b\n", "f.yaml:2: the alias *b stands inside what it stands for"),
        ("a: {<<: 3}", "f.yaml:1: a.<<: expected mappings to merge"),
        ("a: {<<: [{b: 1}, 3]}", "f.yaml:1: a.<<: expected mappings to merge"),
        ("? [a]\n: b\n", "f.yaml:1: a key must be text"),
        ("? {a: b}\n: c\n", "f.yaml:1: a key must be text"),
        ("a: &x b\n*x : c\n", "f.yaml:2: a key must be text"),
    ],
)
def test_what_is_refused(loader: type, text: str | bytes, problem: str) -> None:
    """Hostile and mistaken YAML is told with its line, whichever parser reads it; nothing is ever built from a tag."""
    with patch.object(document, "_LOADER", loader):
        _, problems = parsed(text)
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "text",
    ["a: [", "a: 'x", "\tb: 1", "a: b: c", "%YAML 9.9\n---\na: 1", "a\0b", "a: \x1b[2J", "a: @b", "- a\nb: c", "{a]"],
)  # fmt: skip
def test_what_is_not_yaml(loader: type, text: str) -> None:
    """Text that is no YAML is one problem that says so."""
    with patch.object(document, "_LOADER", loader):
        root, problems = parsed(text)
    assert root is None or text == "\tb: 1"
    assert len(problems) == 1
    assert "not YAML: " in problems[0]


def test_half_a_character() -> None:
    """The parser in Python lets a lone surrogate through as an escape: told, and printable."""
    with patch.object(document, "_LOADER", yaml.SafeLoader):
        assert parsed('a: "\\ud800"')[1] == ["f.yaml:1: a: holds half of a character (a lone surrogate)"]
        problems = Problems()
        root = parse(b'"a\\ud800": 1', "f.yaml", problems)
    assert root is not None
    assert isinstance(root.value, dict)
    problems.add("f.yaml", 1, field_text(tuple(root.value)), "unknown")
    assert str(problems.listed()[-1]).encode() == b"f.yaml:1: a\\ud800: unknown"


def test_a_byte_order_mark_is_no_text() -> None:
    """Files of some editors begin with one."""
    assert parsed("\ufeffa: 1")[1] == []


def nested(depth: int) -> str:
    """A value that many lists deep."""
    return "[" * depth + "1" + "]" * depth


def test_depth_at_its_edge() -> None:
    """MAX_DEPTH collections within each other pass, one more does not; a bomb of brackets stops there too."""
    assert parsed(nested(MAX_DEPTH))[1] == []
    for depth in (MAX_DEPTH + 1, 5_000):
        assert parsed(nested(depth)) == (None, [f"f.yaml:1: nested deeper than {MAX_DEPTH}"])


def test_length_of_numbers_at_its_edge() -> None:
    """A number of MAX_NUMBER_LENGTH characters passes, a longer one does not; text may be longer."""
    assert value("a: " + "9" * MAX_NUMBER_LENGTH) == {"a": int("9" * MAX_NUMBER_LENGTH)}
    long = "9" * (MAX_NUMBER_LENGTH + 1)
    assert parsed(f"a: {long}")[1] == [f"f.yaml:1: a: a number of more than {MAX_NUMBER_LENGTH} characters"]
    assert value(f"a: '{long}'") == {"a": long}


def test_count_of_values_at_its_edge() -> None:
    """Values are counted one by one, and again with aliases written out."""
    with patch.object(document, "MAX_NODES", 10):
        assert parsed("a: [1, 2, 3, 4, 5, 6, 7, 8]")[1] == []
        assert parsed("a: [1, 2, 3, 4, 5, 6, 7, 8, 9]")[1] == [
            "f.yaml:1: more than 10 values: divide it into several files"
        ]
        assert parsed("a: &x [1, 2]\nb: [*x, *x]")[1] == [
            "f.yaml:1: more than 10 values, its aliases written out"
        ]
        assert parsed("a: &x [1]\nb: [*x, *x, 1]")[1] == []


def test_a_billion_laughs() -> None:
    """Aliases of aliases stop at the limit, in no time and memory."""
    levels = ["a0: &a0 [lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20)]
    root, problems = parsed("\n".join(levels))
    assert root is None
    assert problems == ["f.yaml:8: more than 4,000,000 values, its aliases written out"]


def test_size_at_its_edge(tmp_path: Path) -> None:
    """A file of MAX_FILE_BYTES is read, a larger one is not."""
    file = tmp_path / "f.yaml"
    comment = b"# " + b"x" * 61 + b"\n"
    file.write_bytes(b"a: 1\n" + comment * ((MAX_FILE_BYTES - 5) // 64))
    for size, expected in (
        (MAX_FILE_BYTES, []),
        (MAX_FILE_BYTES + 1, ["f.yaml: larger than 64 MiB: divide it into several"]),
    ):
        with file.open("ab") as end:
            end.write(b"\n" * (size - file.stat().st_size))
        problems = Problems()
        read(file, problems)
        assert list(map(str, problems.listed())) == expected


@pytest.mark.parametrize(("name", "words"), [("absent.yaml", "No such file"), ("", "Is a directory")])
def test_files_that_cannot_be_read(name: str, words: str, tmp_path: Path) -> None:
    """An absent file and a folder are problems, not errors."""
    problems = Problems()
    assert read(tmp_path / name, problems) is None
    (problem,) = problems.listed()
    assert words in str(problem)


def test_problems_at_their_edge() -> None:
    """MAX_PROBLEMS are kept, the rest is counted in one last line; a field is told of once."""
    problems = Problems()
    for line in range(MAX_PROBLEMS):
        problems.add("f", line + 1, "x", "bad")
        problems.add("f", line + 1, "x", "worse")
    assert len(problems.listed()) == MAX_PROBLEMS
    problems.add("f", 1, "y", "bad")
    problems.add("f", 2, "y", "bad")
    assert str(problems.listed()[-1]) == "f: and 2 more problems"
    assert problems.count == 2 * MAX_PROBLEMS + 2
    assert {problem.message for problem in problems.listed()[:-1]} == {"bad"}


def test_a_problem_is_one_line_and_obeyed_by_no_terminal() -> None:
    """Keys and values of a hostile file are shown escaped, and long ones in part."""
    problems = Problems()
    problems.add("f\x1b[2J", 1, field_text(("a\nb", 0, "k" * 9_999)), "\u202ebad\udcff")
    (text,) = map(str, problems.listed())
    assert text == f"f\\x1b[2J:1: a\\nb[0].{'k' * MAX_SHOWN}: \\u202ebad\\udcff"


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("text", [BOOK, RICH])
def test_the_same_values_as_by_the_safe_loader(loader: type, text: str) -> None:
    """Where the text holds neither dates nor times of day, the tree is what PyYAML makes of it."""
    text = "\n".join(line for line in text.splitlines() if "T00:00:00" not in line)
    with patch.object(document, "_LOADER", loader):
        assert value(text) == yaml.safe_load(text)


@pytest.mark.parametrize("loader", LOADERS)
@given(data=st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes(loader: type, data: bytes) -> None:
    """Whatever the bytes are: a tree, or problems of one line each."""
    with patch.object(document, "_LOADER", loader):
        root, problems = parsed(data)
    assert root is not None or problems
    assert all(problem.isprintable() and problem.startswith("f.yaml") for problem in problems)


@pytest.mark.parametrize("loader", LOADERS)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_mutated_bytes(loader: type, seed: int, count: int) -> None:
    """A real file with some bytes changed, dropped or doubled: a tree or problems, and every line is in the file."""
    rng = random.Random(seed)
    data = bytearray(RICH.encode())
    for _ in range(count):
        place, size = rng.randrange(len(data)), rng.randrange(1, 20)
        piece = rng.choice(
            (b"", bytes(rng.randbytes(1)), b"&a ", b"*a ", b"!!int ", b"<<: ", b"[", b"}", b"\n", b": ")
        )
        data[place : place + rng.choice((0, size))] = piece or data[place : place + size] * 2
    problems = Problems()
    with patch.object(document, "_LOADER", loader):
        root = parse(bytes(data), "f.yaml", problems)
    assert root is not None or problems.count
    assert all(0 <= problem.line <= len(data.splitlines()) + 1 for problem in problems.listed())
