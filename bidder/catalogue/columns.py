"""The fields of one product in a feed, whatever they are called, made into a Product.

Place: feed.py hands the values of each line; lines.py and merchant.py find them.
Units: amounts are decimals with a point ("19.99 EUR"), as Google Merchant Center writes them.
Limits: of each text below; an address is at most MAX_URL characters.
Raises: FieldError, which names the field as it stands in NAMES.
Source: Google Merchant Center product data specification.
"""

import re
from collections.abc import Mapping
from sys import intern
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from bidder.catalogue.product import Product
from budget.money import micros_from_text

MAX_ID: Final = 128  # what a recorded event keeps of one
MAX_TITLE: Final = 500
MAX_CATEGORY: Final = 750  # Merchant Center's bound of a product type
MAX_BRAND: Final = 200
MAX_URL: Final = 2_000
MAX_IMAGE_BYTES: Final = 50_000_000

NAMES: Final[dict[str, str]] = {
    **dict.fromkeys(("id", "product_id", "item_id", "offer_id", "sku"), "id"),
    **dict.fromkeys(("title", "name", "product_name"), "title"),
    **dict.fromkeys(("link", "url", "product_url"), "link"),
    **dict.fromkeys(("image_link", "image_url", "image"), "image_link"),
    **dict.fromkeys(("price", "regular_price"), "price"),
    **dict.fromkeys(("sale_price", "special_price"), "sale_price"),
    **dict.fromkeys(("availability", "available", "in_stock"), "availability"),
    **dict.fromkeys(("product_type", "category"), "product_type"),
    "google_product_category": "google_product_category",
    **dict.fromkeys(("brand", "manufacturer"), "brand"),
    "currency": "currency",
    "image_bytes": "image_bytes",
}
"""Name in a feed, as `column` writes it, to the name that we know it by."""
REQUIRED: Final = ("id", "title", "link", "image_link", "price")

_IN_STOCK: Final = frozenset(
    (
        *("in stock", "instock", "available", "true", "yes", "1", "limited", "limited availability"),
        *("preorder", "pre order", "backorder", "back order"),
    )
)
_OUT_OF_STOCK: Final = frozenset(
    (
        *("out of stock", "outofstock", "sold out", "soldout"),
        *("unavailable", "discontinued", "false", "no", "0"),
    )
)
_PRICE: Final = re.compile(r"(?:([A-Za-z]{3}) ?)?([0-9]{1,12}(?:\.[0-9]{1,6})?)(?: ?([A-Za-z]{3}))?")
_UNSEEN: Final = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters that show nothing, and those that turn the direction of what follows them."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ADDRESS: Final = re.compile(r"(https?)://([^\s/?#\\@\"<>]+)([/?#][^\s\x00-\x1f\x7f\\\"<>]*)?", re.ASCII)


class FieldError(Exception):
    """A value that no product can have."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def column(name: str) -> str | None:
    """The name that we know a feed's column by; None for one that we do not read."""
    return NAMES.get(plain_name(name))


def plain_name(name: str) -> str:
    """A column's name as NAMES writes them."""
    return name.strip().casefold().removeprefix("g:").replace(" ", "_").replace("-", "_")


def product_of(values: Mapping[str, str], currency: str) -> Product:
    """The product of one line; `currency` is the advertiser's, which every price must be in; empty: any."""
    given = values.get
    price = _price("price", given("price", ""), given("currency", ""), currency)
    sale_text = given("sale_price", "").strip()
    sale = _price("sale_price", sale_text, given("currency", ""), currency) if sale_text else None
    return Product(
        id=_text("id", given("id", ""), MAX_ID, required=True),
        title=_text("title", given("title", ""), MAX_TITLE, required=True),
        url=_address("link", given("link", ""), ("http", "https")),
        image_url=_address("image_link", given("image_link", ""), ("https",)),
        price_micros=price,
        currency=intern(currency),
        sale_price_micros=sale if sale is not None and sale < price else None,
        category=_category(given("product_type", "") or given("google_product_category", "")),
        brand=intern(_text("brand", given("brand", ""), MAX_BRAND)),
        available=_available(given("availability", "")),
        image_bytes=_image_bytes(given("image_bytes", "")),
    )


def sale_is_above(values: Mapping[str, str], product: Product) -> bool:
    """Whether the line of a product has a sale price above its price, which is ignored."""
    text = values.get("sale_price", "").strip()
    if not text or product.sale_price_micros is not None:
        return False
    return _price("sale_price", text, values.get("currency", ""), product.currency) > product.price_micros


def _text(field: str, value: str, most: int, *, required: bool = False) -> str:
    text = " ".join(value.split())
    if not text.isprintable():
        text = " ".join(_UNSEEN.sub("", text).split())
        if _CONTROL.search(text):
            raise FieldError(field, "has control characters")
    if required and not text:
        raise FieldError(field, "is missing")
    if len(text) > most:
        raise FieldError(field, f"is longer than {most} characters")
    return text


def _category(value: str) -> str:
    text = _text("product_type", value, MAX_CATEGORY)
    return intern(" > ".join([level for part in text.split(">") if (level := part.strip())]))


def _price(field: str, value: str, named: str, currency: str) -> int:
    text = value.strip()
    found = _PRICE.fullmatch(text)
    if not found:
        form = f'must be written as 19.99 {currency or "EUR"}, not "{text[:40]}"{_comma_hint(text)}'
        raise FieldError(field, form if text else "is missing")
    told = found[1] or found[3] or named.strip() or currency
    if (found[1] and found[3]) or (currency and told.upper() != currency):
        raise FieldError(field, f"is in {told[:10]}; the advertiser counts in {currency}")
    try:
        micros = micros_from_text(found[2])
    except ValueError as error:
        raise FieldError(field, str(error)) from None
    if not micros:
        raise FieldError(field, "must be above 0")
    return micros


def _comma_hint(text: str) -> str:
    if "," not in text:
        return ""
    return ": use a point" if _PRICE.fullmatch(text.replace(",", ".")) else ": use a point, and no comma"


def _address(field: str, value: str, schemes: tuple[str, ...]) -> str:
    url = value.strip()
    if not url:
        raise FieldError(field, "is missing")
    if not url.isascii():
        url = _ascii(field, url)
    found = _ADDRESS.fullmatch(url)
    if not found or found[1] not in schemes:
        raise FieldError(field, f"must be an {' or '.join(schemes)} address")
    if len(url) > MAX_URL:
        raise FieldError(field, f"is longer than {MAX_URL:,} characters")
    return url


def _ascii(field: str, url: str) -> str:
    """The same address in the characters of RFC 3986."""
    try:
        parts = urlsplit(url)
        host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
        rest = [quote(part, safe="/%:=&;,+!*'()~@?-._$") for part in parts[2:]]
        return urlunsplit((parts.scheme, host, *rest))
    except ValueError:
        raise FieldError(field, "is not an address") from None


def _available(value: str) -> bool:
    word = " ".join(value.casefold().replace("_", " ").split()).rpartition("schema.org/")[2]
    if not word or word in _IN_STOCK:
        return True
    if word in _OUT_OF_STOCK:
        return False
    raise FieldError("availability", f'is neither "in stock" nor "out of stock": "{word[:40]}"')


def _image_bytes(value: str) -> int:
    text = value.strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= MAX_IMAGE_BYTES):
        raise FieldError("image_bytes", f"must be a number up to {MAX_IMAGE_BYTES:,}")
    return int(text)
