"""What we hold of a person in words: names for keys, dates for seconds; the same for the page and for programs.

Place: the privacy pages render it, `paceline export` prints it; JSON keys are English, whatever the page's language.
Shapes: `readable` gives a Struct per shop, in the order of the shops' names; msgspec.json.encode makes the JSON.
Units: seconds since the epoch in Holdings, ISO 8601 (UTC) here; amounts are decimals of the shop's currency.
Never: anything that Holdings do not have; a name that was not asked for.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct

from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.model import Advertiser, LineItem
from bidder.catalogue.product import Product
from bidder.keys import category_key, key32, name_key, segment_key
from bidder.rights.holdings import Holdings, ShopHolding
from budget.money import amount_text

SHOP_SOURCE: Final = "shop."
IFA_SOURCE: Final = "ifa"


class Catalogue(Protocol):
    """Of catalogue.snapshot.Catalogue, what names a product."""

    def find(self, key: int) -> int:
        """Its row; -1: none."""

    def product(self, row: int) -> Product:
        """The product of a row."""


class Catalogues(Protocol):
    """Of catalogue.snapshot.Catalogues, what finds a shop's."""

    def of(self, advertiser_id: str) -> Catalogue | None:
        """None where there is none."""


class Interest(Struct, frozen=True):
    """A segment."""

    name: str
    until: str


class Thing(Struct, frozen=True):
    """A product; without a title where the catalogue knows it no more."""

    id: str
    title: str
    last_viewed: str


class Deed(Struct, frozen=True, kw_only=True):
    """One visit."""

    what: str
    """As in audience.visit.KINDS."""
    at: str
    product: str = ""
    category: str = ""
    amount: str = ""


class ShopWords(Struct, frozen=True, kw_only=True):
    """What one shop knows."""

    shop: str
    name: str
    updated: str = ""
    segments: tuple[Interest, ...] = ()
    products: tuple[Thing, ...] = ()
    visits: tuple[Deed, ...] = ()
    tastes: tuple[float, ...] = ()
    """Where the person's taste lies among the shop's products: no word of it means anything by itself."""
    ads_seen: int = 0
    last_ad: str = ""
    unreadable: bool = False


class Link(Struct, frozen=True):
    """Somebody who may tell us an id that leads here."""

    source: str
    since: str
    ads_seen: int


class Login(Struct, frozen=True):
    """A shop that linked several devices."""

    shop: str
    since: str


class Handed(Struct, frozen=True):
    """Our number was handed to an exchange."""

    exchange: str
    """Its name, where it is configured; else its key in digits."""
    times: int
    """On the last day on which it was."""


class Words(Struct, frozen=True, kw_only=True):
    """Everything, readable."""

    id: str
    opted_out_since: str = ""
    last_seen: str = ""
    kept_until: str = ""
    shops: tuple[ShopWords, ...] = ()
    known_by: tuple[Link, ...] = ()
    linked_logins: tuple[Login, ...] = ()
    id_given_to: tuple[Handed, ...] = ()


def readable(
    held: Holdings,
    advertisers: Iterable[Advertiser],
    catalogues: Catalogues | None,
    now_s: float,
    exchanges: Iterable[str] = (),
) -> Words:
    """Words for what is held; `exchanges` are the names of those that are configured."""
    names = {key32(name): name for name in exchanges}
    shops = {advertiser.id: advertiser for advertiser in advertisers}
    known = [_shop(each, shops.get(each.advertiser_id), catalogues) for each in held.shops]
    return Words(
        id=held.person.hex(),
        opted_out_since=when(held.opted_out_s),
        last_seen=when(held.seen_s),
        kept_until=when(int(now_s) + held.expires_in_s) if held.expires_in_s else "",
        shops=tuple(sorted(known, key=lambda shop: shop.name.casefold())),
        known_by=tuple(Link(each.source, when(each.matched_s), each.views) for each in held.matches),
        linked_logins=tuple(
            Login(_name(shops, each.advertiser_id), when(each.joined_s)) for each in held.clusters
        ),
        id_given_to=tuple(
            Handed(names.get(each.exchange, f"{each.exchange:08x}"), each.times) for each in held.syncs
        ),
    )


def when(seconds: int) -> str:
    """ISO 8601, in UTC; empty for never."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""


class _Names:
    """What one shop's keys stand for."""

    def __init__(self, advertiser: Advertiser | None, owner: str, catalogues: Catalogues | None) -> None:
        self._owner = owner
        self._catalogue = catalogues.of(owner) if catalogues else None
        self.currency = advertiser.currency if advertiser else ""
        segments = set(_segments(advertiser)) if advertiser else set()
        self.segments = {segment_key(owner, each): each for each in segments}
        categories = set(_categories(advertiser)) if advertiser else set()
        self.categories = {category_key(owner, each): each for each in categories}
        customs = advertiser.events.custom if advertiser else ()
        self.customs = {name_key(owner, each): each for each in customs}

    def product(self, key: int) -> Product | None:
        """The product that the catalogue knows by a key."""
        row = self._catalogue.find(key) if self._catalogue else -1
        return self._catalogue.product(row) if self._catalogue and row >= 0 else None

    def product_name(self, key: int) -> str:
        """Its title, else its key in digits."""
        found = self.product(key)
        return found.title if found else f"{key:016x}"

    def category(self, visit: Visit) -> str:
        """The name of a visit's category, where anybody wrote it down; else its key in digits."""
        found = self.product(visit.product) if visit.product else None
        if found is not None and category_key(self._owner, found.category) == visit.category:
            return found.category
        return self.categories.get(visit.category, f"{visit.category:08x}")


def _shop(held: ShopHolding, advertiser: Advertiser | None, catalogues: Catalogues | None) -> ShopWords:
    names, profile = _Names(advertiser, held.advertiser_id, catalogues), held.profile
    return ShopWords(
        shop=held.advertiser_id,
        name=advertiser.name if advertiser else held.advertiser_id,
        updated=when(profile.updated_s) if profile else "",
        segments=tuple(
            Interest(names.segments.get(key, f"{key:08x}"), when(until))
            for key, until in (profile.segments if profile else ())
        ),
        products=tuple(_thing(names, key, at) for key, at in (profile.products if profile else ())),
        visits=tuple(_deed(names, visit) for visit in held.history.visits),
        tastes=tuple(round(float(value), 3) for value in profile.affinity) if profile else (),
        ads_seen=held.views,
        last_ad=when(held.last_view_s),
        unreadable=held.unreadable,
    )


def _thing(names: _Names, key: int, at_s: int) -> Thing:
    found = names.product(key)
    return Thing(found.id if found else f"{key:016x}", found.title if found else "", when(at_s))


def _deed(names: _Names, visit: Visit) -> Deed:
    custom = visit.kind is EventKind.CUSTOM
    return Deed(
        what=names.customs.get(visit.custom, "custom") if custom else visit.kind.name.lower(),
        at=when(visit.at_s),
        product=names.product_name(visit.product) if visit.product else "",
        category=names.category(visit) if visit.category else "",
        amount=f"{amount_text(visit.value_micros)} {names.currency}".strip() if visit.value_micros else "",
    )


def _segments(advertiser: Advertiser) -> Iterator[str]:
    yield from (segment.id for segment in advertiser.segments)
    for line in _lines(advertiser):
        if line.targeting.segments is not None:
            yield from (*line.targeting.segments.any, *line.targeting.segments.none)


def _categories(advertiser: Advertiser) -> Iterator[str]:
    for segment in advertiser.segments:
        for rule in (*segment.when, *segment.unless):
            yield from rule.categories


def _lines(advertiser: Advertiser) -> Iterator[LineItem]:
    for campaign in advertiser.campaigns:
        yield from campaign.line_items


def _name(shops: Mapping[str, Advertiser], advertiser_id: str) -> str:
    found = shops.get(advertiser_id)
    return found.name if found else advertiser_id
