"""A catalogue as workers use it: one immutable file of arrays, mapped by all of them, swapped whole.

Place: build.py writes the file; shop/ and render/ ask a Catalogue; nobody on the path of a bid does. household.py
    holds a worker's Catalogues and refreshes them every second in a thread, since a new version is read whole once.
Shapes: a folder of Catalogues holds one folder per advertiser (sections.py says what is in it).
    N products in the order of their keys; a row is a place in it, good within one version only: people and
    models know products by key.
Limits: MAX_PRODUCTS. A look-up is a search in mapped memory, about 1 us once its pages are in memory.
Raises: ArtifactError where a file is damaged or another advertiser's, OSError where it cannot be read.
"""

import logging
import os
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bidder.catalogue.build import KIND, write_snapshot
from bidder.catalogue.product import DIMENSIONS, EVERYTHING, Product
from bidder.catalogue.sections import ArtifactError, Facts, Opened, open_version, pointer, trace
from bidder.metrics import Metric, Tally

__all__ = ["Catalogue", "Catalogues", "open_catalogue", "write_snapshot"]

METRICS = (
    Metric(
        "paceline_catalogue_loaded_timestamp_seconds",
        "gauge",
        "When the version of an advertiser's catalogue that is in use was published; of several, the oldest",
        ("advertiser",),
        merge="min",
    ),
    Metric(
        "paceline_catalogue_refusals_total",
        "counter",
        "Catalogue versions that a worker found damaged or could not open",
    ),
)

_LOADED = "paceline_catalogue_loaded_timestamp_seconds"

log = logging.getLogger(__name__)

Rows = NDArray[np.int32]
Scores = NDArray[np.float32]

_decode = msgspec.msgpack.Decoder(Product).decode


class Catalogue:
    """One version of one advertiser's products."""

    def __init__(self, opened: Opened) -> None:
        """Raises ArtifactError where the arrays do not fit together."""
        try:
            self._adopt(opened)
        except KeyError as error:
            raise ArtifactError(f"without {error}") from None
        self.version = opened.version
        self.facts: Facts = opened.facts
        self.advertiser_id = opened.facts.advertiser
        self.count = len(self.keys)
        sizes = {len(self._available), len(self.categories), len(self.popularity), len(self._texts_at) - 1}
        if sizes != {self.count} or self.vectors.shape not in ((0, DIMENSIONS), (self.count, DIMENSIONS)):
            raise ArtifactError("its arrays differ in length")

    def _adopt(self, opened: Opened) -> None:
        arrays = opened.arrays
        self.keys: NDArray[np.uint64] = arrays["keys"]
        """(N,) rising."""
        self.categories: NDArray[np.uint32] = arrays["categories"]
        """(N,) the key of each product's own category; EVERYTHING where it has none."""
        self.popularity: Scores = arrays["popularity"]
        """(N,) views that the model counted."""
        self.vectors: NDArray[np.float16] = arrays["vectors"]
        """(N, DIMENSIONS), zeros where not known; (0, DIMENSIONS) without a model."""
        self._keys = self.keys.data
        self._available: NDArray[np.uint8] = arrays["available"]
        self._texts = arrays["texts"].data
        self._texts_at = arrays["texts_at"].data
        self._near_rows, self._near_scores = arrays["near_rows"], arrays["near_scores"]
        self._near_at = arrays["near_at"].data
        self._best_keys, self._best_rows = arrays["best_keys"].data, arrays["best_rows"]
        self._best_at = arrays["best_at"].data

    def find(self, key: int) -> int:
        """The row of a product key; -1: not in this catalogue."""
        row = bisect_left(self._keys, key)
        return row if row < self.count and self._keys[row] == key else -1

    def product(self, row: int) -> Product:
        """All that the feed says of a product."""
        return _decode(self._texts[self._texts_at[row] : self._texts_at[row + 1]])

    def available(self, row: int) -> bool:
        """Whether it is in stock."""
        return bool(self._available[row])

    def category(self, row: int) -> int:
        """The key of its own category; EVERYTHING where it has none."""
        return int(self.categories[row])

    def similar(self, row: int) -> tuple[Rows, Scores]:
        """Products in stock that are seen after this one, best first; views of mapped memory."""
        begin, end = self._near_at[row], self._near_at[row + 1]
        return self._near_rows[begin:end], self._near_scores[begin:end]

    def vector(self, row: int) -> NDArray[np.float16] | None:
        """(DIMENSIONS,) of length 1; None where training has not seen the product."""
        if not len(self.vectors):
            return None
        vector = self.vectors[row]
        return vector if vector.any() else None

    def best(self, category: int = EVERYTHING, count: int = 20) -> Rows:
        """The most viewed products in stock of a category and all below it (keys.category_key), else those that
        stand first in the feed; best first, at most BEST (build.py)."""
        at = bisect_left(self._best_keys, category)
        if at == len(self._best_keys) or self._best_keys[at] != category:
            return self._best_rows[:0]
        begin, end = self._best_at[at], self._best_at[at + 1]
        return self._best_rows[begin : min(end, begin + count)]


def open_catalogue(folder: Path, advertiser_id: str, version: str) -> Catalogue:
    """Check and map one version; reads the whole file once."""
    catalogue = Catalogue(open_version(folder, KIND, version))
    if catalogue.advertiser_id != advertiser_id:
        raise ArtifactError(f"the catalogue of {catalogue.advertiser_id}")
    return catalogue


class Catalogues:
    """The current catalogue of each advertiser, as one worker sees them."""

    def __init__(self, folder: Path, tally: Tally | None = None) -> None:
        """Nothing is opened before the first `refresh`."""
        self._folder, self._tally = folder, tally
        self._open: dict[str, Catalogue] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self.refusals = 0
        """Versions that could not be used, since the start."""

    def of(self, advertiser_id: str) -> Catalogue | None:
        """The catalogue of an advertiser; None where it has none."""
        return self._open.get(advertiser_id)

    def refresh(self) -> bool:
        """Look at the pointers and take over what is new; whether anything was. Safe in a thread, one at a time."""
        names = self._names()
        fresh = {name: held for name, held in self._open.items() if name in names}
        for name in names:
            seen = trace(self._folder / name)
            if seen != self._seen.get(name):
                opened = self._take(name)
                self._seen[name] = seen
                if opened is not None:
                    fresh[name] = opened
        changed = fresh != self._open
        self._seen = {name: self._seen[name] for name in names}
        self._tell(self._open.keys() - fresh.keys())
        self._open = fresh
        return changed

    def _names(self) -> set[str]:
        try:
            return {entry.name for entry in os.scandir(self._folder) if entry.is_dir()}
        except OSError:
            return set()

    def _take(self, name: str) -> Catalogue | None:
        """The catalogue that the pointer names; None where it is the one that we have, or cannot be used."""
        new, held = pointer(self._folder / name), self._open.get(name)
        if new is None or (held is not None and held.version == new.version):
            return None
        try:
            opened = open_catalogue(self._folder / name, name, new.version)
        except (ArtifactError, OSError) as error:
            self.refusals += 1
            if self._tally is not None:
                self._tally.count("paceline_catalogue_refusals_total")
            log.error("the new catalogue of %s cannot be used, the last good one stays: %s", name, error)
            return None
        if self._tally is not None:
            self._tally.set(_LOADED, name, value=new.written_s)
        return opened

    def _tell(self, gone: Iterable[str]) -> None:
        """Of a catalogue that is no more nothing is told."""
        if self._tally is not None:
            for name in gone:
                self._tally.set(_LOADED, name, value=0)
