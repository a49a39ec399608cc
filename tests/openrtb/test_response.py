"""Responses on the wire."""

from __future__ import annotations

import json

from openrtb.request import DSATransparency
from openrtb.response import (
    Bid,
    BidExt,
    BidExtDSA,
    BidExtPrebid,
    BidResponse,
    SeatBid,
    encode_no_bid,
    encode_response,
)


def test_absent_fields_are_left_out() -> None:
    """A bid says what it says: no nulls, no defaults."""
    response = BidResponse("r1", [SeatBid([Bid("b1", "1", 1.25, mtype=1)], seat="s")], cur="USD")
    assert json.loads(encode_response(response)) == {
        "id": "r1",
        "cur": "USD",
        "seatbid": [{"seat": "s", "bid": [{"id": "b1", "impid": "1", "price": 1.25, "mtype": 1}]}],
    }


def test_extensions_are_written_in_their_places() -> None:
    """Prebid's type and the DSA transparency stand under bid.ext."""
    dsa = BidExtDSA("shop", "shop", [DSATransparency("paceline.example", [1, 2])], 1)
    bid = Bid("b", "1", 1.0, ext=BidExt(BidExtPrebid("banner"), dsa))
    ext = json.loads(encode_response(BidResponse("r", [SeatBid([bid])])))["seatbid"][0]["bid"][0]["ext"]
    assert ext == {
        "prebid": {"type": "banner"},
        "dsa": {
            "behalf": "shop",
            "paid": "shop",
            "transparency": [{"domain": "paceline.example", "dsaparams": [1, 2]}],
            "adrender": 1,
        },
    }


def test_a_no_bid_with_a_reason_is_two_fields() -> None:
    """An exchange that asks for reasons gets the id and nbr, 0 included."""
    assert json.loads(encode_no_bid("r", 0)) == {"id": "r", "nbr": 0}
    assert json.loads(encode_no_bid('a"b', 8)) == {"id": 'a"b', "nbr": 8}
