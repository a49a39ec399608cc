"""Our two-step HMAC is HMAC."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bidder.notices.keys import Key, Keyring
from bidder.notices.token import Audience, Claim, open_token, seal

secrets = st.binary(min_size=32, max_size=200)


@given(secrets)
def test_a_token_opens_by_the_librarys_hmac(secret: bytes) -> None:
    """`open_token` checks by `hmac.digest` what `seal` signed, for secrets shorter and longer than a block."""
    claim = Claim(
        bid_id=b"b" * 12,
        exchange=1,
        advertiser=9,
        line_item=2,
        creative=3,
        bid_cpm_micros=4,
        currency="USD",
        rate_ppm=5,
        imp=6,
        flags=0,
        issued_s=7,
        expires_s=100,
    )
    sealed = seal(claim, Key(1, secret))
    ring = Keyring(((1, secret),))
    assert open_token(sealed.exchange_token, ring, Audience.EXCHANGE, 50) == claim
    assert open_token(sealed.browser_token, ring, Audience.BROWSER, 50) == claim
