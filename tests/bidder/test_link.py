"""The link between supervisor and worker."""

import os
import socket
import threading

import msgspec
import pytest

from bidder.config import Announcement, Config, WorkerSetup
from bidder.exchanges import Exchange
from bidder.link import Handover, announce, die_with, receive_handover

SETUP = WorkerSetup(
    slot=3,
    redis_url="unix:///x",
    tally_path="t",
    token_keys=((1, b"\x00\xff" * 16),),
    price_keys={"google": {"encryption_key": "a", "integrity_key": "b"}},
    exchange_port=1,
    public_port=2,
    base_url="https://b.example",
    announce_fd=9,
    workers=4,
    ledger_url="unix:///ledger",
    spool_dir="spool",
    journal_dir="journal",
)


def test_a_handover_comes_through_whole_and_announcements_come_back() -> None:
    """Configuration, setup and secrets arrive as they were sent, however large; the same link answers."""
    config = Config(exchanges=tuple(Exchange(name=f"x{n}", seat="s" * 64) for n in range(3_000)))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sent = msgspec.json.encode(Handover(config, SETUP, 42)) + b"\n"
        sender = threading.Thread(target=ours.sendall, args=(sent,))
        sender.start()
        received = receive_handover(theirs.fileno())
        sender.join()
        assert received == Handover(config, SETUP, 42)
        announce(theirs.fileno(), Announcement(ready=True))
        assert msgspec.json.decode(ours.recv(1_000), type=Announcement) == Announcement(ready=True)


def test_a_supervisor_that_hangs_up_is_an_error() -> None:
    """A worker whose supervisor is gone before the line is whole does not start."""
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(b'{"config"')
        ours.close()
        with pytest.raises(EOFError):
            receive_handover(theirs.fileno())
        announce(theirs.fileno(), Announcement(ready=True))


def test_an_orphan_ends_at_once() -> None:
    """A worker whose parent is another than the one that started it does not go on."""
    with pytest.raises(SystemExit):
        die_with(os.getpid())
