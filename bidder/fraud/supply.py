"""The supply chain of a request: complete, well formed, and of sellers that the publisher and the exchanges name.

Place: score.py asks `judge`; watch.py reads the folder of cached files and puts a new Supply in its place.
Shapes: a folder with `<domain>.ads.txt`, `<domain>.app-ads.txt` and `<domain>.sellers.json`.
Rule: each node of the chain needs an asi and a sid, and hp = 1 where that is stated; `complete` has to be 1; the last
    node is whoever sent the request. The first seller has to stand in the ads.txt of the site (app-ads.txt of the
    app's developer); one behind it there, or in the sellers.json of its own exchange or of the one before it. Without
    a chain the exchange itself sells: its domain with the publisher's id. What nobody has a file of is neutral: absence
    of a file speaks against no one.
Limits: MAX_FILES of each kind, the rest is passed over and counted; sizes as in sellers.py.
Source: OpenRTB 2.6 sections 3.2.25-26; SupplyChain object 1.0; ads.txt 1.1.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from bidder.fraud.reasons import Reason
from bidder.fraud.sellers import (
    MAX_SELLERS_BYTES,
    AdsTxt,
    Sellers,
    is_domain,
    read_ads_txt,
    read_sellers_json,
)
from bidder.opportunity import Context
from openrtb.request import SupplyChain

ADS, APP_ADS, SELLERS = ".ads.txt", ".app-ads.txt", ".sellers.json"
MAX_FILES: Final = 100_000
T = TypeVar("T")
SELLER, SCHAIN = int(Reason.SELLER), int(Reason.SCHAIN)


class Supply:
    """Which sellers are authorised; immutable."""

    def __init__(
        self,
        ads: Mapping[str, AdsTxt],
        app_ads: Mapping[str, AdsTxt],
        sellers: Mapping[str, Sellers],
        exchange_domains: Mapping[str, str],
    ) -> None:
        """By domain, in lower case; `exchange_domains` by the name of the profile."""
        self._ads, self._app_ads, self._sellers = ads, app_ads, sellers
        self._domains = exchange_domains

    def judge(self, context: Context) -> int:
        """SCHAIN for a chain that cannot be, SELLER for one whose sellers nobody authorised; 0: nothing is wrong."""
        source = context.request.source
        chain = source.schain if source is not None else None
        if chain is not None and chain.nodes:
            wrong = 0 if self._sound(chain, context) else SCHAIN
            return wrong | (0 if self._authorised(chain, context) else SELLER)
        if chain is not None:
            return SCHAIN  # a chain of nobody
        own = self._domains.get(context.exchange.name)
        if own is None or not context.publisher:
            return 0
        listed = self._listed(context)
        return 0 if listed is None or (own, context.publisher) in listed.sellers else SELLER

    def _sound(self, chain: SupplyChain, context: Context) -> bool:
        if chain.complete != 1 or not chain.nodes:
            return False
        for node in chain.nodes:
            if not node.asi or not node.sid or (node.hp is not None and node.hp != 1):
                return False
        own = self._domains.get(context.exchange.name)
        last = chain.nodes[-1].asi
        return own is None or last is None or last.lower() == own

    def _authorised(self, chain: SupplyChain, context: Context) -> bool:
        listed = self._listed(context)
        if listed is None:
            return True
        before: Sellers | None = None
        for number, node in enumerate(chain.nodes or ()):
            asi, sid = (node.asi or "").lower(), node.sid or ""
            own = self._sellers.get(asi)
            if (asi, sid) not in listed.sellers:
                if not number and chain.complete == 1:
                    return False
                if number and not _resells(asi, sid, own, before):
                    return False
            before = own
        return True

    def _listed(self, context: Context) -> AdsTxt | None:
        """The file that speaks for the site or app; None: there is none, or it sends us elsewhere."""
        files = self._ads if context.inventory == "site" else self._app_ads
        domain = context.domain
        if not files or not domain or context.inventory == "dooh":
            return None
        found = files.get(domain)
        while found is None and domain.count(".") > 1:
            domain = domain.partition(".")[2]
            found = files.get(domain)
            if found is not None and context.domain in found.variables.get("subdomain", ()):
                return None  # it has a file of its own, which we have not
        return found


def _resells(asi: str, sid: str, own: Sellers | None, before: Sellers | None) -> bool:
    """Whether its own exchange, or the one before it, knows a seller further down; True where neither is known."""
    if own is None and before is None:
        return True
    if own is not None and sid in own.by_id:
        return True
    return before is not None and (sid in before.by_id or asi in before.domains)


class Read(Struct, frozen=True):
    """A folder as it was read."""

    supply: Supply
    ads: int
    """ads.txt and app-ads.txt."""
    sellers: int
    problems: int
    """Files that are not what their names say, and files too many."""


def read_folder(folder: Path, exchange_domains: Mapping[str, str]) -> Read:
    """Read every cached file; a folder that is not there is an empty one. Raises OSError."""
    ads: dict[str, AdsTxt] = {}
    app_ads: dict[str, AdsTxt] = {}
    sellers: dict[str, Sellers] = {}
    problems = 0
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in paths:
        name = path.name.lower()
        kind = next((kind for kind in (APP_ADS, ADS, SELLERS) if name.endswith(kind)), None)
        if kind is None:
            continue
        domain = name.removesuffix(kind)
        if not is_domain(domain) or path.stat().st_size > MAX_SELLERS_BYTES:
            problems += 1
        elif kind == SELLERS:
            problems += not _put(sellers, domain, read_sellers_json(path.read_bytes()))
        else:
            problems += not _put(app_ads if kind == APP_ADS else ads, domain, read_ads_txt(path.read_bytes()))
    supply = Supply(ads, app_ads, sellers, exchange_domains)
    return Read(supply, len(ads) + len(app_ads), len(sellers), problems)


def _put(files: dict[str, T], domain: str, read: T | None) -> bool:
    if read is None or len(files) >= MAX_FILES:
        return False
    files[domain] = read
    return True
