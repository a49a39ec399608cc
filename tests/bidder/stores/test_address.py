"""URLs of stores."""

from __future__ import annotations

import ssl

import pytest

from bidder.stores.address import Address, parse, parse_all
from bidder.stores.errors import AddressError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://store", Address(host="store")),
        ("redis://store:7000/3", Address(host="store", port=7000, db=3)),
        ("redis://store?db=4", Address(host="store", db=4)),
        ("redis://[::1]:7000", Address(host="::1", port=7000)),
        ("redis://:p%40ss@store", Address(host="store", password="p@ss")),
        ("redis://me:word@store", Address(host="store", user="me", password="word")),
        ("rediss://store:6380", Address(host="store", port=6380, tls=True)),
        ("unix:///run/store.sock?db=2", Address(path="/run/store.sock", db=2)),
        ("unix://me:word@/run/store.sock", Address(path="/run/store.sock", user="me", password="word")),
    ],
)
def test_urls_are_taken_apart(url: str, address: Address) -> None:
    """Each form of a URL gives its parts."""
    assert parse(url) == address


@pytest.mark.parametrize(
    "url",
    ["", "store:6379", "http://store", "redis://", "redis://store:port", "redis://store/one", "unix://"],
)
def test_what_is_not_a_store_is_refused(url: str) -> None:
    """Anything else raises AddressError."""
    with pytest.raises(AddressError):
        parse(url)


def test_no_error_and_no_name_holds_a_password() -> None:
    """Neither `str`, nor `repr`, nor an error repeats a password."""
    address = parse("redis://me:hidden@store:7000")
    assert "hidden" not in f"{address} {address!r}"
    for url in ("http://me:hidden@store", "redis://me:hidden@store:port", "redis://me:hidden@store/db"):
        with pytest.raises(AddressError) as caught:
            parse(url)
        assert "hidden" not in str(caught.value)


def test_several_urls_are_a_cluster() -> None:
    """Commas part URLs; none at all is an error."""
    assert [address.host for address in parse_all("redis://a, redis://b,")] == ["a", "b"]
    with pytest.raises(AddressError):
        parse_all(" , ")


def test_tls_is_verified_unless_told_otherwise() -> None:
    """rediss:// checks name and certificate, ssl_cert_reqs=none does not; a missing file is refused."""
    context = parse("rediss://store").ssl_context()
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    loose = parse("rediss://store?ssl_cert_reqs=none").ssl_context()
    assert loose is not None
    assert loose.verify_mode is ssl.CERT_NONE
    assert parse("redis://store").ssl_context() is None
    with pytest.raises(AddressError):
        parse("rediss://store?ssl_ca_certs=/does/not/exist.pem").ssl_context()
