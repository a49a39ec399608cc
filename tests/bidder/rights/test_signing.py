"""Our signing keys: made once, kept to their owner, rotated without losing an answer."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bidder.rights.signing import GENERATED_NAME, SigningError, load_signing_keys


def _pem(curve: ec.EllipticCurve | None = None) -> bytes:
    return ec.generate_private_key(curve or ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """For its owner alone; however many processes begin at once, all have the same."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: load_signing_keys("", tmp_path), range(8)))
    assert len({keys.keys[0].id for keys in made}) == 1
    assert stat.S_IMODE((tmp_path / GENERATED_NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [GENERATED_NAME]
    assert "d" not in made[0].published()[0]
    assert "PRIVATE" not in repr(made[0].keys[0])


def test_rotation(tmp_path: Path) -> None:
    """A key in front signs, those behind it are still published, so that older answers verify."""
    file = tmp_path / "keys.pem"
    old = _pem()
    file.write_bytes(old)
    before = load_signing_keys(str(file), tmp_path)
    signed = before.sign({"iss": "us"})
    file.write_bytes(_pem() + old)
    after = load_signing_keys(str(file), tmp_path)
    assert len(after.published()) == 2
    published = {key["kid"]: jwt.PyJWK.from_dict(key).key for key in after.published()}
    for text, name in ((signed, before.keys[0].id), (after.sign({"iss": "us"}), after.keys[0].id)):
        assert jwt.get_unverified_header(text)["kid"] == name
        assert jwt.decode(text, published[name], algorithms=["ES256"]) == {"iss": "us"}
    assert before.keys[0].id != after.keys[0].id


@pytest.mark.parametrize(
    "content", [b"", b"hello", _pem(ec.SECP384R1()), _pem() * 17, b"-----BEGIN X-----\nA\n-----END X-----"]
)
def test_what_cannot_be_used_is_told(tmp_path: Path, content: bytes) -> None:
    """One line with the place, and nothing of the content."""
    file = tmp_path / "bad.pem"
    file.write_bytes(content)
    with pytest.raises(SigningError) as raised:
        load_signing_keys(str(file), tmp_path)
    assert str(file) in str(raised.value)
    assert "BEGIN" not in str(raised.value)
    with pytest.raises(SigningError):
        load_signing_keys(str(tmp_path / "absent.pem"), tmp_path)
