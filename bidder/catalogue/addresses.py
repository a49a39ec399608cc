"""Which addresses a feed may be fetched from: nobody's URL makes us ask our own networks.

Place: fetch.py.
Rule: an address in the open internet must be https. Addresses that it does not route (private, loopback, link-local and
    the like) are refused, behind names as well, unless `private_networks` holds them; those alone may be plain http.
    The address that was judged is the one that is connected to, so that a name cannot change its mind.
Raises: AddressError.
"""

import asyncio
import ipaddress
import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_UNROUTED: Final = tuple(ipaddress.ip_network(text) for text in ("fec0::/10", "3fff::/20"))
"""Site-local (RFC 3879) and documentation (RFC 9637): not every version of Python knows them as private."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressError(Exception):
    """An address must not be asked."""


class Resolver(AbstractResolver):
    """Names to addresses that may be asked, for one fetch."""

    def __init__(self, private_networks: tuple[str, ...]) -> None:
        try:
            self._private: list[Network] = [ipaddress.ip_network(text) for text in private_networks]
        except ValueError as error:
            raise AddressError(f"private_networks: {error}") from None
        self._secure = True

    def judge(self, url: URL) -> None:
        """Raise AddressError for what must not be asked; a literal address is never resolved, so it is judged here."""
        if url.scheme not in ("https", "http") or not url.host or url.user or url.password:
            raise AddressError("is not an https address")
        self._secure = url.scheme == "https"
        if not self._secure and not self._private:
            raise AddressError("is not an https address")
        try:
            address = ipaddress.ip_address(url.host)
        except ValueError:
            return  # a name: `resolve` judges what it stands for
        if not self._may(address):
            raise AddressError(f"{url.host} is not an address that may be asked")

    def _may(self, address: Address) -> bool:
        if any(address.version == network.version and address in network for network in self._private):
            return True
        return self._secure and _is_public(address)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name that may be asked; raises AddressError where there is none."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        may: list[ResolveResult] = [
            {
                "hostname": host,
                "host": str(place[0]),
                "port": port,
                "family": kind,
                "proto": protocol,
                "flags": socket.AI_NUMERICHOST,
            }
            for kind, _, protocol, _, place in found
            if self._may(ipaddress.ip_address(str(place[0]).partition("%")[0]))
        ]
        if not may:
            raise AddressError(f"{host} is not a name that may be asked")
        return may

    async def close(self) -> None:
        """Nothing is held."""


def _is_public(address: Address) -> bool:
    """Whether the open internet routes it; an IPv4 address inside an IPv6 one counts for itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None,))[0]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
        if any(address in network for network in _UNROUTED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
