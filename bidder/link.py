"""The link between the supervisor and one worker: a socket pair, JSON lines both ways.

Place: the supervisor sends one `Handover`; the worker answers with `config.Announcement`s.
Limits: MAX_LINE bytes a line. Secrets travel here and nowhere else: not in arguments, not in variables.
Source: prctl(2) PR_SET_PDEATHSIG: the signal follows the thread that forked, the supervisor's main thread.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
from typing import Final

import msgspec
from msgspec import Struct

from bidder.config import Announcement, Config, WorkerSetup

MAX_LINE: Final = 4 * 1024 * 1024
EXIT_CONFIG: Final = 78
"""A worker that ends so at its start cannot use what it was given: starting it again would not help."""
_PR_SET_PDEATHSIG: Final = 1


class Handover(Struct, frozen=True):
    """All that a worker needs."""

    config: Config
    setup: WorkerSetup
    parent_pid: int


def receive_handover(descriptor: int) -> Handover:
    """The supervisor's first line, read by a worker; raises EOFError where the supervisor is gone."""
    received = bytearray()
    link = socket.socket(fileno=descriptor)
    try:
        while not received.endswith(b"\n"):
            chunk = link.recv(65_536)
            if not chunk or len(received) > MAX_LINE:
                raise EOFError("the supervisor hung up")
            received += chunk
    finally:
        link.detach()  # the announcements go the same way
    return msgspec.json.decode(received, type=Handover)


def announce(descriptor: int, announcement: Announcement) -> None:
    """Tell the supervisor; a supervisor that is gone cannot be told."""
    with contextlib.suppress(OSError):
        os.write(descriptor, msgspec.json.encode(announcement) + b"\n")


def die_with(parent: int) -> None:
    """From now on this process gets SIGTERM when its parent dies; it ends at once if that has happened."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)
