"""The URLs that bring back what became of a bid: win, bill, loss, impression, click, player events.

Place: respond builds them once per bid from parts that are built once per exchange; web/public answers them.
Shapes: everything constant stands in front and the token at the end, so that a URL is one concatenation.
    `t` token, `p` price, `c` currency, `r` loss reason, `m` minimum to win, `e` event; of clicks `p` product,
    `l` layout.
Never: a landing page in a URL: a click leads where the token's line item and creative lead.
"""

from typing import Final, Literal

from msgspec import Struct

from bidder.notices.token import Sealed
from openrtb import macros

IN_SEAL: Final = "t"
IN_PRICE: Final = "p"
IN_CURRENCY: Final = "c"
IN_REASON: Final = "r"
IN_MIN_TO_WIN: Final = "m"
IN_EVENT: Final = "e"
IN_PRODUCT: Final = "p"
"""Of clicks: the key of the product, 16 hexadecimal digits. A click has no price."""
IN_LAYOUT: Final = "l"
IN_ASSETS: Final = "a"
"""Of native assets: what the slot asked for."""


class UrlParts(Struct, frozen=True, gc=False):
    """What the URLs begin with, for one exchange."""

    win: str
    bill: str
    loss: str
    imp: str
    click: str
    event: str
    render: str = ""
    """Where an ad of products is drawn, and where native assets of products are told."""
    assets: str = ""


class NoticeUrls(Struct, frozen=True, gc=False):
    """The URLs of one bid."""

    win: str
    bill: str
    loss: str
    imp: str
    click: str
    event: str
    """Lacks the name of the event, which a player's VAST puts behind it."""


def url_parts(base_url: str, billing: Literal["burl", "beacon"]) -> UrlParts:
    """The constant parts under `base_url`; the beacon asks for a price only where it is what moves money."""
    base = base_url.rstrip("/")
    price = f"{IN_PRICE}={macros.PRICE}&{IN_CURRENCY}={macros.CURRENCY}&"
    to_win = f"{IN_MIN_TO_WIN}={macros.MIN_TO_WIN}&"
    return UrlParts(
        win=f"{base}/win?{price}{to_win}{IN_SEAL}=",
        bill=f"{base}/bill?{price}{IN_SEAL}=",
        loss=f"{base}/loss?{IN_REASON}={macros.LOSS}&{price}{to_win}{IN_SEAL}=",
        imp=f"{base}/imp?{price if billing == 'beacon' else ''}{IN_SEAL}=",
        click=f"{base}/click?{IN_SEAL}=",
        event=f"{base}/event?{IN_SEAL}=",
        render=f"{base}/render?{IN_SEAL}=",
        assets=f"{base}/render/native?{IN_SEAL}=",
    )


def notice_urls(parts: UrlParts, sealed: Sealed) -> NoticeUrls:
    """The URLs of one bid; macros stand in them as the exchange shall find them."""
    to_exchange, to_browser = sealed.exchange_token, sealed.browser_token
    return NoticeUrls(
        parts.win + to_exchange,
        parts.bill + to_exchange,
        parts.loss + to_exchange,
        parts.imp + to_browser,
        parts.click + to_browser,
        f"{parts.event}{to_browser}&{IN_EVENT}=",
    )


def browser_token(parts: UrlParts, urls: NoticeUrls) -> str:
    """The token that stands in a bid's markup."""
    return urls.click[len(parts.click) :]
