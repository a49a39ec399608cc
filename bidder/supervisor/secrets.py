"""The keys that workers are handed: read at the start, and anew before workers are replaced.

Place: service.py hands them over the link with each start of a worker, and nobody else sees them.
Rule: keys that cannot be read anew change nothing: the old ones stay, and the log says why. A key that is new must
    verify everywhere before it signs anywhere, since a notice comes to whichever worker the kernel chooses: so a
    rotation is told step by step (helm/THREATS.md), and a new key that stands in front at once is taken with a warning.
Raises: KeysError, at the start alone.
Never: a key, or a part of one, in a log: ids alone.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from bidder.notices.keys import Keyring, KeysError, load_keys, load_price_keys

_log = logging.getLogger(__name__)


class Secrets:
    """Token keys and prices' keys, as they are now."""

    def __init__(self, environment: Mapping[str, str], keys_file: str, data_dir: Path) -> None:
        """Raises KeysError."""
        self._environment, self._keys_file, self._data_dir = environment, keys_file, data_dir
        self._adopted: list[Callable[[Keyring], None]] = []
        self.keyring, self.price_keys = self._read()

    def tell(self, adopt: Callable[[Keyring], None]) -> None:
        """Tell somebody else of every other keyring."""
        self._adopted.append(adopt)

    def reread(self) -> bool:
        """Read them again; whether they could be read."""
        try:
            keyring, price_keys = self._read()
        except KeysError as error:
            _log.error("keys are not read anew, the old ones stay: %s", error)
            return False
        before, known = self.keyring, dict(self.keyring.keys)
        self.price_keys = price_keys
        if keyring.keys == before.keys:
            return True
        if keyring.signing.id not in known:
            _log.warning(
                "token key %d signs at once and was not known before: until every worker of every host has it, "
                "notices of its bids may be lost",
                keyring.signing.id,
            )
        elif known[keyring.signing.id] != keyring.signing.secret:
            _log.warning(
                "token key %d is another one than before: its old notices are lost", keyring.signing.id
            )
        _log.info("token keys: %s, the first signs", ", ".join(str(number) for number, _ in keyring.keys))
        self.keyring = keyring
        for adopt in self._adopted:
            adopt(keyring)
        return True

    def _read(self) -> tuple[Keyring, dict[str, dict[str, str]]]:
        keyring = load_keys(self._environment, self._keys_file, self._data_dir)
        return keyring, load_price_keys(self._environment)
