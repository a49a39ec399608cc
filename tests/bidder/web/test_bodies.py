"""Content codings: what is understood, what is refused, and what it may cost."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.web import bodies
from bidder.web.bodies import DEFLATE, GZIP, IDENTITY, UNKNOWN, BadCoding, TooLarge, inflate


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", IDENTITY),
        (b"identity", IDENTITY),
        (b" GZip ", GZIP),
        (b"x-gzip", GZIP),
        (b"deflate", DEFLATE),
        (b"gzip, identity", GZIP),
        (b"gzip,gzip", UNKNOWN),
        (b"br", UNKNOWN),
        (b"zstd", UNKNOWN),
        (b"gzip;q=1", UNKNOWN),
    ],
)
def test_coding(value: bytes, code: int) -> None:
    """Names are case-blind; a second coding on top of another is not spoken."""
    assert bodies.coding(value) == code


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (b"gzip", True),
        (b"br;q=1.0, GZIP;q=0.8", True),
        (b"x-gzip", True),
        (b"*", True),
        (b"", False),
        (b"identity", False),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000", False),
        (b"gzip;q=0, *", False),
        (b"*;q=0", False),
        (b"notgzip", False),
    ],
)
def test_accepts_gzip(value: bytes, accepted: bool) -> None:
    """Gzip by name goes before the asterisk; a weight of zero refuses."""
    assert bodies.accepts_gzip(value) is accepted


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_members_are_joined(members: list[bytes]) -> None:
    """A gzip body of several members is their concatenation; the limit holds for the sum, exactly."""
    body, whole = b"".join(map(gzip.compress, members)), b"".join(members)
    assert inflate(body, GZIP, len(whole)) == whole
    if whole:
        with pytest.raises(TooLarge):
            inflate(body, GZIP, len(whole) - 1)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_truncated(whole: bytes, data: st.DataObject) -> None:
    """A body that ends early is refused, wherever it was cut."""
    for code, packed in ((GZIP, gzip.compress(whole)), (DEFLATE, zlib.compress(whole))):
        cut = data.draw(st.integers(0, len(packed) - 1))
        with pytest.raises(BadCoding):
            inflate(packed[:cut], code, 1_000)


@given(st.binary(max_size=200), st.sampled_from([GZIP, DEFLATE]))
def test_junk(body: bytes, code: int) -> None:
    """Arbitrary bytes inflate or are refused in the documented ways."""
    for junk in (body, gzip.compress(b"ok") + body, gzip.compress(b"x" * 50)[:10] + body):
        with suppress(BadCoding, TooLarge):
            assert len(inflate(junk, code, 100)) <= 100


def test_members_are_bounded() -> None:
    """A body of very many empty members is refused: each costs a decompressor."""
    member = gzip.compress(b"")
    assert inflate(member * 64, GZIP, 10) == b""
    with pytest.raises(BadCoding):
        inflate(member * 65, GZIP, 10)


@given(st.binary(max_size=3_000))
def test_deflate(body: bytes) -> None:
    """A compressed answer is the body again."""
    assert gzip.decompress(bodies.deflate(body)) == body
