"""Who calls: addresses, and whom a proxy is believed about."""

import pytest

from bidder.settings import PRIVATE
from bidder.web.callers import MAX_HOPS, Callers

OPEN = Callers(())
BEHIND = Callers((*PRIVATE, "203.0.113.0/24", "2001:db8:ffff::/48"))
PROXY = ("203.0.113.9", 4_000)
CLIENT = bytes([192, 0, 2, 1])


@pytest.mark.parametrize(
    ("peer", "caller"),
    [
        (("192.0.2.1", 4_000), CLIENT),
        (("::ffff:192.0.2.1", 4_000, 0, 0), CLIENT),
        (("2001:db8:0:1:2::3", 4_000, 0, 0), bytes.fromhex("20010db800000001")),
        (("2001:db8:0:1::9%eth0", 4_000, 0, 0), bytes.fromhex("20010db800000001")),
        ("", b""),
        (None, b""),
        (("a socket", 0), b""),
    ],
)
def test_a_caller_is_a_subscriber(peer: object, caller: bytes) -> None:
    """Of IPv6 its /64, since a subscriber has as many addresses as they like; of IPv4 in IPv6 the IPv4 address; of a
    socket without an address, nobody."""
    assert OPEN.of_peer(peer) == caller
    assert OPEN.of_call(peer, ()) == caller


@pytest.mark.parametrize(
    "forwarded",
    [
        ["192.0.2.1"],
        ["198.51.100.7, 192.0.2.1"],
        ["198.51.100.7", "192.0.2.1, 203.0.113.4", "203.0.113.5"],
        [" 192.0.2.1:5555 ,10.1.2.3"],
        ["nonsense, ::ffff:192.0.2.1"],
        ["x" * 5_000 + ",192.0.2.1"],
    ],
)
def test_the_rightmost_that_is_no_proxy(forwarded: list[str]) -> None:
    """Whatever a caller wrote to the left of it, over however many lines, the last address that is none of our own
    counts."""
    assert BEHIND.of_call(PROXY, forwarded) == CLIENT


def test_nobody_else_is_believed() -> None:
    """A peer that is no proxy is the caller, whatever its header says."""
    assert BEHIND.of_call(("198.51.100.1", 1), ["192.0.2.1"]) == bytes([198, 51, 100, 1])
    assert OPEN.of_call(PROXY, ["192.0.2.1"]) == bytes([203, 0, 113, 9])


@pytest.mark.parametrize(
    "forwarded",
    [
        [],
        [""],
        ["unknown"],
        ["192.0.2.1, unknown"],
        ["10.0.0.1, 203.0.113.77"],
        ["192.0.2.1" + ", 10.0.0.1" * MAX_HOPS],
    ],
)
def test_a_proxy_of_which_nobody_is_known(forwarded: list[str]) -> None:
    """A proxy that speaks for itself, or names nobody within MAX_HOPS, is nobody; its own address is."""
    assert BEHIND.of_call(PROXY, forwarded) == b""
    assert BEHIND.of_peer_itself(PROXY) == bytes([203, 0, 113, 9])
    assert BEHIND.of_peer(PROXY) == b""


def test_ipv6_proxies_and_brackets() -> None:
    """IPv6 on both sides, with a port in brackets."""
    peer = ("2001:db8:ffff::1", 4_000, 0, 0)
    assert BEHIND.of_call(peer, ["[2001:db8:1:2::3]:443"]) == bytes.fromhex("20010db800010002")
    assert BEHIND.of_call(("::1", 1, 0, 0), ["192.0.2.1"]) == CLIENT
    assert BEHIND.of_peer(peer) == b""
