"""Clicks on products lead to the shop and nowhere else, and teach the bandit."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from bidder.catalogue.build import write_snapshot
from bidder.clock import ManualClock
from bidder.exchanges import SHIPPED
from bidder.keys import key64, product_key
from bidder.metrics import Tally
from bidder.notices.apply import Kind, Notice, Notices, Receipt, Result
from bidder.notices.clearing import terms_of
from bidder.render.bandit import Bandit
from bidder.render.clicks import ProductClicks
from tests.bidder.catalogue.shelf import SHOP, model
from tests.bidder.notices.support import LANDING, NOW_S, RING, Kept, OneLineItem, sealed
from tests.bidder.render.shop import NEAR, VIEWS, catalogues_of, products

KEY = f"{product_key('shop-1', 'p3'):016x}"
LINE = key64("shop-1/line-1")


class Shop:
    """Notices of shop-1's line item, with its products."""

    def __init__(self, folder: Path) -> None:
        write_snapshot(folder, "shop-1", products(), None)
        self.catalogues, _ = catalogues_of(folder)
        self.tally = Tally()
        self.bandit = Bandit(self.tally, lambda: float(NOW_S), 1)
        self.notices = Notices(self.tally, OneLineItem(), RING, terms_of(SHIPPED), ManualClock(NOW_S), Kept())
        self.notices.products = ProductClicks(self.catalogues, self.bandit)

    def click(self, product: str = "", layout: str = "", **changes: object) -> Receipt:
        return self.notices.receive(
            Notice(Kind.CLICK, sealed(**changes).browser_token, product=product, layout=layout)
        )

    def clicks(self) -> int:
        return sum(v for cell, v in self.tally.samples() if cell.name == "paceline_layout_clicks_total")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_product_leads_to_its_page(shop: Shop) -> None:
    """That of the token's advertiser; the layout is counted, once per bid."""
    url = f"https://{SHOP}.example/p/3"
    assert shop.click(KEY, "grid") == Receipt(Result.ACCEPTED, url)
    assert shop.click(KEY, "grid") == Receipt(Result.DUPLICATE, url)
    assert shop.clicks() == 1


@pytest.mark.parametrize(
    "product",
    [
        "",
        "0" * 16,
        KEY.upper() + "x",
        KEY[:-1],
        "https://evil.example/",
        "//evil.example",
        "x" * 2_000,
        "-" + KEY[1:],
        "٣" * 16,
        f"{product_key(SHOP, 'p3'):016x}",
    ],
)
def test_what_names_no_product_of_the_advertiser_leads_to_the_landing_page(shop: Shop, product: str) -> None:
    """Nor does another shop's product."""
    assert shop.click(product, "grid").landing_url == LANDING


def test_a_forged_token_leads_nowhere_whatever_it_names(shop: Shop) -> None:
    """And teaches nothing."""
    receipt = shop.notices.receive(Notice(Kind.CLICK, "x" * 152, product=KEY, layout="grid"))
    assert receipt.landing_url is None
    assert shop.clicks() == 0


def test_tests_and_strange_layouts_teach_nothing(shop: Shop) -> None:
    """They lead where they should."""
    assert shop.click(KEY, "grid", flags=1).landing_url == f"https://{SHOP}.example/p/3"
    assert shop.click(KEY, "<b>").landing_url == f"https://{SHOP}.example/p/3"
    assert shop.clicks() == 0


def test_a_product_that_is_gone_leads_to_the_landing_page(tmp_path: Path) -> None:
    """After a reload of the catalogue; and so does one whose address may not stand in a header."""
    shop = Shop(tmp_path)
    listed = [
        replace(each, url="javascript:alert(1)") if each.id == "p4" else each for each in products()[3:]
    ]
    write_snapshot(tmp_path, "shop-1", listed, model(NEAR, VIEWS))
    assert shop.click(KEY).landing_url == f"https://{SHOP}.example/p/3"
    shop.catalogues.refresh()
    assert shop.click(KEY).landing_url == LANDING
    assert shop.click(f"{product_key('shop-1', 'p4'):016x}").landing_url == LANDING


def test_addresses_are_written_in_ascii(tmp_path: Path) -> None:
    """A header carries nothing else."""
    shop = Shop(tmp_path)
    write_snapshot(
        tmp_path, "shop-1", [replace(products()[2], url="https://shop.example/schön?a=%20&b=1")], None
    )
    shop.catalogues.refresh()
    assert shop.click(KEY).landing_url == "https://shop.example/sch%C3%B6n?a=%20&b=1"
