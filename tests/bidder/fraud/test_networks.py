"""Networks that an operator listed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.fraud import networks
from bidder.fraud.networks import Networks, parse, read_address

V4 = st.integers(0, 2**32 - 1)
V6 = st.integers(0, 2**128 - 1)
LENGTHS4 = st.integers(4, 32)


def test_lines() -> None:
    """Both kinds, comments, blank lines, single addresses and bits behind the mask are read."""
    lines = [
        "# clouds",
        "",
        "192.0.2.0/24  # a comment",
        "2001:db8::/32",
        "198.51.100.7",
        "203.0.113.9/24\r\n",
    ]
    parsed = parse(lines, "list")
    assert parsed.problems == []
    assert [str(network) for network in parsed.networks] == [
        "192.0.2.0/24",
        "2001:db8::/32",
        "198.51.100.7/32",
        "203.0.113.0/24",
    ]


def test_bad_lines_are_located() -> None:
    """What is no network is told with its line, and the rest is read."""
    parsed = parse(["10.0.0.0/8", "10.0.0/8", "x" * 1_000, "::1/200", "10.1.0.0/16"], "clouds.txt")
    assert len(parsed.networks) == 2
    assert parsed.bad_lines == 3
    assert [problem.partition(": ")[0] for problem in parsed.problems] == [
        "clouds.txt:2",
        "clouds.txt:3",
        "clouds.txt:4",
    ]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more lines are read, and no more problems told, than the limits say."""
    monkeypatch.setattr(networks, "MAX_LINES", 5)
    parsed = parse(["10.0.0.0/8"] * 9, "list")
    assert len(parsed.networks) == 5
    assert "more than 5 lines" in parsed.problems[0]
    monkeypatch.setattr(networks, "MAX_LINES", 1_000)
    parsed = parse(["nonsense"] * 100, "list")
    assert (len(parsed.problems), parsed.bad_lines) == (networks.MAX_PROBLEMS, 100)


@given(
    nets=st.lists(st.tuples(V4, LENGTHS4), max_size=30),
    others=st.lists(V4, max_size=20),
)
def test_v4_as_the_library_says(nets: list[tuple[int, int]], others: list[int]) -> None:
    """An address is inside exactly where one of the networks holds it, at every edge."""
    made = [ipaddress.IPv4Network((address, length), strict=False) for address, length in nets]
    subject = Networks(made)
    edges = [int(net.network_address) + step for net in made for step in (-1, 0, net.num_addresses - 1)]
    edges += [int(net.broadcast_address) + 1 for net in made]
    for address in [*others, *edges]:
        if 0 <= address < 2**32:
            known = any(ipaddress.IPv4Address(address) in net for net in made)
            assert subject.holds4(address) == known


@given(nets=st.lists(st.tuples(V6, st.integers(8, 128)), max_size=20), others=st.lists(V6, max_size=10))
def test_v6_as_the_library_says(nets: list[tuple[int, int]], others: list[int]) -> None:
    """The same of IPv6."""
    made = [ipaddress.IPv6Network((address, length), strict=False) for address, length in nets]
    subject = Networks(made)
    edges = [int(net.network_address) for net in made] + [int(net.broadcast_address) for net in made]
    for address in [*others, *edges]:
        assert subject.holds6(address) == any(ipaddress.IPv6Address(address) in net for net in made)


def test_merged() -> None:
    """Networks that overlap or touch are one range."""
    assert len(Networks(parse(["10.0.0.0/9", "10.128.0.0/9", "10.3.0.0/16"], "x").networks)) == 1


@pytest.mark.parametrize(
    ("text", "number", "six"),
    [
        ("192.0.2.1", 0xC0000201, False),
        ("::ffff:192.0.2.1", 0xC0000201, False),
        ("2001:db8::1", 0x20010DB8000000000000000000000001, True),
        ("", -1, False),
        ("1.2.3", -1, False),
        ("192.0.2.1\0", -1, False),
        ("fe80::1%eth0", -1, False),
        ("é" * 9, -1, False),
    ],
)
def test_addresses(text: str, number: int, six: bool) -> None:
    """An address is a number; what is none is told by -1."""
    assert read_address(text) == (number, six)


@given(st.text(max_size=60))
def test_any_address(text: str) -> None:
    """Nothing that stands where an address should raises."""
    assert read_address(text)[0] >= -1
