"""The keys that sign tokens: where they come from, and how they are changed without losing a notice.

Place: the supervisor loads them once and hands them to its workers; token.py signs and verifies with them.
Shapes: text is `id:hex`, comma- or line-separated, the newest first: the first signs, all verify. To rotate,
    put a new key in front and drop the old one when its last token has expired.
Limits: ids 0 to 255; secrets of at least MIN_SECRET_BYTES bytes.
Raises: KeysError, naming the place, never showing a key.
"""

import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

VARIABLE: Final = "PACELINE_TOKEN_KEYS"
PRICE_VARIABLE: Final = "PACELINE_PRICE_KEYS"
GENERATED_NAME: Final = "token.keys"
MIN_SECRET_BYTES: Final = 32
"""The width of the hash: more adds nothing, less is easier to guess than the tag."""

_log = logging.getLogger(__name__)


class KeysError(Exception):
    """The keys cannot be used; `str()` says where and why."""


class Key(Struct, frozen=True, gc=False):
    """One secret and the number by which tokens name it."""

    id: int
    secret: bytes

    def __repr__(self) -> str:
        return f"Key(id={self.id})"


class Keyring:
    """All keys that are believed; the first one signs."""

    __slots__ = ("_secrets", "keys", "signing")

    def __init__(self, keys: tuple[tuple[int, bytes], ...]) -> None:
        """`keys` are (id, secret), the newest first; raises KeysError for none, doubles, and weak ones."""
        if not keys:
            raise KeysError("no keys")
        for number, secret in keys:
            if not 0 <= number <= 255:
                raise KeysError("a key's id is a number from 0 to 255")
            if len(secret) < MIN_SECRET_BYTES:
                raise KeysError(f"key {number}: a secret has at least {MIN_SECRET_BYTES} bytes")
        self.keys = keys
        self._secrets = dict(keys)
        if len(self._secrets) != len(keys):
            raise KeysError("two keys have the same id")
        self.signing = Key(*keys[0])

    def __repr__(self) -> str:
        return f"Keyring(ids={[number for number, _ in self.keys]})"

    def secret(self, number: int) -> bytes | None:
        """The secret of a key's id."""
        return self._secrets.get(number)


def parse_keys(text: str, place: str) -> Keyring:
    """The keys that a text holds; lines that begin with # are remarks. Raises KeysError."""
    lines = [line.strip() for line in text.replace(",", "\n").splitlines()]
    try:
        return Keyring(tuple(_parse_key(line) for line in lines if line and not line.startswith("#")))
    except KeysError as error:
        raise KeysError(f"{place}: {error}") from None


def load_keys(environment: Mapping[str, str], keys_file: str, data_dir: Path) -> Keyring:
    """The keys of the environment, else of `keys_file`, else of the data directory, where they are made
    once. Raises KeysError."""
    if environment.get(VARIABLE):
        return parse_keys(environment[VARIABLE], VARIABLE)
    if keys_file:
        return _read(Path(keys_file))
    path = data_dir / GENERATED_NAME
    if not path.exists():
        _generate(path)
    return _read(path)


def _parse_key(text: str) -> tuple[int, bytes]:
    number, _, secret = text.partition(":")
    try:
        return int(number), bytes.fromhex(secret)
    except ValueError:
        raise KeysError("a key is written id:hex") from None


def _read(path: Path) -> Keyring:
    return parse_keys(_text(str(path)), str(path))


def _text(path: str) -> str:
    """What stands in a file of secrets; nothing where none is named."""
    try:
        return Path(path).read_text(encoding="ascii") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not plain text"
        raise KeysError(f"{path}: {reason}") from None


def _generate(path: Path) -> None:
    text = f"1:{secrets.token_hex(MIN_SECRET_BYTES)}\n"
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from None
    _log.warning("token keys were made and stored in %s: keep them, or give keys by %s", path, VARIABLE)


def load_price_keys(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Exchange name to the keys of its price decoder, from PACELINE_PRICE_KEYS or the file that
    PACELINE_PRICE_KEYS_FILE names: `exchange:encryption_key:integrity_key`, comma- or line-separated.
    Raises KeysError; whether the keys fit the exchange's decoder shows where the decoder is made."""
    keys = {}
    text = environment.get(PRICE_VARIABLE) or _text(environment.get(f"{PRICE_VARIABLE}_FILE", ""))
    for part in filter(None, map(str.strip, text.replace(",", "\n").splitlines())):
        fields = part.split(":")
        if len(fields) != 3 or not all(fields):
            raise KeysError(f"{PRICE_VARIABLE}: prices' keys are written exchange:encryption:integrity")
        keys[fields[0]] = {"encryption_key": fields[1], "integrity_key": fields[2]}
    return keys
