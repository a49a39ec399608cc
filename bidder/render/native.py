"""A native ad of products: one product in the assets that the slot asked for.

Place: web/rendering answers `assetsurl` with it.
Limits: texts that are longer than the slot takes are cut (titles) or left out.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from bidder.campaigns.ads import Showcase
from bidder.catalogue.product import Product
from bidder.render.page import safe_url
from bidder.render.prices import price_text
from openrtb.native import Asset
from openrtb.native_answer import NativeCreative, Picture
from openrtb.native_assets import assets_json


def native_assets(asked: Sequence[Asset], showcase: Showcase, product: Product | None, link: str) -> bytes:
    """The answer as JSON: of the product, and where it has nothing of the creative, which stands for it whole where
    there is no product."""
    fallback = showcase.native
    assert fallback is not None, "a native creative of products has assets of its own"
    return assets_json(asked, _creative(showcase, fallback, product), link)


def _creative(showcase: Showcase, fallback: NativeCreative, product: Product | None) -> NativeCreative:
    if product is None:
        return fallback
    sale = product.sale_price_micros
    price = (
        price_text(product.price_micros, product.currency, showcase.language) if product.price_micros else ""
    )
    reduced = sale is not None and 0 < sale < product.price_micros
    image = safe_url(product.image_url)
    return replace(
        fallback,
        title=" ".join(product.title.split()),
        price=price,
        sale_price=price_text(sale or 0, product.currency, showcase.language) if reduced else "",
        mains=(Picture(image, 0, 0),) if image else fallback.mains,
    )
