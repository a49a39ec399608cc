"""How each dimension of targeting reads a line item and a request: the table that index.py compiles.

Place: one row per dimension; a new dimension is a new row here and a field in the model.
Shapes: `TermsOf` gives (include, exclude) of a line item, or None; a `One` reads the single value of a request,
    a `Many` all the names under which its value may be targeted.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bidder.campaigns.dimensions import category_names, domain_names
from bidder.campaigns.model import Targeting, Terms
from bidder.opportunity import Context
from openrtb.blocks import CONTENT_1
from openrtb.enums import ConnectionType, DeviceType, Position
from openrtb.request import BidRequest, Content

Wanted = tuple[Iterable[Any], Iterable[Any]]
TermsOf = Callable[[Targeting], Wanted | None]
One = Callable[[Context], Any]
Many = Callable[[Context], Sequence[Any]]

DEVICE_TYPES: dict[str, tuple[int, ...]] = {
    "mobile": (DeviceType.MOBILE_OR_TABLET, DeviceType.PHONE, DeviceType.TABLET),
    "phone": (DeviceType.MOBILE_OR_TABLET, DeviceType.PHONE),
    "tablet": (DeviceType.TABLET,),
    "desktop": (DeviceType.PERSONAL_COMPUTER,),
    "tv": (DeviceType.CONNECTED_TV,),
    "connected": (DeviceType.CONNECTED_DEVICE,),
    "set_top_box": (DeviceType.SET_TOP_BOX,),
    "ooh": (DeviceType.OUT_OF_HOME,),
}
"""MOBILE_OR_TABLET does not say how large the screen is: a phone line item takes it."""

CONNECTIONS: dict[str, tuple[int, ...]] = {
    "ethernet": (ConnectionType.ETHERNET,),
    "wifi": (ConnectionType.WIFI,),
    "cellular": (
        ConnectionType.CELLULAR,
        ConnectionType.CELLULAR_2G,
        ConnectionType.CELLULAR_3G,
        ConnectionType.CELLULAR_4G,
        ConnectionType.CELLULAR_5G,
    ),
    "2g": (ConnectionType.CELLULAR_2G,),
    "3g": (ConnectionType.CELLULAR_3G,),
    "4g": (ConnectionType.CELLULAR_4G,),
    "5g": (ConnectionType.CELLULAR_5G,),
}

POSITIONS: dict[str, tuple[int, ...]] = {
    "unknown": (Position.UNKNOWN,),
    "above_fold": (Position.ABOVE_THE_FOLD,),
    "below_fold": (Position.BELOW_THE_FOLD,),
    "header": (Position.HEADER,),
    "footer": (Position.FOOTER,),
    "sidebar": (Position.SIDEBAR,),
    "full_screen": (Position.FULLSCREEN,),
    "locked": (Position.LOCKED,),
}


def plain(name: str) -> TermsOf:
    """Terms as written."""

    def read(targeting: Targeting) -> Wanted | None:
        terms: Terms | None = getattr(targeting, name)
        return (terms.include, terms.exclude) if terms else None

    return read


def lower(name: str) -> TermsOf:
    """Terms in lower case."""

    def read(targeting: Targeting) -> Wanted | None:
        terms: Terms | None = getattr(targeting, name)
        return ([v.lower() for v in terms.include], [v.lower() for v in terms.exclude]) if terms else None

    return read


def numbered(name: str, table: dict[str, tuple[int, ...]]) -> TermsOf:
    """Terms by a name of ours that stands for OpenRTB numbers."""

    def read(targeting: Targeting) -> Wanted | None:
        terms: Terms | None = getattr(targeting, name)
        if terms is None:
            return None
        return [n for v in terms.include for n in table[v]], [n for v in terms.exclude for n in table[v]]

    return read


def cities(targeting: Targeting) -> Wanted | None:
    """DEU-Berlin: the country as it is, the city in lower case."""
    terms = targeting.cities
    return ([_city(v) for v in terms.include], [_city(v) for v in terms.exclude]) if terms else None


def domains(targeting: Targeting) -> Wanted | None:
    """Domains as intake gives them: in lower case, without a leading www."""
    terms = targeting.domains
    return ([_domain(v) for v in terms.include], [_domain(v) for v in terms.exclude]) if terms else None


def categories(targeting: Targeting) -> Wanted | None:
    """Content categories as (taxonomy, category)."""
    wanted = targeting.categories
    if wanted is None:
        return None
    taxonomy = wanted.taxonomy
    return [(taxonomy, v) for v in wanted.include], [(taxonomy, v) for v in wanted.exclude]


def request_domains(context: Context) -> Sequence[str]:
    """The site's domain and its parents."""
    return domain_names(context.domain) if context.domain else ()


def request_categories(context: Context) -> Sequence[tuple[int, str]]:
    """Categories of the site or app, its section and page, and of its content."""
    request = context.request
    source = request.site or request.app
    names: list[tuple[int, str]] = []
    if source is not None:
        for values in (source.cat, source.sectioncat, source.pagecat):
            for category in values or ():
                names += category_names(source.cattax or CONTENT_1, category)
    content = _content(request)
    if content is not None:
        for category in content.cat or ():
            names += category_names(content.cattax or CONTENT_1, category)
    return names


def request_keywords(context: Context) -> Sequence[str]:
    """Keywords of the site or app and of its content, in lower case."""
    request = context.request
    words: list[str] = []
    for source in (request.site or request.app, _content(request)):
        if source is not None:
            words += source.kwarray or ()
            words += (source.keywords or "").split(",")
    return [word.strip().lower() for word in words if word]


def request_segments(context: Context) -> Sequence[str]:
    """user.data segments as provider/segment; none where the person may not be profiled."""
    user = context.request.user
    if user is None or not user.data or not context.personal:
        return ()
    names = []
    for data in user.data:
        for segment in data.segment or ():
            names += [f"{provider}/{segment.id}" for provider in (data.name, data.id) if provider]
    return names


def _content(request: BidRequest) -> Content | None:
    source = request.site or request.app or request.dooh
    return source.content if source is not None else None


def _domain(text: str) -> str:
    return text.lower().removeprefix("www.")


def _city(text: str) -> str:
    country, _, city = text.partition("-")
    return f"{country}-{city.lower()}"


SINGLES: tuple[tuple[str, TermsOf], ...] = (
    ("country", plain("countries")),
    ("exchange.name", plain("exchanges")),
    ("inventory", plain("inventory")),
    ("device_type", numbered("device_types", DEVICE_TYPES)),
    ("os", plain("os")),
    ("region", plain("regions")),
    ("city", cities),
    ("zip", plain("zips")),
    ("connection", numbered("connections", CONNECTIONS)),
    ("browser_language", plain("browser_languages")),
    ("content_language", plain("content_languages")),
    ("bundle", plain("bundles")),
    ("site_id", plain("sites")),
    ("publisher", plain("publishers")),
)
"""Dimensions of one value: the Context attribute, and the terms of a line item."""

COARSE = frozenset(
    {"country", "exchange.name", "inventory", "device_type", "os", "connection", "browser_language"}
)
"""Those of them that have few values: a request's are looked up together."""

MANYS: tuple[tuple[Many, TermsOf], ...] = (
    (request_domains, domains),
    (request_categories, categories),
    (request_keywords, lower("keywords")),
    (request_segments, plain("exchange_segments")),
)
"""Dimensions whose value goes by several names."""
