"""Who calls the public port: an address, of IPv6 the network that one subscriber has; never kept as it is.

Place: public.py counts connections by it, limits.py calls.
Shapes: a caller is 4 bytes (IPv4) or 8 (the /64 of IPv6); empty where there is none, or where it is a proxy's own.
    Where there is none, limits.py counts the call with all such of its peer.
Rule: X-Forwarded-For is believed from peers in `public.proxies` alone, and of it the rightmost address that is no
    proxy: whatever stands to the left of it was written by the caller.
Limits: MAX_HOPS proxies behind each other; text that is no address ends the search at the proxy that wrote it.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

MAX_HOPS: Final = 8
FORWARDED: Final = "X-Forwarded-For"
NOBODY: Final = b""

_MAPPED: Final = bytes(10) + b"\xff\xff"


class Callers:
    """Tells callers from proxies."""

    def __init__(self, proxies: Iterable[str]) -> None:
        """`proxies` are networks (CIDR), as config checks them; raises ValueError for what is none."""
        networks = [ip_network(each, strict=False) for each in proxies]
        self._by_size = {
            size: _table(each for each in networks if each.max_prefixlen == 8 * size) for size in (4, 16)
        }

    def proxy(self, packed: bytes) -> bool:
        """Whether an address, packed, is a proxy of ours."""
        networks = self._by_size[len(packed)][packed[0]]
        if not networks:
            return False
        number = int.from_bytes(packed, "big")
        return any([number & mask == network for mask, network in networks])  # noqa: C419  there are few: a list is faster

    def of_peer(self, peer: object) -> bytes:
        """The caller at the other end of a connection; nobody where that is a proxy, or has no address."""
        packed = _packed(peer[0]) if isinstance(peer, tuple) else NOBODY
        return NOBODY if not packed or self.proxy(packed) else packed[:8]

    def of_peer_itself(self, peer: object) -> bytes:
        """Whoever is at the other end of a connection, also a proxy; empty where that has no address."""
        return _packed(peer[0])[:8] if isinstance(peer, tuple) else NOBODY

    def of_call(self, peer: object, forwarded: Iterable[str]) -> bytes:
        """The caller of a request: the peer, or who a proxy says it is; `forwarded` are the header's lines."""
        packed = _packed(peer[0]) if isinstance(peer, tuple) else NOBODY
        if not packed or not self.proxy(packed):
            return packed[:8]
        hops = [hop for line in forwarded for hop in line[-1_024:].split(",")]
        for hop in hops[: -MAX_HOPS - 1 : -1]:
            packed = _packed(_bare(hop.strip()))
            if not packed:
                return NOBODY
            if not self.proxy(packed):
                return packed[:8]
        return NOBODY


def _table(networks: Iterable[IPv4Network | IPv6Network]) -> list[list[tuple[int, int]]]:
    """Masks and networks by the first byte of the addresses in them."""
    table: list[list[tuple[int, int]]] = [[] for _ in range(256)]
    for each in networks:
        for first in range(each.network_address.packed[0], each.broadcast_address.packed[0] + 1):
            table[first].append((int(each.netmask), int(each.network_address)))
    return table


def _bare(text: str) -> str:
    """An address without the port that some proxies write behind it."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _packed(text: object) -> bytes:
    """An address's bytes, of IPv4 in IPv6 those of IPv4; empty for what is none."""
    plain = str(text)
    try:
        if ":" not in plain:
            return inet_pton(AF_INET, plain)
        packed = inet_pton(AF_INET6, plain.partition("%")[0])
    except (OSError, ValueError):
        return NOBODY
    return packed[12:] if packed[:12] == _MAPPED else packed
