"""Advice on feeds: what works and is probably not meant."""

import pytest

from bidder.catalogue.advice import MAX_NAMES, Advisor
from bidder.catalogue.feed import read_feed

HEADER = "id,title,link,image_link,price,sale_price,Sale Prise,gtin\n"
LINE = "{n},Boot,https://{host}/{n},https://cdn.example/{n}.webp,20 EUR,{sale},,1\n"


def advised(text: str, form: str = "csv", domains: tuple[str, ...] = ()) -> list[str]:
    feed = read_feed(text.encode(), form, "EUR", "f", Advisor(domains))
    assert not feed.problems
    return [str(each) for each in feed.advice]


def line(number: int, sale: str = "", host: str = "s.example") -> str:
    return LINE.format(n=number, sale=sale, host=host)


COLUMNS = "f:1: columns that are not read: Sale Prise (did you mean sale_price?), gtin"


def test_sale_prices_above_prices() -> None:
    """Counted, with the first line; one that is the price, or below it, is fine."""
    text = HEADER + line(1, "20 EUR") + line(2, "20.01 EUR") + line(3, "19 EUR") + line(4, "30 EUR")
    assert advised(text) == [
        COLUMNS,
        "f:3: sale_price: is above the price and therefore ignored, here and in 1 more",
    ]


def test_links_to_other_hosts() -> None:
    """Each host once; the shop's domains and what is below them are its own, also in capitals."""
    hosts = ("s.example", "WWW.s.example", "bads.example", "other.example", "other.example", "t.example:8443")
    text = HEADER + "".join(line(number, host=host) for number, host in enumerate(hosts))
    assert advised(text, domains=("s.example", "T.example")) == [
        COLUMNS,
        "f:4: link: leads to bads.example, not to s.example or t.example, here alone",
        "f:5: link: leads to other.example, not to s.example or t.example, here and in 1 more",
    ]
    assert advised(text) == [COLUMNS]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (
            "jsonl",
            '{"id": 1, "title": "a", "link": "https://s.example/", "image_link": "https://s.example/a", "price": 2, '
            '"gtin": 1, "size": 2}',
        ),
        (
            "xml",
            '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>1</g:id><title>a</title>'
            "<link>https://s.example/</link><g:image_link>https://s.example/a</g:image_link><g:price>2 EUR</g:price>"
            "<g:gtin>1</g:gtin><size>2</size></item></channel></rss>",
        ),
    ],
)
def test_columns_of_other_forms(form: str, text: str) -> None:
    """Members of JSON lines and elements of Merchant XML are told alike."""
    assert advised(text, form) == ["f:1: columns that are not read: gtin, size"]


def test_the_second_of_two_columns_is_not_read() -> None:
    """Neither is one without a name."""
    text = "id,title,link,image_link,price,url,\n1,a,https://s.example/,https://s.example/a,2,https://t.example/,\n"
    assert advised(text)[0].startswith("f:1: columns that are not read: url")
    assert advised(text)[0].endswith(', ""')


def test_names_are_bounded() -> None:
    """Beyond MAX_NAMES they are told as others."""
    names = ",".join(f"x{number}" for number in range(MAX_NAMES + 5))
    text = f"id,title,link,image_link,price,{names}\n1,a,https://s.example/,https://s.example/a,2\n"
    (told,) = advised(text)
    assert told.endswith(f"x{MAX_NAMES - 1}, others")


@pytest.mark.parametrize(
    ("price", "hint"), [("49,50 EUR", ": use a point"), ("1.234,50 EUR", ": use a point, and no comma")]
)
def test_a_price_with_a_comma(price: str, hint: str) -> None:
    """Says how it must be written."""
    head = "id\ttitle\tlink\timage_link\tprice\n"
    good = "".join(f"{n}\ta\thttps://s.example/\thttps://s.example/a\t2 EUR\n" for n in range(9))
    bad = f"b\ta\thttps://s.example/\thttps://s.example/a\t{price}\n"
    (problem,) = read_feed((head + good + bad).encode(), "csv", "EUR").problems
    assert problem.message == f'must be written as 19.99 EUR, not "{price}"{hint}'
