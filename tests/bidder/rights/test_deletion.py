"""Data deletion requests: who is believed, what is answered, and that nobody else erases anybody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.audience.handles import Handles
from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.rights import deletion
from bidder.rights.deletion import MAX_AGE_S, MAX_JWT, MAX_ORIGIN_AGE_S, TYPES, Identifier, Office, dsrdelete
from bidder.rights.partners import Partners
from bidder.rights.signing import SigningKeys, load_signing_keys
from tests.bidder.rights.conftest import NOW_S, ONE
from tests.bidder.rights.partner import (
    EXCHANGE,
    NAMED,
    PUBLISHER,
    Internet,
    Partner,
    forged_pem,
    origin,
    request_1,
    request_2,
)

OURS = "ads.example"
DOMAINS = (PUBLISHER.domain, EXCHANGE.domain, "ed.example")
HANDLES = Handles(((1, b"k" * 32),))


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    """Our keys."""
    return load_signing_keys("", tmp_path_factory.mktemp("keys"))


def _office(signing: SigningKeys, internet: Internet | None = None) -> Office:
    clock = ManualClock(NOW_S)
    partners = Partners(DOMAINS, clock, (internet or Internet()).fetch)
    office = Office(OURS, signing, partners, Tally(), clock)
    office.handles = HANDLES
    return office


def _acknowledged(signing: SigningKeys, text: str) -> dict[str, Any]:
    """What our acknowledgement says, verified by what we publish."""
    (published,) = dsrdelete("https://ads.example", signing, 60)["publicKey"]
    key = jwt.PyJWK.from_dict(published)
    claims: dict[str, Any] = jwt.decode(
        text, key.key, algorithms=["ES256"], issuer=OURS, options={"verify_iat": False}
    )
    assert jwt.get_unverified_header(text)["kid"] == published["kid"]
    return claims


@pytest.mark.parametrize("make", [request_1, request_2])
async def test_a_request_is_believed_and_acknowledged(signing: SigningKeys, make: Any) -> None:
    """Both versions: 202, an acJWT by our published key with the request in it, and whom it is about."""
    text = make()
    answer = await _office(signing).receive(text)
    assert answer.status == 202
    assert answer.accepted is not None
    assert answer.accepted.identifier == Identifier(person=ONE)
    claims = _acknowledged(signing, answer.acknowledgement)
    first = make is request_1
    assert claims["raResultCode"] == (0 if first else 10_000)
    assert (claims["rqJWT"], claims["version"]) == (text, "1.0" if first else "2.0")
    assert claims["iat"] == NOW_S


async def test_identifiers(signing: SigningKeys) -> None:
    """Our id, what an exchange was told of it, advertising ids in any case, ids of the match table; nothing else, in no
    other format."""
    uuid, told = "0123ABCD-0000-4000-8000-00000000000f", HANDLES.handle("google", ONE)
    cases: list[tuple[str, str, str, object]] = [
        ("paceline_id", "hex", ONE.hex().upper(), Identifier(person=ONE)),
        ("idfa", "plaintext", uuid, Identifier(match=f"ifa/{uuid.lower()}")),
        ("gaid", "plaintext", uuid.lower(), Identifier(match=f"ifa/{uuid.lower()}")),
        ("partner_id", "source/id", "shop.acme/17", Identifier(match="shop.acme/17")),
        ("paceline_handle", "exchange/hex", f"google/{told}", Identifier(person=ONE)),
        ("paceline_handle", "exchange/hex", told, 14_204),
        ("paceline_handle", "exchange/hex", f"google/{ONE.hex()}", 14_204),
        ("paceline_handle", "exchange/hex", f"Goo gle/{told}", 14_204),
        ("email", "sha256", "00" * 32, 14_201),
        ("paceline_id", "plaintext", ONE.hex(), 14_202),
        ("paceline_id", "hex", "zz", 14_204),
        ("idfa", "plaintext", "me", 14_204),
        ("partner_id", "source/id", "no source", 14_204),
        ("partner_id", "source/id", "a/" + "b" * 300, 14_204),
    ]
    for kind, form, value, expected in cases:
        named = {"identifierType": kind, "identifierFormat": form, "identifierValue": value}
        answer = await _office(signing).receive(request_2(**named))
        if isinstance(expected, int):
            assert _acknowledged(signing, answer.acknowledgement)["raResultCode"] == expected
        else:
            assert answer.accepted is not None
            assert answer.accepted.identifier == expected
    published = dsrdelete("https://ads.example", signing, 60)["identifiers"]
    assert {each["type"]: each["format"] for each in published} == dict(TYPES)


def _hs256() -> str:
    """A request that is signed with the exchange's public key as a secret of HS256."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = {
        "version": "2.0",
        "orJWT": origin(version="2.0"),
        "jti": "r",
        "iss": EXCHANGE.domain,
        "iat": NOW_S,
        **NAMED,
    }
    body = part({"alg": "HS256", "kid": "r1"}) + b"." + part(claims)
    mac = hmac.new(forged_pem().encode(), body, hashlib.sha256).digest()
    return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def _unsigned(text: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"r1"}').rstrip(b"=").decode()
    return f"{head}.{text.split('.')[1]}.AAAA"


def _changed(text: str) -> str:
    """The claims of another person under the same signature."""
    head, payload, mac = text.split(".")
    claims = json.loads(jwt.utils.base64url_decode(payload))
    claims["identifierValue"] = "ff" * 16
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{mac}"


def _critical() -> str:
    """A request whose header names an extension that must be understood."""
    claims = {
        "version": "2.0",
        "orJWT": origin(version="2.0"),
        "jti": "r",
        "iss": EXCHANGE.domain,
        "iat": NOW_S,
    }
    return EXCHANGE.sign(claims, crit=["x"])


STRANGER = Partner("stranger.example")
REFUSED: dict[str, tuple[Any, int]] = {
    "no JWT": (lambda: "hello", 13_201),
    "empty": (lambda: "", 13_201),
    "too long": (lambda: "a" * (MAX_JWT + 1), 13_201),
    "no JSON": (lambda: "aaaa.aaaa.aaaa", 13_201),
    "unknown version": (lambda: request_2(version="3.0"), 13_201),
    "no jti": (lambda: request_2(jti=""), 13_201),
    "crit": (lambda: _critical(), 13_201),
    "no inner": (lambda: request_2(inner=""), 13_101),
    "inner is no JWT": (lambda: request_2(inner="a.b.c"), 13_101),
    "changed": (lambda: _changed(request_2()), 13_202),
    "HS256 with the public key": (_hs256, 12_201),
    "alg none": (lambda: _unsigned(request_2()), 12_201),
    "inner changed": (lambda: request_2(inner=_changed(origin(version="2.0"))), 13_102),
    "issuer unknown to us": (lambda: request_2(STRANGER), 11_201),
    "inner issuer unknown to us": (lambda: request_2(inner=origin(STRANGER, "2.0")), 11_101),
    "key unknown": (lambda: request_2(Partner(EXCHANGE.domain, "RS256", "other")), 11_205),
    "key of another algorithm": (lambda: request_2(Partner(EXCHANGE.domain, "ES256", "r1")), 12_201),
    "another issuer's name": (lambda: request_2(Partner(PUBLISHER.domain, "ES256", "k1"), iss=EXCHANGE.domain), 11_205),
    "from the future": (lambda: request_2(iat=NOW_S + 301), 13_204),
    "too old": (lambda: request_2(iat=NOW_S - MAX_AGE_S - 1), 13_203),
    "no time": (lambda: request_2(iat=0), 13_203),
    "time is text": (lambda: request_2(iat="now"), 13_201),
    "inner from the future": (lambda: request_2(inner=origin(version="2.0", iat=NOW_S + 301)), 13_104),
    "inner too old": (lambda: request_2(inner=origin(version="2.0", iat=NOW_S - MAX_ORIGIN_AGE_S - 1)), 13_103),
    "before its origin": (lambda: request_2(inner=origin(version="2.0", iat=NOW_S - 29)), 13_205),
    "1.0: no JWT inside": (lambda: request_1(inner="x"), 3),
    "1.0: changed": (lambda: request_1(Partner(EXCHANGE.domain, "RS256", "r2")), 2),
    "1.0: unknown issuer": (lambda: request_1(STRANGER), 2),
    "1.0: sub is text": (lambda: request_1(sub="me"), 4),
    "1.0: format": (lambda: request_1(sub={**NAMED, "identifierFormat": "x"}), 5),
    "1.0: value": (lambda: request_1(sub={**NAMED, "identifierValue": 7}), 5),
    "1.0: time": (lambda: request_1(iat=NOW_S + 301), 6),
    "1.0: sequence": (lambda: request_1(inner=origin(iat=NOW_S)), 6),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_everything_else_is_refused(signing: SigningKeys, case: str) -> None:
    """400 with the framework's code in a signed acknowledgement of constant words; nobody is erased."""
    make, code = REFUSED[case]
    answer = await _office(signing).receive(make())
    assert answer.status == 400
    assert answer.accepted is None
    claims = _acknowledged(signing, answer.acknowledgement)
    assert claims["raResultCode"] == code
    assert claims["raResultString"] in deletion._CODES_2


async def test_edwards_curves_serve(signing: SigningKeys) -> None:
    """A partner may sign with Ed25519."""
    partner = Partner("ed.example", "EdDSA")
    internet = Internet()
    internet.files["https://ed.example/dsrdelete.json"] = partner.file()
    assert (await _office(signing, internet).receive(request_2(partner))).status == 202


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{2,40}\.[\w-]{2,90}\.[\w-]{2,40}", fullmatch=True))
async def test_no_text_raises(text: str) -> None:
    """Whatever comes is answered."""
    answer = await _office(KEYS).receive(text)
    assert answer.status == 400


def _keys() -> SigningKeys:
    with TemporaryDirectory() as folder:
        return load_signing_keys("", Path(folder))


KEYS = _keys()
