"""What operators do to the service: one line for each deed, in the log and in the data directory's audit.log.

Place: the operators' port tells admin actions, the command line those commands that change money, campaigns or people,
    or hand out secrets.
Shapes: a line of audit.log is a JSON object with `time` and the fields of a Deed; the log's line has the same under
    "deed". The file is its owner's alone (0600) and is only ever added to; a full one becomes audit.log.1, that one
    audit.log.2, and so on.
Rule: a deed is told when it was done, or refused. A file that cannot be written keeps nobody from a deed: the log says
    so, and has the line all the same.
Limits: a field is cut at MAX_FIELD characters; what no line can hold is replaced. MAX_BYTES of a file, OLD_FILES
    beside it: the oldest goes, so the log should be shipped away.
Never: a token, a key, an id of a person (erasures and exports name a digest).
"""

import fcntl
import logging
import os
import pwd
import time
from pathlib import Path
from typing import Final, TextIO

import msgspec
from msgspec import Struct

from bidder.logs import DEEDS, handler_of, redact

FILE_NAME: Final = "audit.log"
MAX_FIELD: Final = 200
MAX_BYTES: Final = 16 * 1024 * 1024
OLD_FILES: Final = 7
COMMAND_LINE: Final = "command line"
OPS_PORT: Final = "operators' port"

_log = logging.getLogger(DEEDS)


class Deed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did what, and what came of it."""

    who: str
    """A token's name, or the name of an operating system's user."""
    role: str
    """A token's; `shell` of who ran a command."""
    action: str
    target: str = ""
    result: str
    """`done`, or why not."""
    way: str
    detail: str = ""


def tell(deed: Deed, folder: Path | None) -> None:
    """One line in this process's log and, where the data directory exists, in its audit.log."""
    fields = _fields(deed)
    _log.info("%s", _sentence(fields), extra={"deed": fields})
    if problem := _append(folder, fields):
        _log.error("the audit file cannot be written: %s", problem)


def tell_command(deed: Deed, folder: Path | None, stream: TextIO | None = None) -> None:
    """The same of a command, which has no log of its own: the line goes to stderr; at a terminal only where audit.log
    does not have it, since whoever sits there knows what they did."""
    handler = handler_of("paceline", stream)
    fields = _fields(deed)
    problem = _append(folder, fields)
    kept = folder is not None and folder.is_dir() and not problem
    if not (kept and handler.stream.isatty()):
        handler.handle(_record(logging.INFO, _sentence(fields), fields))
    if problem:
        handler.handle(_record(logging.ERROR, f"the audit file cannot be written: {problem}", {}))


def user_name() -> str:
    """Whom the operating system takes this process for, always with the number; variables, which the caller chooses,
    only say who it says it is."""
    uid = os.getuid()
    try:
        name = f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:  # a user without a name, as in many containers
        name = f"uid {uid}"
    claimed = os.environ.get("SUDO_USER", "")
    return f"{name}, says it is {claimed}" if claimed else name


def _record(level: int, message: str, fields: dict[str, str]) -> logging.LogRecord:
    record = logging.LogRecord(DEEDS, level, __file__, 0, message, (), None)
    record.deed = fields
    return record


def _fields(deed: Deed) -> dict[str, str]:
    told: dict[str, str] = msgspec.to_builtins(deed)
    return {name: redact(_printable(value))[:MAX_FIELD] for name, value in told.items()}


def _printable(text: str) -> str:
    """On one line of a terminal too: control characters could hide what stands before them."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:MAX_FIELD])


def _sentence(fields: dict[str, str]) -> str:
    what = " ".join(filter(None, (fields["action"], fields.get("target"), fields.get("detail"))))
    return f"{fields['who']} ({fields['role']}, {fields['way']}): {what}: {fields['result']}"


def _append(folder: Path | None, fields: dict[str, str]) -> str:
    """Add a line to the folder's file, where there is a folder; returns what is wrong."""
    if folder is None or not folder.is_dir():
        return ""
    now_s = time.time()
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_s)) + f".{int(now_s % 1 * 1000):03}Z"
    line = msgspec.json.encode({"time": at} | fields) + b"\n"
    path = folder / FILE_NAME
    try:
        descriptor = _opened(path)
        try:
            written = os.write(descriptor, line)  # one call: lines of several processes do not mix
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.strerror or str(error)
    return "" if written == len(line) else "the disk is full"


def _opened(path: Path) -> int:
    """A descriptor of the file, which has room; of several processes one moves a full one away, while the others wait.
    Who has the old one open still writes to it: no line is lost."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    if os.fstat(descriptor).st_size < MAX_BYTES:
        return descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            _move_on(path)
    finally:
        os.close(descriptor)
    return os.open(path, flags, 0o600)


def _move_on(path: Path) -> None:
    for number in range(OLD_FILES - 1, 0, -1):
        if (old := path.with_name(f"{path.name}.{number}")).exists():
            old.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))
