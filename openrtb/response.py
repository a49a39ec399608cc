"""The bid response of OpenRTB 2.6 as Structs, and the encoder that writes it.

Place: the last step of a bid; also read by tests and by the simulated exchange.
Shapes: None (or an empty default) is left out of the JSON; `price` is CPM in `cur`.
Source: OpenRTB 2.6-202606 sections 4.2.1-4.2.3; DSA transparency extension; Prebid's `ext.prebid.type`.
"""

from __future__ import annotations

import msgspec

from openrtb.request import DSATransparency
from openrtb.wire import Wire


class BidExtPrebid(Wire):
    """What Prebid Server reads to learn the media type: banner, video, audio or native."""

    type: str


class BidExtDSA(Wire):
    """Transparency that `regs.ext.dsa.dsarequired` 2 or 3 demands of each bid."""

    behalf: str | None = None
    paid: str | None = None
    transparency: list[DSATransparency] | None = None
    adrender: int | None = None


class BidExt(Wire):
    """What we add to a bid outside the core."""

    prebid: BidExtPrebid | None = None
    dsa: BidExtDSA | None = None


class Bid(Wire):
    """4.2.3: one bid on one imp."""

    id: str
    impid: str
    price: float
    nurl: str | None = None
    burl: str | None = None
    lurl: str | None = None
    adm: str | None = None
    adid: str | None = None
    adomain: list[str] | None = None
    bundle: str | None = None
    iurl: str | None = None
    cid: str | None = None
    crid: str | None = None
    tactic: str | None = None
    cattax: int | None = None
    cat: list[str] | None = None
    attr: list[int] | None = None
    apis: list[int] | None = None
    protocol: int | None = None
    qagmediarating: int | None = None
    language: str | None = None
    langb: str | None = None
    dealid: str | None = None
    w: int | None = None
    h: int | None = None
    wratio: int | None = None
    hratio: int | None = None
    exp: int | None = None
    dur: int | None = None
    mtype: int | None = None
    slotinpod: int | None = None
    ext: BidExt | None = None


class SeatBid(Wire):
    """4.2.2: the bids of one seat; group 1 = all or none."""

    bid: list[Bid]
    seat: str | None = None
    group: int = 0


class BidResponse(Wire):
    """4.2.1: the answer; `id` echoes the request's."""

    id: str
    seatbid: list[SeatBid] | None = None
    bidid: str | None = None
    cur: str | None = None
    customdata: str | None = None
    nbr: int | None = None


_encode = msgspec.json.Encoder().encode


def encode_response(response: BidResponse) -> bytes:
    """JSON bytes of a response, absent fields left out."""
    return _encode(response)


def encode_no_bid(request_id: str, reason: int) -> bytes:
    """`{"id":...,"nbr":...}`, for an exchange that asks for a reason instead of 204."""
    return _encode(BidResponse(request_id, nbr=reason))
