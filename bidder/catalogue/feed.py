"""A product feed, read line by line: good products, and what is wrong with the others and where.

Place: refresh.py and `paceline catalogue check`; columns.py knows what a product needs.
Limits: MAX_FEED_BYTES, MAX_PRODUCTS, MAX_BAD_SHARE of the lines; MAX_PROBLEMS are told in full (located.py).
Raises: FeedError, and nothing else for whatever the bytes are; OSError where the file cannot be read. A feed that is
    refused is refused whole, and the catalogue that was there stays.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.campaigns.located import LocatedError, Problem, Problems
from bidder.catalogue.advice import Advisor
from bidder.catalogue.columns import FieldError, product_of
from bidder.catalogue.lines import ByteSource, HeaderError, Note, Row, delimited_rows, json_rows
from bidder.catalogue.merchant import MerchantError, merchant_rows
from bidder.catalogue.product import MAX_PRODUCTS, Product

MAX_FEED_BYTES: Final = 4 << 30  # 2,000,000 products of 2 KB each
MAX_BAD_SHARE: Final = 0.2
"""More bad lines than that are a feed of another form, or one that was cut."""

ROWS: Final[dict[str, Callable[[ByteSource, Note | None], Iterator[Row]]]] = {
    "csv": delimited_rows,
    "jsonl": json_rows,
    "xml": merchant_rows,
}
"""By the format's name in campaign files."""


class FeedError(LocatedError):
    """The feed cannot be used."""


class Counts(Struct):
    """What a feed held."""

    lines: int = 0
    """Products, good and bad."""
    bad: int = 0
    repeated: int = 0
    """Products whose id came again later: the last one counts."""
    out_of_stock: int = 0


class Feed(Struct):
    """What could be read of a feed."""

    products: list[Product]
    """In the feed's order; each id once."""
    problems: list[Problem]
    """Lines that were skipped, by line."""
    advice: list[Problem]
    """Lines that were overtaken by later ones of the same id, and what an advisor found."""
    counts: Counts


def read_feed(
    source: Path | ByteSource | bytes,
    form: str,
    currency: str,
    told_as: str = "",
    advisor: Advisor | None = None,
) -> Feed:
    """Read a feed of a format in ROWS whose prices are in the advertiser's currency; `told_as` is what a person calls
    it. An advisor looks on."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return read_feed(file, form, currency, told_as or source.name, advisor)
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    return _Reader(told_as or "feed", currency, advisor).read(stream, form)


class _Reader:
    def __init__(self, name: str, currency: str, advisor: Advisor | None) -> None:
        self._name, self._currency, self._advisor = name, currency, advisor
        self._problems = Problems()
        self._counts = Counts()
        self._products: list[Product | None] = []
        self._places: dict[str, int] = {}

    def read(self, stream: ByteSource, form: str) -> Feed:
        try:
            ignored = self._advisor.ignored if self._advisor else None
            for number, values in ROWS[form](_Bounded(stream), ignored):
                self._take(number, values)
        except HeaderError as error:
            raise self._refused(1, f"the header {error}") from None
        except MerchantError as error:
            raise self._refused(error.line, str(error)) from None
        except _TooLongError:
            raise self._refused(0, f"is longer than {MAX_FEED_BYTES:,} bytes") from None
        return self._feed()

    def _take(self, number: int, values: dict[str, str] | str) -> None:
        self._counts.lines += 1
        if isinstance(values, str):
            self._bad(number, "", values)
            return
        try:
            product = product_of(values, self._currency)
        except FieldError as error:
            self._bad(number, error.field, str(error))
            return
        if self._advisor is not None:
            self._advisor.look(number, values, product)
        if product.id in self._places:
            self._counts.repeated += 1
            self._problems.advise(self._name, number, "id", f"{product.id} again: this one counts")
            self._products[self._places[product.id]] = None
        elif len(self._places) >= MAX_PRODUCTS:
            raise self._refused(number, f"has more than {MAX_PRODUCTS:,} products")
        self._places[product.id] = len(self._products)
        self._products.append(product)

    def _bad(self, number: int, field: str, message: str) -> None:
        self._counts.bad += 1
        self._problems.add(self._name, number, field, message)

    def _feed(self) -> Feed:
        counts = self._counts
        products = [product for product in self._products if product is not None]
        if not products:
            raise self._refused(0, "has no product that can be used")
        if counts.bad > MAX_BAD_SHARE * counts.lines:
            share = f"{counts.bad:,} of {counts.lines:,} products cannot be used"
            raise self._refused(
                0, f"{share}; up to {MAX_BAD_SHARE:.0%} are skipped, above it the feed is refused"
            )
        counts.out_of_stock = sum(not product.available for product in products)
        advice = self._problems.advised()
        if self._advisor is not None:
            advice = sorted([*advice, *self._advisor.told(self._name)])
        return Feed(products, self._problems.listed(), advice, counts)

    def _refused(self, line: int, message: str) -> FeedError:
        return FeedError([Problem(self._name, line, "", message), *self._problems.listed()])


class _TooLongError(Exception):
    pass


class _Bounded:
    """The first MAX_FEED_BYTES of a stream; raises _TooLongError beyond."""

    def __init__(self, stream: ByteSource) -> None:
        self._stream, self._left = stream, MAX_FEED_BYTES

    def read(self, size: int, /) -> bytes:
        return self._counted(self._stream.read(size))

    def readline(self, size: int, /) -> bytes:
        return self._counted(self._stream.readline(size))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise _TooLongError
        return data
