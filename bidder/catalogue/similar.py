"""What training found of one advertiser's products: which follow which, how often each is seen, where each lies.

Place: learning/affinity.py makes one and publishes it; build.py puts it into the next snapshot.
Shapes: M products, sorted by key; neighbours of product i are `neighbours[start[i]:start[i + 1]]`, best first.
Units: a score is the weight of later views, 1/distance each, per session with the product.
Never: a person: a model holds sums over sessions alone.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.catalogue.product import DIMENSIONS
from bidder.catalogue.sections import ArtifactError, Facts, open_version, pointer, publish

KIND: Final = "affinity model"


class Similar(Struct, frozen=True):
    """A model of one advertiser's products."""

    keys: NDArray[np.uint64]
    """(M,) product keys, rising."""
    start: NDArray[np.uint64]
    """(M + 1,)"""
    neighbours: NDArray[np.int32]
    """Places in `keys`."""
    scores: NDArray[np.float32]
    popularity: NDArray[np.float32]
    """(M,) views."""
    vectors: NDArray[np.float16]
    """(M, DIMENSIONS), of length 1; zeros: not known."""
    sessions: int = 0
    version: str = ""
    """Empty before it is published."""


def write_model(folder: Path, advertiser_id: str, model: Similar, now_s: int) -> str:
    """Publish a model in `folder`/advertiser_id; its version, the same for the same contents."""
    arrays: dict[str, NDArray[Any]] = {
        "keys": model.keys,
        "start": model.start,
        "neighbours": model.neighbours,
        "scores": model.scores,
        "popularity": model.popularity,
        "vectors": model.vectors,
    }
    facts = Facts(advertiser=advertiser_id, count=len(model.keys), sessions=model.sessions)
    return publish(folder / advertiser_id, KIND, facts, arrays, now_s)


def read_model(folder: Path, advertiser_id: str) -> Similar | None:
    """The current model of an advertiser in `folder`; None where there is none; raises ArtifactError where it cannot
    be used."""
    found = pointer(folder / advertiser_id)
    if found is None:
        return None
    try:
        opened = open_version(folder / advertiser_id, KIND, found.version)
    except OSError as error:
        raise ArtifactError(f"{found.version}.bin: {error.strerror or error}") from None
    if opened.facts.advertiser != advertiser_id:
        raise ArtifactError(f"the model of {opened.facts.advertiser}")
    model = Similar(**opened.arrays, sessions=opened.facts.sessions, version=opened.version)
    if model.vectors.shape != (len(model.keys), DIMENSIONS):
        raise ArtifactError(f"its vectors are {model.vectors.shape}")
    return model
