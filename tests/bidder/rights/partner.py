"""Partners of data deletion requests: their keys, their files, and what they send."""

from __future__ import annotations

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.bidder.rights.conftest import NOW_S, ONE

_KEYS = {
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "RS256": (rsa.generate_private_key(65_537, 2_048), RSAAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
}


class Partner:
    """One domain with a key."""

    def __init__(self, domain: str, algorithm: str = "ES256", kid: str = "k1") -> None:
        self.domain, self.algorithm, self.kid = domain, algorithm, kid
        self.private, kind = _KEYS[algorithm]
        self.jwk: dict[str, Any] = json.loads(kind.to_jwk(self.private.public_key()))  # type: ignore[attr-defined]  # each has its own
        self.jwk |= {"kid": kid, "alg": algorithm}

    def file(self, **changes: Any) -> bytes:
        """Its dsrdelete.json of version 1.0."""
        return json.dumps(
            {"endpoint": f"https://{self.domain}/d", "publicKey": [self.jwk], **changes}
        ).encode()

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A JWT."""
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers={"kid": self.kid, **header})


PUBLISHER = Partner("publisher.example")
EXCHANGE = Partner("exchange.example", "RS256", "r1")
NAMED = {"identifierType": "paceline_id", "identifierFormat": "hex", "identifierValue": ONE.hex()}


def origin(partner: Partner = PUBLISHER, version: str = "1.0", **changes: Any) -> str:
    """The inner JWT."""
    sub = {"sub": NAMED} if version == "1.0" else {}
    claims = {"version": version, "jti": "o1", "iss": partner.domain, "iat": NOW_S - 60, **sub, **changes}
    return partner.sign(claims)


def request_1(partner: Partner = EXCHANGE, inner: str | None = None, **changes: Any) -> str:
    """A request of version 1.0."""
    claims = {"version": "1.0", "idJWT": origin() if inner is None else inner, "jti": "r1", "sub": NAMED}
    return partner.sign({**claims, "iss": partner.domain, "iat": NOW_S - 30, **changes})


def request_2(partner: Partner = EXCHANGE, inner: str | None = None, **changes: Any) -> str:
    """A request of version 2.0."""
    inner = origin(version="2.0") if inner is None else inner
    claims = {"version": "2.0", "orJWT": inner, "jti": "r2", **NAMED}
    return partner.sign({**claims, "iss": partner.domain, "iat": NOW_S - 30, **changes})


class Internet:
    """What stands where, and how often it was asked for."""

    def __init__(self, **files: bytes | Exception) -> None:
        self.files: dict[str, bytes | Exception] = {
            f"https://{each.domain}/dsrdelete.json": each.file() for each in (PUBLISHER, EXCHANGE)
        }
        self.files |= files
        self.asked: list[str] = []

    async def fetch(self, address: str) -> bytes:
        """As partners.fetch_https."""
        self.asked.append(address)
        found = self.files.get(address, LookupError())
        if isinstance(found, Exception):
            raise found
        return found


def forged_pem() -> str:
    """A public key as text, as a forger who signs with HS256 would use it."""
    public = EXCHANGE.private.public_key()
    return public.public_bytes(  # type: ignore[no-any-return,attr-defined]  # of any kind of key
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
