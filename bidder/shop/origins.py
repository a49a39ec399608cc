"""Where a call of a browser comes from: which shop's page, as far as it tells.

Place: receive and syncs ask; intake reduces referrers.
Shapes: an origin is a scheme, a host and perhaps a port; a domain is a host in lower case, nothing behind it.
Rule: what is told must be the advertiser's domain, one of its declared origins, or a subdomain of these; Origin goes
    before Referer, and an opaque origin ("null") is told, and is nobody's. Browsers may tell nothing (Referrer-Policy):
    then a pixel is believed.
Limits: a host has MAX_HOST characters.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from bidder.campaigns.model import Advertiser

MAX_HOST: Final = 253


def page_of(headers: Mapping[str, str]) -> str | None:
    """The host that a call came from; None where it does not tell, empty where it is none that we know."""
    told = headers.get("origin") or headers.get("referer")
    return None if not told else domain_of(told)


def belongs(host: str, advertiser: Advertiser) -> bool:
    """Whether a host is the advertiser's."""
    return bool(host) and _within(host, (advertiser.domain, *advertiser.events.origins))


def domain_of(url: str) -> str:
    """The host of a URL, or of a domain that stands alone; empty for anything else."""
    text = url.strip()
    try:
        split = urlsplit(text if "//" in text else f"//{text}")
        host = split.hostname or ""
        _ = split.port  # what is no port was no host before it: `about:blank`
    except ValueError:
        return ""
    host = host.rstrip(".")
    if len(host) > MAX_HOST or not host.isascii() or not _is_host(host):
        return ""
    return host


def _is_host(host: str) -> bool:
    return (
        bool(host) and all(character.isalnum() or character in ".-_" for character in host) and host != "null"
    )


def _within(host: str, domains: Iterable[str]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
