"""Clicks on products: where they lead, and what they teach.

Place: notices/apply asks for each click that names a product; household.py sets `Notices.products` to this.
Limits: a product's key is 16 hexadecimal digits, of the token's own advertiser; anything else leads to no product.
Never: a target that came with the call: it names a product, and the catalogue says where that is sold.
"""

from typing import Final
from urllib.parse import quote

from bidder.catalogue.snapshot import Catalogues
from bidder.render.bandit import Bandit
from bidder.render.page import safe_url

KEY_DIGITS: Final = 16
_AS_IT_IS: Final = "%/:=&?~#+!$,;'@()*[]"
"""Of an address: what a header may carry; letters beyond ASCII are written as their UTF-8."""
_HEX: Final = frozenset("0123456789abcdef")


class ProductClicks:
    """What clicks on products need to know."""

    def __init__(self, catalogues: Catalogues, bandit: Bandit) -> None:
        self._catalogues, self._bandit = catalogues, bandit

    def product_url(self, advertiser_id: str, product: str) -> str | None:
        """Where a product that the advertiser lists now is sold; None for whatever text leads to none."""
        catalogue = self._catalogues.of(advertiser_id)
        if catalogue is None or len(product) != KEY_DIGITS or not _HEX.issuperset(product):
            return None
        row = catalogue.find(int(product, 16))
        return quote(safe_url(catalogue.product(row).url), safe=_AS_IT_IS) or None if row >= 0 else None

    def clicked(self, line_item: int, layout: str) -> None:
        """Count a click on a product."""
        self._bandit.clicked(line_item, layout)
