"""Who stands in the token of an ad: only whom it may be for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bidder.campaigns.load import load_book
from bidder.notices.token import NOBODY, Audience, Claim, open_token
from tests.bidder.auction.support import NOW_S, RATES, RING, Bench, Known, person_of, uid

BOOK = Path(__file__).parents[2] / "golden" / "books" / "products.yaml"


def claim_of(person: bool = True, **request: Any) -> Claim:
    """The claim in the iframe that answers a request for the shelf, by a person whom the store knows or not."""
    known = person_of(segments={"shop": ["visited"]})
    bench = Bench(load_book(BOOK, RATES), Known({known.id: known} if person else {}))
    body = {
        "id": "r1",
        "tmax": 200,
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "site": {"domain": "news.example", "page": "https://news.example/p"},
        "user": {"buyeruid": uid()},
    } | request
    call = bench.ask(body)[0]
    adm = json.loads(call.sent)["seatbid"][0]["bid"][0]["adm"]
    token = re.findall(r"render\?t=([A-Za-z0-9_-]+)", adm)[0]
    opened = open_token(token, RING, Audience.BROWSER, NOW_S)
    assert isinstance(opened, Claim)
    return opened


def test_a_person_is_named_where_the_ad_may_be_theirs() -> None:
    """Though no cap counts views."""
    claim = claim_of()
    assert claim.person == bytes.fromhex(uid())
    assert claim.personal
    assert not claim.visitor


def test_nobody_is_named_without_permission() -> None:
    """GDPR without consent, a limit on tracking, an opt-out of sale: no person, no flag."""
    for refusal in (
        {"regs": {"ext": {"gdpr": 1}}},
        {"device": {"lmt": 1}},
        {"regs": {"ext": {"us_privacy": "1YYN"}}},
    ):
        claim = claim_of(**refusal)
        assert claim.person == NOBODY, refusal
        assert not claim.personal
        assert not claim.measured
