"""Who calls the public port: an address, of IPv6 the network that one subscriber has; never kept as it is.

Place: public.py counts connections by it, limits.py calls.
Shapes: a caller is 4 bytes (IPv4) or 8 (the /64 of IPv6); empty where there is none, or where it is a proxy's own.
Rule: X-Forwarded-For is believed from peers in `public.proxies` alone, and of it the rightmost address that is no
    proxy: whatever stands to the left of it was written by the caller.
Limits: MAX_HOPS proxies behind each other; text that is no address ends the search at the proxy that wrote it.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
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
        self._v4 = _masks(each for each in networks if isinstance(each, IPv4Network))
        self._v6 = _masks(each for each in networks if isinstance(each, IPv6Network))

    def proxy(self, packed: bytes) -> bool:
        """Whether an address, packed, is a proxy of ours."""
        number = int.from_bytes(packed, "big")
        networks = self._v4 if len(packed) == 4 else self._v6
        return any(number & mask == network for mask, network in networks)

    def of_peer(self, peer: object) -> bytes:
        """The caller at the other end of a connection; nobody where that is a proxy, or has no address."""
        packed = _packed(peer[0]) if isinstance(peer, tuple) else NOBODY
        return NOBODY if not packed or self.proxy(packed) else packed[:8]

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


def _masks(networks: Iterable[IPv4Network | IPv6Network]) -> list[tuple[int, int]]:
    return [(int(each.netmask), int(each.network_address)) for each in networks]


def _bare(text: str) -> str:
    """An address without the port that some proxies write behind it."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _packed(text: object) -> bytes:
    """An address's bytes, of IPv4 in IPv6 those of IPv4; empty for what is none."""
    try:
        address: IPv4Address | IPv6Address = ip_address(str(text).partition("%")[0])
    except ValueError:
        return NOBODY
    packed = address.packed
    return packed[12:] if packed[:12] == _MAPPED else packed
