"""Two instances of Paceline that share people, ledger and journal, and an exchange that talks to both.

Shapes: a bid of one instance is told of at the other as often as not: their token keys are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from bidder.notices.keys import Keyring, load_keys
from budget.money import Micros
from tests.cluster.shards import Shards
from tests.service.market import Market
from tests.service.service import WALLET, Scraped, Service, started

KEYS: Final = "1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"


class Fleet:
    """Services by name; one that was killed can be started again in its folder."""

    def __init__(self, folder: Path, shards: Shards, settings: dict[str, Any], **options: Any) -> None:
        """`options` are those of `started`; `settings` the content of everybody's configuration file."""
        self.keys_file, self.journal = folder / "keys", folder / "journal"
        self.keys_file.write_text(KEYS)
        self.keys_file.chmod(0o600)
        self._folder, self._options, self._held = folder, options, ExitStack()
        ledger = {"cluster": True, "journal_dir": str(self.journal)} | settings.get("ledger", {})
        stores = {"cluster": True} | settings.get("stores", {})
        shared = {"keys_file": str(self.keys_file), "ledger": ledger, "stores": stores}
        self._options["settings"] = settings | shared
        self.url = shards.urls
        self.services: dict[str, Service] = {}

    def start(self, name: str, workers: int = 1, wallet: Micros = WALLET) -> Service:
        """An instance, ready."""
        self.services[name] = self._held.enter_context(
            started(
                self._folder / name,
                redis_url=self.url,
                ledger_url=self.url,
                workers=workers,
                wallet=wallet,
                **self._options,
            )
        )
        return self.services[name]

    def scrape(self) -> list[Scraped]:
        """Everybody's metrics, once nothing is in flight."""
        return [service.settled() for service in self.services.values()]

    def total(self, name: str, **labels: str) -> int:
        """The sum over all instances."""
        return sum(seen.total(name, **labels) for seen in self.scrape())

    def close(self) -> None:
        """End all."""
        self._held.close()


class Fair(Market):
    """An exchange that asks all instances in turn, and tells whichever it likes."""

    def __init__(self, fleet: Fleet, book: Path, seed: int) -> None:
        self._fleet = fleet
        super().__init__(next(iter(fleet.services.values())), book, seed)

    def move(self, service: Service) -> None:
        """The fleet's instances are at other ports, or others, now."""
        self.places = [service.exchange for service in self._fleet.services.values()]
        self._publics = [service.public for service in self._fleet.services.values()]
        self._keys = Keyring(load_keys({}, str(self._fleet.keys_file), service.data_dir).keys)

    def place(self, asker: int) -> tuple[str, int]:
        """Askers are shared out."""
        return self.places[asker % len(self.places)]

    @property
    def public(self) -> tuple[str, int]:  # type: ignore[override]  # the one market's is written once
        """Anybody's."""
        return self._random.choice(self._publics)


@contextmanager
def fleet(folder: Path, shards: Shards, settings: dict[str, Any], **options: Any) -> Iterator[Fleet]:
    """A fleet without an instance yet; all are ended."""
    held = Fleet(folder, shards, settings, **options)
    try:
        yield held
    finally:
        held.close()
