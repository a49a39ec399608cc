"""A problem and its place, and values that know their lines.

Place: document.py reads files into nodes; structs.py fills Structs from them; both note problems here.
Shapes: a node's value is a scalar, a list of nodes or a dict from key to node; an alias is the same node.
Limits: MAX_PROBLEMS are kept, the rest is counted; a path shows MAX_SHOWN characters of a key.
"""

from collections.abc import Iterable

from msgspec import Struct

MAX_PROBLEMS = 200  # a person mends a few and looks again
MAX_SHOWN = 100  # characters of a key; the longest of the schema has 18

Scalar = str | int | float | bool | None
Steps = tuple[str | int, ...]
"""Keys and places in lists, from the top of a file to a value."""


class Problem(Struct, frozen=True, order=True):
    """One mistake and its place; line 0 and an empty field where there is none."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return _printable(
            f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"
        )


def _printable(text: str) -> str:
    """One line that no terminal obeys: what cannot be printed is escaped."""
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


class LocatedError(Exception):
    """A file cannot be used; `problems` says where and why, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Problems:
    """The problems found so far: one per field, and beyond MAX_PROBLEMS they are only counted."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, str], Problem] = {}
        self._advice: list[Problem] = []
        self._dropped = 0
        self.count = 0
        """Grows with each problem that is noted, also with a second one of a field."""

    def add(self, file: str, line: int, field: str, message: str) -> None:
        """Note a mistake."""
        self.count += 1
        if (file, line, field) in self._found:
            return
        if len(self._found) < MAX_PROBLEMS:
            self._found[file, line, field] = Problem(file, line, field, message)
        else:
            self._dropped += 1

    def advise(self, file: str, line: int, field: str, message: str) -> None:
        """Note what works and is probably not meant."""
        if len(self._advice) < MAX_PROBLEMS:
            self._advice.append(Problem(file, line, field, message))

    def advised(self) -> list[Problem]:
        """The advice by file and line."""
        return sorted(self._advice)

    def listed(self) -> list[Problem]:
        """The problems by file and line, with a last one for those that were only counted."""
        listed = sorted(self._found.values())
        if self._dropped:
            listed.append(Problem(listed[-1].file, 0, "", f"and {self._dropped} more problems"))
        return listed


class Node(Struct, gc=False):
    """One value and its line."""

    line: int
    value: "Scalar | list[Node] | dict[str, Node]"
    text: str = ""
    """A scalar as it was written, where it is not text."""
    size: int = 1
    """Values in it, itself included, aliases counted in full; 0 while it is being read."""
    key_lines: dict[str, int] | None = None


def field_text(path: Steps) -> str:
    """A path for a person to read: advertisers[0].name."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part[:MAX_SHOWN]}" for part in path]
    return "".join(parts).removeprefix(".")
