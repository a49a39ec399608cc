"""The scripts of the people store: their text, the digest that calls them, and commands packed around it.

Place: stores/people and stores/frequency_writer pack commands here.
Shapes: a packed call is `head` and what follows it: keys and arguments, each with its length. A server that does
    not know a script answers NOSCRIPT; the same call with the text in place of the digest teaches it. That happens
    once in a server's life, so nothing is loaded before it is needed.
Source: EVALSHA, SCRIPT LOAD, NOSCRIPT in the documentation of Redis and Valkey.
"""

import hashlib
from functools import cache
from importlib import resources
from typing import Final

NO_SCRIPT: Final = "NOSCRIPT"


class Script:
    """One script; `libraries` are the files that stand before its own."""

    __slots__ = ("_name", "digest", "text")

    def __init__(self, name: str, libraries: tuple[str, ...]) -> None:
        folder = resources.files("bidder.stores").joinpath("lua")
        texts = [folder.joinpath(f"{each}.lua").read_text(encoding="utf-8") for each in (*libraries, name)]
        self._name = name
        self.text = "".join(texts).encode()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()

    def head(self, keys: int, arguments: int) -> bytes:
        """The packed call with so many keys and arguments to come."""
        return b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n%b" % (
            3 + keys + arguments,
            self.digest,
            bulk(b"%d" % keys),
        )

    def with_text(self, command: bytes) -> bytes:
        """The same call with the script's text, for a server that does not know it."""
        count, _, rest = command.partition(b"\r\n$7\r\nEVALSHA\r\n$40\r\n")
        return b"%b\r\n$4\r\nEVAL\r\n%b%b" % (count, bulk(self.text), rest[len(self.digest) + 2 :])


def bulk(text: bytes) -> bytes:
    """One argument as it goes over the wire."""
    return b"$%d\r\n%b\r\n" % (len(text), text)


READ: Final = Script("frequency_read", ("frequency_marks",))
MATCH: Final = Script("frequency_match", ("frequency_marks",))
END: Final = Script("frequency_end", ("frequency_log",))
VIEW: Final = Script("frequency_view", ("frequency_log",))
DROP: Final = Script("frequency_drop", ("frequency_log",))
PROLONG: Final = Script("frequency_prolong", ("frequency_log",))
SCRIPTS: Final = (READ, MATCH, END, VIEW, DROP, PROLONG)
_BY_DIGEST: Final = {script.digest: script for script in SCRIPTS}


@cache
def number(value: int) -> bytes:
    """A small whole number as an argument: of impressions, or of a setting."""
    return bulk(b"%d" % value)


def with_text(command: bytes) -> bytes:
    """A packed call of any script of ours with its text in place of its digest."""
    at = command.index(b"$40\r\n") + 5
    return _BY_DIGEST[command[at : at + 40]].with_text(command)
