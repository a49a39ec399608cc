"""Logs: JSON lines on stderr, plain text at a terminal; secrets struck out, floods held back.

Place: each process configures itself once; modules write with `logging.getLogger(__name__)`.
Shapes: one line is {"time", "level", "process", "logger", "message"} and, where there is one, "error"; an operator's
    deed stands in "deed", too.
Limits: LINES_PER_WINDOW lines of one place in the code within WINDOW_S; what was held back is counted and
    said on the next line that passes. A line is cut at MAX_LINE characters.
Never: an identifier of a person: nobody logs one, and aiohttp's own loggers, which name clients, are silent.
"""

import logging
import re
import sys
import time
from typing import Final, TextIO

import msgspec

LINES_PER_WINDOW: Final = 10
WINDOW_S: Final = 10.0
MAX_LINE: Final = 8_192
MAX_PLACES: Final = 1_000
"""Places remembered at once; past it all are forgotten, which lets a few more lines through."""

_STRUCK: Final = (
    (re.compile(r"((?<!\w)\w++://)[^/\s@]++@"), r"\1***@"),  # user and password of a URL
    (re.compile(r"\b[0-9a-fA-F]{48,}\b"), "***"),  # a key in hexadecimal
    (re.compile(r"([?&]t=)[\w-]{16,}"), r"\1***"),  # a bid's token
    (re.compile(r"\bplo1\.[\w.-]{16,}"), "***"),  # an operator's token
)
_SILENT: Final = ("aiohttp.access", "aiohttp.server", "aiohttp.web")
"""Loggers that may name a client's address: only what is as grave as CRITICAL passes."""


def redact(text: str) -> str:
    """The text without passwords of URLs, keys and tokens."""
    for pattern, replacement in _STRUCK:
        text = pattern.sub(replacement, text)
    return text


AUDIT: Final = "bidder.rights.audit"
"""The logger of what was done for whom."""
DEEDS: Final = "bidder.audit"
"""The logger of what operators did (deeds.py)."""
AUDITS: Final = (AUDIT, DEEDS)
"""None of their lines is ever held back, nor below the level that is shown."""


class RateLimit(logging.Filter):
    """Lets through so many lines of one place per window, and tells how many it held back."""

    def __init__(self, lines: int = LINES_PER_WINDOW, window_s: float = WINDOW_S) -> None:
        super().__init__()
        self._lines, self._window_s = lines, window_s
        self._places: dict[tuple[str, int], list[float]] = {}  # window's start, passed, held back

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line passes."""
        if record.levelno >= logging.CRITICAL or record.name in AUDITS:
            return True
        if len(self._places) > MAX_PLACES:
            self._places.clear()
        now_s = record.created
        place = self._places.setdefault((record.pathname, record.lineno), [now_s, 0, 0])
        if now_s - place[0] >= self._window_s:
            if place[2]:
                record.held_back = int(place[2])
            place[:] = [now_s, 0, 0]
        place[1] += 1
        if place[1] > self._lines:
            place[2] += 1
            return False
        return True


class _Formatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def _message(self, record: logging.LogRecord) -> str:
        held_back = getattr(record, "held_back", 0)
        text = record.getMessage() + (f" ({held_back} more like this were held back)" if held_back else "")
        return redact(text)[:MAX_LINE]

    def _error(self, record: logging.LogRecord) -> str:
        return redact(self.formatException(record.exc_info))[-MAX_LINE:] if record.exc_info else ""


class JsonLines(_Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": _utc(record.created) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": self._message(record),
        }
        if error := self._error(record):
            line["error"] = error
        deed: dict[str, str] = getattr(record, "deed", {})
        told = {name: redact(value) for name, value in deed.items()}
        return msgspec.json.encode(line | {"deed": told} if told else line).decode()


class Text(_Formatter):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it where there is one."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        error = self._error(record)
        line = f"{clock} {record.levelname.lower():7} {self._process:10} {self._message(record)}"
        return f"{line}\n{error}" if error else line


def configure(level: str, process: str, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (stderr); `process` names it on each line."""
    root = logging.getLogger()
    root.handlers[:] = [handler_of(process, stream)]
    root.setLevel(level.upper())
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in AUDITS:
        logging.getLogger(name).setLevel(logging.INFO)


def handler_of(process: str, stream: TextIO | None = None) -> "logging.StreamHandler[TextIO]":
    """What writes the lines of a process to `stream` (stderr)."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Text(process) if stream.isatty() else JsonLines(process))
    handler.addFilter(RateLimit())
    return handler


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
