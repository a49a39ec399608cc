"""Our keys of data deletion requests: they sign our answers, and others verify those with what we publish.

Place: web/deletion publishes the public halves and signs with the first.
Shapes: a PEM file of EC P-256 private keys, the newest first; the first signs, all are published. To rotate, put a new
    key in front, and drop the old one when partners have read ours again (POLL_S). A key's id is its thumbprint
    (RFC 7638).
Limits: MAX_KEYS.
Raises: SigningError, naming the place, never showing a key.
Source: RFC 7517, RFC 7518 (ES256), RFC 7638.
"""

import base64
import json
import logging
import os
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from bidder.rights.errors import SigningError

__all__ = ["SigningError", "SigningKey", "SigningKeys", "load_signing_keys"]

ALGORITHM: Final = "ES256"
GENERATED_NAME: Final = "deletion.pem"
MAX_KEYS: Final = 16
POLL_S: Final = 86_400
"""How often partners are told to read our keys."""

_PEM: Final = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)
_COORDINATE_BYTES: Final = 32
_log = logging.getLogger(__name__)


class SigningKey(Struct, frozen=True):
    """One key pair."""

    id: str
    private: ec.EllipticCurvePrivateKey
    public: dict[str, str]
    """As a JSON Web Key."""

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id})"


class SigningKeys:
    """Our keys; the first signs."""

    def __init__(self, keys: tuple[SigningKey, ...]) -> None:
        """At least one."""
        self.keys = keys

    def published(self) -> list[dict[str, str]]:
        """The public keys, as JSON Web Keys."""
        return [key.public for key in self.keys]

    def sign(self, claims: dict[str, Any]) -> str:
        """A signed JWT of some claims."""
        first = self.keys[0]
        return jwt.encode(claims, first.private, algorithm=ALGORITHM, headers={"kid": first.id})


def load_signing_keys(keys_file: str, data_dir: Path) -> SigningKeys:
    """The keys of a file; without one, of the data directory, where they are made once. Raises SigningError."""
    path = Path(keys_file) if keys_file else data_dir / GENERATED_NAME
    try:
        if not keys_file and not path.exists():
            _generate(path)
        return SigningKeys(_parse(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SigningError(f"{path}: {reason}") from None


def _parse(text: bytes) -> tuple[SigningKey, ...]:
    blocks = _PEM.findall(text)
    if not 1 <= len(blocks) <= MAX_KEYS:
        raise ValueError(f"holds {len(blocks)} keys; 1 to {MAX_KEYS} are expected")
    return tuple(_key(block) for block in blocks)


def _key(block: bytes) -> SigningKey:
    try:
        private = serialization.load_pem_private_key(block, password=None)
    except (ValueError, TypeError):
        raise ValueError(
            "a key cannot be read: private keys in PEM without a password are expected"
        ) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise ValueError("a key is not of the curve P-256")
    point = private.public_key().public_numbers()
    named = {"crv": "P-256", "kty": "EC", "x": _number(point.x), "y": _number(point.y)}
    thumbprint = _web(sha256(json.dumps(named, sort_keys=True, separators=(",", ":")).encode()).digest())
    return SigningKey(thumbprint, private, {**named, "kid": thumbprint, "use": "sig", "alg": ALGORITHM})


def _number(value: int) -> str:
    return _web(value.to_bytes(_COORDINATE_BYTES, "big"))


def _web(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _generate(path: Path) -> None:
    """Make a key, once: of several processes one wins, and all read its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    part = path.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    except FileExistsError:
        return
    finally:
        part.unlink(missing_ok=True)
    _log.warning("a key for data deletion requests was made and stored in %s", path)
