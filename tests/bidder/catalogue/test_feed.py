"""Feeds: three forms of the same products, every bad line told with its place, everything bounded."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.catalogue import feed as feed_module
from bidder.catalogue import lines, merchant
from bidder.catalogue.feed import ROWS, Feed, FeedError, read_feed
from bidder.catalogue.product import Product

HEADER = "id,title,link,image_link,price,sale_price,availability,product_type,brand,image_bytes\n"
GOOD = 'b{n},"Boot {n}",https://s.example/b{n},https://c.example/b{n}.webp,19.99 EUR,,in stock,Boots > Trail,Fern,\n'
BOOT = Product(
    id="b1",
    title="Boot & sock",
    url="https://s.example/b1?a=1",
    image_url="https://c.example/b1.webp",
    price_micros=19_990_000,
    currency="EUR",
    sale_price_micros=14_500_000,
    category="Boots > Trail",
    brand="Fern",
    available=False,
    image_bytes=20_480,
)
CSV = HEADER + (
    "b1,Boot & sock,https://s.example/b1?a=1,https://c.example/b1.webp,"
    "19.99 EUR,14.50,out_of_stock, Boots>Trail ,Fern,20480\n"
)
JSON = json.dumps(
    {
        "id": "b1",
        "name": "Boot & sock",
        "url": "https://s.example/b1?a=1",
        "image_url": "https://c.example/b1.webp",
        "price": 19.99,
        "currency": "eur",
        "sale_price": "14.5 EUR",
        "available": False,
        "category": "Boots > Trail",
        "brand": "Fern",
        "image_bytes": 20480,
        "sizes": [1, {"deep": None}],
    }
)
ITEM = """<item><g:id>b1</g:id><title>Boot &amp; sock</title><description>long <b>words</b></description>
<link>https://s.example/b1?a=1</link><g:image_link><![CDATA[https://c.example/b1.webp]]></g:image_link>
<g:price>19.99 EUR</g:price><g:sale_price>14.50 EUR</g:sale_price><g:availability>out of stock</g:availability>
<g:google_product_category>187</g:google_product_category><g:product_type>Boots &gt; Trail</g:product_type>
<g:brand>Fern</g:brand><g:image_bytes>20480</g:image_bytes><g:shipping><g:price>4 EUR</g:price></g:shipping></item>
"""
XML = (
    '<?xml version="1.0"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>'
    "<title>Shop</title>\n{}</channel></rss>"
)


def good(*numbers: int) -> str:
    return "".join(GOOD.format(n=number) for number in numbers)


def read_csv(text: str) -> Feed:
    return read_feed(text.encode(), "csv", "EUR", "shop.csv")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", CSV),
        ("csv", "\ufeff" + CSV.replace(",", "\t").replace("\n", "\r\n")),
        ("jsonl", JSON),
        ("xml", XML.format(ITEM)),
    ],
)
def test_all_forms_give_the_same_product(form: str, text: str) -> None:
    """A product reads alike from CSV, TSV, JSON lines and Merchant XML."""
    feed = read_feed(text.encode(), form, "EUR")
    assert feed.products == [BOOT]
    assert (feed.counts.lines, feed.counts.bad, feed.counts.out_of_stock) == (1, 0, 1)


def test_an_atom_feed_is_read() -> None:
    """Entries of Atom and links in attributes are products, too."""
    text = ITEM.replace("item>", "entry>").replace(
        "<link>https://s.example/b1?a=1</link>", '<link href="https://s.example/b1?a=1"/>'
    )
    whole = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">{}</feed>'
    assert read_feed(whole.format(text).encode(), "xml", "EUR").products == [BOOT]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (("19.99 EUR", '"19,99 EUR"'), "price", "written as 19.99 EUR"),
        (("19.99 EUR", "19.99 USD"), "price", "is in USD"),
        (("19.99 EUR", "EUR 19.99 EUR"), "price", "is in EUR"),
        (("19.99 EUR", "0"), "price", "above 0"),
        (("19.99 EUR", "999999999999"), "price", "not an amount"),
        (("19.99 EUR", ""), "price", "missing"),
        (("19.99 EUR,", "19.99 EUR,cheap"), "sale_price", "written as"),
        (("in stock", "maybe"), "availability", "neither"),
        (("https://s.example/b7", "javascript:alert(1)"), "link", "http or https"),
        (("https://s.example/b7", "https://a@s.example/b7"), "link", "http or https"),
        (("https://s.example/b7", "https://s.example/b 7"), "link", "http or https"),
        (("https://s.example/b7", "https://s.example/" + "b" * 2_000), "link", "longer than"),
        (("https://s.example/b7", "https://s.\u00e4\u200b..example/"), "link", "not an address"),
        (("https://c.example/b7.webp", "http://c.example/b7.webp"), "image_link", "https address"),
        (("https://c.example/b7.webp", ""), "image_link", "missing"),
        (("b7,", ","), "id", "missing"),
        (("b7,", "b" * 129 + ","), "id", "longer than 128"),
        (("Boot 7", "Boot \x07"), "title", "control"),
        (("Boot 7", "x" * 501), "title", "longer than 500"),
        (("Boots > Trail", "x" * 751), "product_type", "longer than 750"),
        (("Fern", "x" * 201), "brand", "longer than 200"),
        (("Fern,", "Fern,12 KB"), "image_bytes", "a number"),
        (("Fern,", "Fern,,more"), "", "11 values for 10 columns"),
        (("Boot 7", 'Boot "x" 7'), "", "cannot be read"),
    ],
)
def test_a_bad_line_is_told_with_its_place_and_skipped(
    change: tuple[str, str], field: str, words: str
) -> None:
    """Line 8 is wrong: it alone is missing, and the problem says where and why."""
    text = HEADER + good(1, 2, 3, 4, 5, 6) + good(7).replace(*change, 1) + good(8)
    feed = read_csv(text)
    assert [product.id for product in feed.products] == ["b1", "b2", "b3", "b4", "b5", "b6", "b8"]
    (problem,) = feed.problems
    assert (problem.file, problem.line, problem.field) == ("shop.csv", 8, field)
    assert words in problem.message


def test_a_quote_that_never_ends_spoils_its_own_line_alone() -> None:
    """Lines after it are read; a quoted line break is part of a record."""
    text = HEADER + good(1, 2, 3) + good(4).replace("Boot 4", "Boot\n4") + 'b5,"Boot,x\n' + good(6, 7)
    feed = read_csv(text)
    assert [product.title for product in feed.products] == [
        "Boot 1",
        "Boot 2",
        "Boot 3",
        "Boot 4",
        "Boot 6",
        "Boot 7",
    ]
    assert [(problem.line, problem.message) for problem in feed.problems] == [
        (7, "has a quote that does not end")
    ]


def test_a_line_that_is_too_long_is_skipped_in_all_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """One long line does not fill the memory, nor end the feed."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2_000)
    monkeypatch.setattr(merchant, "MAX_ITEM_CHARACTERS", 2_000)
    feed = read_csv(HEADER + good(1, 2, 3, 4) + "x" * 9_000 + "\n" + good(5))
    assert (len(feed.products), feed.problems[0].line) == (5, 6)
    text = JSON + "\n" + JSON.replace("Fern", "x" * 9_000) + "\n" + f"{JSON}\n" * 4
    assert read_feed(text.encode(), "jsonl", "EUR").problems[0].line == 2
    text = XML.format(ITEM * 4 + ITEM.replace("words", "w" * 9_000))
    feed = read_feed(text.encode(), "xml", "EUR")
    assert (feed.counts.bad, feed.problems[0].line) == (1, 23)


def test_the_last_of_one_id_counts_and_is_told() -> None:
    """A repeated id is advice, not a problem."""
    feed = read_csv(HEADER + good(1, 2) + good(1).replace("19.99", "9.99"))
    assert [(product.id, product.price_micros) for product in feed.products] == [
        ("b2", 19_990_000),
        ("b1", 9_990_000),
    ]
    assert (feed.counts.repeated, feed.counts.bad) == (1, 0)
    assert feed.advice[0].line == 4


def test_a_sale_price_above_the_price_is_none() -> None:
    """Nobody advertises a reduction that is none."""
    feed = read_csv(HEADER + good(1).replace("19.99 EUR,", "19.99 EUR,19.99 EUR"))
    assert feed.products[0].sale_price_micros is None


def test_addresses_beyond_ascii_become_ascii() -> None:
    """A Location header can carry every address of a snapshot."""
    feed = read_csv(
        HEADER + good(1).replace("https://s.example/b1", "https://s\u00e4.example/st\u00fchle?f=gr\u00fcn")
    )
    assert feed.products[0].url == "https://xn--s-0fa.example/st%C3%BChle?f=gr%C3%BCn"


def test_what_turns_the_direction_of_text_is_left_out() -> None:
    """A title cannot turn the words around it."""
    assert read_csv(HEADER + good(1).replace("Boot 1", "Boot\u202e 1\u200b")).products[0].title == "Boot 1"


def test_up_to_a_fifth_of_bad_lines_is_skipped_above_it_all_is_refused() -> None:
    """The edge of MAX_BAD_SHARE, and a feed without a good line."""
    one_in_five = HEADER + good(1, 2, 3, 4) + "b5,\n"
    assert read_csv(one_in_five).counts.bad == 1
    with pytest.raises(FeedError, match=r"2 of 6 products cannot be used.*\n.*shop\.csv:6: "):
        read_csv(one_in_five + "b6,\n")
    for text in ("", "\n\n", HEADER, HEADER + "b6,\n"):
        with pytest.raises(FeedError, match="no product that can be used"):
            read_csv(text)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("id,title,link\n", "names no column image_link, price"),
        ("id," * 400 + "\n", "more than 300 columns"),
        ("x" * 70_000 + "\n", "longer than 65,536 bytes"),
    ],
)
def test_a_header_that_cannot_be_used_is_told(header: str, words: str) -> None:
    """It stands on line 1 of the problem."""
    with pytest.raises(FeedError, match=rf"shop\.csv:1: the header .*{words}"):
        read_csv(header)
    with pytest.raises(FeedError, match="not UTF-8"):
        read_feed(b"id,\xff\n", "csv", "EUR")


def test_a_line_that_is_not_utf8_is_told() -> None:
    """In CSV and JSON lines, the line alone is lost."""
    text = (HEADER + good(1, 2, 3, 4, 5)).encode().replace(b"Boot 3", b"Boot \xff")
    assert read_feed(text, "csv", "EUR").problems[0].message == "is not UTF-8"
    data = (JSON + "\n").encode() * 8 + b'{"id": "\xff"}\n[1]\n'
    assert [problem.line for problem in read_feed(data, "jsonl", "EUR").problems] == [9, 10]


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE rss [<!ENTITY a "b">]>\n<rss/>',
        '<!DOCTYPE rss SYSTEM "file:///etc/passwd"><rss/>',
        XML.format("<item>&undefined;</item>"),
        XML.format(ITEM)[:-20],
        XML.format("</item>"),
        "<a>" * 100,
        '<?xml version="1.0" encoding="klingon"?><rss/>',
        "\x00",
    ],
)
def test_a_document_that_is_not_whole_or_not_plain_is_refused(document: str) -> None:
    """Document types, entities, broken and unending documents: FeedError, and nothing is read from elsewhere."""
    with pytest.raises(FeedError):
        read_feed(document.encode(), "xml", "EUR")


def test_one_endless_tag_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag that swallows the document does not fill the memory."""
    monkeypatch.setattr(merchant, "MAX_SILENT_BYTES", 200_000)
    with pytest.raises(FeedError, match="one tag is longer"):
        read_feed(b'<rss a="' + b"x" * 400_000, "xml", "EUR")


def test_a_feed_is_bounded_in_bytes_and_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_FEED_BYTES and MAX_PRODUCTS refuse the whole feed."""
    monkeypatch.setattr(feed_module, "MAX_PRODUCTS", 2)
    assert len(read_csv(HEADER + good(1, 2, 1, 2)).products) == 2
    with pytest.raises(FeedError, match="more than 2 products"):
        read_csv(HEADER + good(1, 2, 3))
    monkeypatch.setattr(feed_module, "MAX_FEED_BYTES", 150)
    for form, text in (("csv", HEADER + good(1, 2)), ("jsonl", JSON), ("xml", XML.format(ITEM))):
        with pytest.raises(FeedError, match="longer than 150 bytes"):
            read_feed(text.encode(), form, "EUR")


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    """Problems name the file."""
    file = tmp_path / "feed.jsonl"
    file.write_text(f"{JSON}\n" * 5 + "{\n")
    feed = read_feed(file, "jsonl", "EUR")
    assert (feed.problems[0].file, feed.problems[0].line) == ("feed.jsonl", 6)
    assert feed.counts.repeated == 4


@given(form=st.sampled_from(sorted(ROWS)), data=st.binary(max_size=400))
def test_any_bytes_are_a_feed_or_a_feed_error(form: str, data: bytes) -> None:
    """Nothing but FeedError comes of what is no feed."""
    with contextlib.suppress(FeedError):
        read_feed(data, form, "EUR")


@given(
    form=st.sampled_from(
        [("csv", HEADER + good(1, 2, 3)), ("jsonl", f"{JSON}\n" * 3), ("xml", XML.format(ITEM * 2))]
    ),
    cuts=st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 30), st.binary(max_size=12)), max_size=6),
)
def test_a_feed_with_wounds_is_a_feed_or_a_feed_error(
    form: tuple[str, str], cuts: list[tuple[int, int, bytes]]
) -> None:
    """Good feeds with bytes replaced anywhere raise nothing but FeedError, and what is read is fit to be shown."""
    data = form[1].encode()
    for at, length, put in cuts:
        data = data[:at] + put + data[at + length :]
    try:
        feed = read_feed(data, form[0], "EUR")
    except FeedError:
        return
    for product in feed.products:
        assert product.url.isascii()
        assert product.url.startswith(("http://", "https://"))
        assert product.image_url.startswith("https://")
        assert product.price_micros > 0
        assert product.id
