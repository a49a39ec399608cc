"""Data deletion requests of publishers and exchanges: verified twice, acknowledged, and carried out out of band.

Place: web/deletion receives them; requests.py carries out what is accepted.
Shapes: version 1.0: rqJWT {version, idJWT, jti, iss, sub {identifierType, -Format, -Value}, iat}; 2.0: orJWT in place
    of idJWT, and the identifier's fields beside it. An answer is an acJWT {version, rqJWT, jti, iss, iat, raResultCode,
    raResultString}, and 202, or 400.
Rule: both JWTs are verified with the key that their `kid` names at their `iss`, by the algorithm that this key has;
    both issuers must be configured. A request that was accepted before is acknowledged again, and carried out once.
Limits: MAX_JWT characters; FUTURE_S ahead of our clock, MAX_AGE_S behind it, MAX_ORIGIN_AGE_S for the inner one.
Raises: nothing for what may be sent; redis.RedisError where the store is away.
Source: IAB Tech Lab, Data Deletion Request Framework 1.0 (May 2024) and 2.0 (April 2026), RFC 7519.
Never: a text of the request in an error, or an identifier in a log.
"""

import hashlib
import re
import secrets
from typing import Any, Final

import jwt
import msgspec
from jwt.api_jws import PyJWS
from msgspec import Struct

from bidder.audience.handles import Handles
from bidder.audience.identity import MAX_ID_LENGTH, person_id
from bidder.clock import Clock
from bidder.metrics import Metric, Tally
from bidder.rights.partners import PartnerError, Partners, Step
from bidder.rights.signing import SigningKeys

MAX_JWT: Final = 16_384
MAX_NAME: Final = 256
FUTURE_S: Final = 300
MAX_AGE_S: Final = 7 * 86_400
MAX_ORIGIN_AGE_S: Final = 45 * 86_400
"""Publishers have 45 days under Californian law to pass a request on."""
ALGORITHMS: Final = frozenset(
    {"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}
)
TYPES: Final = {
    "paceline_id": "hex",
    "idfa": "plaintext",
    "gaid": "plaintext",
    "partner_id": "source/id",
    "paceline_handle": "exchange/hex",
}
"""Identifiers that we take, and the format of each; published in dsrdelete.json. A handle is what an exchange was told
of our id, behind the exchange's name."""

METRICS: Final = (
    Metric("paceline_deletion_requests_total", "counter", "Data deletion requests by result", ("result",)),
)

_SHAPE: Final = re.compile(r"[\w-]{2,}\.[\w-]{2,}\.[\w-]{2,}\Z", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_MATCH: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}/.{1,256}\Z", re.DOTALL)
_EXCHANGE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")
_SUCCESS: Final = "success"
_UNKNOWN: Final = "unknown_error"
_CODES_2: Final = {
    _SUCCESS: 10000,
    _UNKNOWN: 10010,
    "or_domain_connection_failed": 11101,
    "or_dsrdelete_file_not_found": 11102,
    "or_jwksuri_not_found": 11103,
    "or_jwks_keys_file_not_found": 11104,
    "or_jwks_kid_not_found": 11105,
    "rq_domain_connection_failed": 11201,
    "rq_dsrdelete_file_not_found": 11202,
    "rq_jwksuri_not_found": 11203,
    "rq_jwks_keys_file_not_found": 11204,
    "rq_jwks_kid_not_found": 11205,
    "or_alg_claim_mismatch": 12101,
    "rq_alg_claim_mismatch": 12201,
    "or_invalid_token": 13101,
    "or_invalid_token_signature": 13102,
    "or_invalid_token_timestamp": 13103,
    "or_invalid_token_timestamp_future": 13104,
    "rq_invalid_token": 13201,
    "rq_invalid_token_signature": 13202,
    "rq_invalid_token_timestamp": 13203,
    "rq_invalid_token_timestamp_future": 13204,
    "rq_invalid_timestamp_sequence": 13205,
    "rq_unsupported_identifier_type": 14201,
    "rq_unsupported_identifier_format": 14202,
    "rq_invalid_identifier_value": 14204,
}
_CODES_1: Final = {
    "invalid_token": 3,
    "identifier_type": 4,
    "identifier_format": 5,
    "identifier_value": 5,
    "timestamp": 6,
}
_SIGNATURE_1: Final = 2


class Refused(Exception):
    """The request is not believed; `str()` is the result's constant name in version 2.0."""


class Claims(Struct, frozen=True):
    """What both JWTs say; types are strict, unknown claims are left out."""

    version: str
    jti: str
    iss: str
    iat: int | float
    idJWT: str = ""
    orJWT: str = ""
    sub: Any = None
    identifierType: str = ""
    identifierFormat: str = ""
    identifierValue: str = ""


class Identifier(Struct, frozen=True):
    """Whom a request is about."""

    person: bytes | None = None
    match: str = ""
    """A key of the match table."""


class Accepted(Struct, frozen=True):
    """A request that is believed."""

    name: str
    """A digest of issuer and jti: it is carried out once."""
    identifier: Identifier


class Answer(Struct, frozen=True):
    """What goes back, and what is to be done."""

    status: int
    acknowledgement: str
    accepted: Accepted | None = None


class Office:
    """Receives requests."""

    handles: Handles | None = None
    """Opens what exchanges were told of our ids; none: no handle names anybody."""

    def __init__(
        self, domain: str, keys: SigningKeys, partners: Partners, tally: Tally, clock: Clock
    ) -> None:
        """`domain` is ours: the issuer of acknowledgements."""
        self._domain, self._keys, self._partners = domain, keys, partners
        self._tally, self._clock = tally, clock

    async def receive(self, text: str) -> Answer:
        """Judge a rqJWT."""
        version, accepted, result = "2.0", None, _SUCCESS
        try:
            request = _claims(text, "rq")
            version = "1.0" if request.version.startswith("1.") else "2.0"
            accepted = await self._judge(text, request)
        except Refused as refused:
            result = str(refused)
        self._tally.count("paceline_deletion_requests_total", result)
        return Answer(202 if accepted else 400, self._acknowledge(text, version, result), accepted)

    def _acknowledge(self, text: str, version: str, result: str) -> str:
        code = _CODES_2[result] if version == "2.0" else _code_1(result)
        return self._keys.sign(
            {
                "version": version,
                "rqJWT": text if len(text) <= MAX_JWT and _SHAPE.match(text) else "",
                "jti": secrets.token_hex(16),
                "iss": self._domain,
                "iat": int(self._clock.now_s()),
                "raResultCode": code,
                "raResultString": result,
            }
        )

    def unknown(self) -> str:
        """What is acknowledged where we are at fault."""
        self._tally.count("paceline_deletion_requests_total", _UNKNOWN)
        return self._acknowledge("", "2.0", _UNKNOWN)

    async def _judge(self, text: str, request: Claims) -> Accepted:
        """Whether both JWTs hold; raises Refused."""
        inner = request.idJWT if request.version.startswith("1.") else request.orJWT
        origin = _claims(inner, "or")
        await self._verify(text, request, "rq")
        await self._verify(inner, origin, "or")
        self._timely(request, MAX_AGE_S, "rq")
        self._timely(origin, MAX_ORIGIN_AGE_S, "or")
        if request.iat < origin.iat:
            raise Refused("rq_invalid_timestamp_sequence")
        name = hashlib.blake2b(f"{request.iss}\0{request.jti}".encode(), digest_size=16).hexdigest()
        return Accepted(name, _identifier(request, self.handles))

    async def _verify(self, text: str, claims: Claims, which: str) -> None:
        """Whether a JWT was signed by the key that it names; raises Refused."""
        header = _header(text, which)
        algorithm, kid = header["alg"], header["kid"]
        try:
            key = await self._partners.key(claims.iss, kid)
        except PartnerError as error:
            raise Refused(f"{which}_{error.step.value}") from None
        if algorithm not in ALGORITHMS or key.get("alg", algorithm) != algorithm:
            raise Refused(f"{which}_alg_claim_mismatch")
        try:
            public = jwt.PyJWK.from_dict(dict(key), algorithm=algorithm)
            PyJWS().decode(text, public.key, algorithms=[algorithm])
        except (jwt.PyJWTError, ValueError, TypeError):
            raise Refused(f"{which}_invalid_token_signature") from None

    def _timely(self, claims: Claims, max_age_s: int, which: str) -> None:
        now_s = self._clock.now_s()
        if claims.iat > now_s + FUTURE_S:
            raise Refused(f"{which}_invalid_token_timestamp_future")
        if claims.iat <= 0 or claims.iat < now_s - max_age_s:
            raise Refused(f"{which}_invalid_token_timestamp")


def dsrdelete(base_url: str, keys: SigningKeys, poll_s: int) -> dict[str, Any]:
    """What stands in our dsrdelete.json: of both versions of the framework."""
    return {
        "endpoint": f"{base_url}/dsr",
        "pollFrequency": poll_s,
        "identifiers": [
            {"id": number, "type": type_, "format": format_}
            for number, (type_, format_) in enumerate(TYPES.items(), 1)
        ],
        "publicKey": keys.published(),
        "jwksUri": f"{base_url}/dsr/jwks.json",
        "vendorScriptRequirement": False,
    }


def _claims(text: str, which: str) -> Claims:
    """What a JWT says, unverified; raises Refused."""
    if len(text) > MAX_JWT or not _SHAPE.match(text):
        raise Refused(f"{which}_invalid_token")
    try:
        payload = text.split(".")[1]
        claims = msgspec.json.decode(_decoded(payload), type=Claims)
    except (ValueError, RecursionError):
        raise Refused(f"{which}_invalid_token") from None
    if not (1 <= len(claims.jti) <= MAX_NAME and 1 <= len(claims.iss) <= MAX_NAME):
        raise Refused(f"{which}_invalid_token")
    if claims.version.partition(".")[0] not in ("1", "2"):
        raise Refused(f"{which}_invalid_token")
    return claims


def _header(text: str, which: str) -> dict[str, str]:
    try:
        header = msgspec.json.decode(_decoded(text.split(".")[0]), type=dict[str, Any])
    except (ValueError, RecursionError):
        raise Refused(f"{which}_invalid_token") from None
    named = {name: header.get(name) for name in ("alg", "kid")}
    if "crit" in header or not all(isinstance(value, str) for value in named.values()):
        raise Refused(f"{which}_invalid_token")
    return {name: str(value) for name, value in named.items()}


def _decoded(part: str) -> bytes:
    return jwt.utils.base64url_decode(part)


def _identifier(request: Claims, handles: Handles | None) -> Identifier:
    """Whom a request names; raises Refused."""
    kind, form, value = request.identifierType, request.identifierFormat, request.identifierValue
    if request.version.startswith("1."):
        kind, form, value = (_text(request.sub, f"identifier{name}") for name in ("Type", "Format", "Value"))
    if kind not in TYPES:
        raise Refused("rq_unsupported_identifier_type")
    if form != TYPES[kind]:
        raise Refused("rq_unsupported_identifier_format")
    found = _meant(kind, value, handles)
    if found is None:
        raise Refused("rq_invalid_identifier_value")
    return found


def _text(sub: object, name: str) -> str:
    """One field of version 1.0's `sub`; empty where it is none."""
    value = sub.get(name) if isinstance(sub, dict) else None
    return value if isinstance(value, str) else ""


def _meant(kind: str, value: str, handles: Handles | None) -> Identifier | None:
    if kind == "paceline_handle":
        exchange, _, told = value.partition("/")
        person = handles.person(exchange, told) if handles is not None and _EXCHANGE.match(exchange) else None
        return Identifier(person=person) if person is not None else None
    if kind == "paceline_id":
        person = person_id(value.lower())
        return Identifier(person=person) if person is not None else None
    if kind == "partner_id":
        return Identifier(match=value) if _MATCH.match(value) and len(value) <= MAX_ID_LENGTH else None
    return Identifier(match=f"ifa/{value.lower()}") if _UUID.match(value.lower()) else None


def _code_1(result: str) -> int:
    """The result code of version 1.0."""
    if result == _SUCCESS:
        return 0
    if result.endswith(("_signature", "_mismatch")) or any(result.endswith(step.value) for step in Step):
        return _SIGNATURE_1
    return next(
        code
        for name, code in _CODES_1.items()
        if name in result.replace("invalid_token_timestamp", "timestamp")
    )
