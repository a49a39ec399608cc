"""Logs: one line each, no secrets, no floods."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from bidder.logs import AUDIT, LINES_PER_WINDOW, RateLimit, configure, redact

HOST = "store.example:6379/0"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The root logger writes here, and is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("info", "worker-0", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_json_with_its_process(lines: io.StringIO) -> None:
    """Time, level, process, logger and message; a traceback stands in `error`, on the same line."""
    logging.getLogger("bidder.x").warning("%d workers", 3)
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("bidder.y").exception("failed")
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert (
        first.items()
        >= {
            "level": "warning",
            "process": "worker-0",
            "logger": "bidder.x",
            "message": "3 workers",
        }.items()
    )
    assert first["time"].endswith("Z")
    assert second["error"].endswith("ValueError: odd")


def test_levels(lines: io.StringIO) -> None:
    """What is below the configured level is not written."""
    logging.getLogger("bidder.x").debug("hidden")
    assert lines.getvalue() == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"redis://me:hunter2@{HOST}", f"redis://***@{HOST}"),
        (f"rediss://:hunter2@{HOST} failed", f"rediss://***@{HOST} failed"),
        ("key " + "5e" * 32, "key ***"),
        ("/win?p=1&t=" + "Ab-_" * 24, "/win?p=1&t=***"),
        ("http://plain.example/a@b", "http://plain.example/a@b"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_are_struck_out(text: str, told: str) -> None:
    """Passwords of URLs, keys and tokens do not show."""
    assert redact(text) == told


def test_messages_and_tracebacks_are_redacted(lines: io.StringIO) -> None:
    """Also where the secret came in an argument or an exception's text."""
    try:
        raise OSError(f"redis://me:hunter2@{HOST}")
    except OSError:
        logging.getLogger("bidder.x").exception("cannot reach %s", f"redis://me:hunter2@{HOST}")
    assert "hunter2" not in lines.getvalue()
    assert lines.getvalue().count("***") >= 2


def record(line: int, created: float, level: int = logging.INFO) -> logging.LogRecord:
    made = logging.LogRecord("x", level, "x.py", line, "m", (), None)
    made.created = created
    return made


def test_a_flood_is_held_back_and_counted() -> None:
    """One place in the code writes so many lines per window; the next window says how many were held back."""
    limit = RateLimit(lines=3, window_s=10)
    assert [limit.filter(record(1, 100 + n)) for n in range(5)] == [True, True, True, False, False]
    assert limit.filter(record(2, 105)), "another place is not held back"
    later = record(1, 111)
    assert limit.filter(later)
    assert later.held_back == 2  # type: ignore[attr-defined]  # the filter's note on the record


def test_no_line_of_an_audit_is_held_back() -> None:
    """Whatever the flood: each line says what was done for somebody."""
    limit = RateLimit(lines=0)
    told = logging.LogRecord(AUDIT, logging.INFO, "erase.py", 1, "erased", (), None)
    assert all(limit.filter(told) for _ in range(100))


def test_the_gravest_always_passes() -> None:
    """CRITICAL is never held back."""
    limit = RateLimit(lines=0)
    assert limit.filter(record(1, 1, logging.CRITICAL))
    assert not limit.filter(record(1, 1))


def test_a_flood_through_the_whole_chain(lines: io.StringIO) -> None:
    """A thousand equal errors are ten lines."""
    for n in range(1_000):
        logging.getLogger("bidder.x").error("again %d", n)
    assert len(lines.getvalue().splitlines()) == LINES_PER_WINDOW


def test_client_addresses_of_the_http_library_do_not_show(lines: io.StringIO) -> None:
    """aiohttp's own loggers name clients, so they are silent below CRITICAL."""
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "203.0.113.7")
    logging.getLogger("aiohttp.access").info("203.0.113.7 GET /")
    assert lines.getvalue() == ""


def test_text_at_a_terminal() -> None:
    """A terminal gets a line to read."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = Terminal()
    try:
        configure("info", "supervisor", stream)
        logging.getLogger("bidder.x").info("hello")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert stream.getvalue().endswith("info    supervisor hello\n")
