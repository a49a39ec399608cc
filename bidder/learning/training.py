"""One shop's affinity model, trained anew from what was recorded or from a file of sessions.

Place: `paceline train affinity`; the caretaker may call it at night. Takes minutes and memory: never in a worker.
Limits: SINCE_S, the longest that anybody's events are kept; a shop without a session keeps the model that it has.
Raises: SessionsError, ValueError, OSError, ModuleNotFoundError (scipy), duckdb.Error.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.catalogue.sections import ArtifactError
from bidder.catalogue.similar import Similar, read_model, write_model
from bidder.learning.affinity import train
from bidder.learning.sessions import keyed, sessions_of_file

SINCE_S: Final = 30 * 86_400

log = logging.getLogger(__name__)


class Trained(Struct, frozen=True):
    """What came of a training."""

    version: str
    products: int
    sessions: int
    pairs: int


def train_from_events(events: Path, models: Path, advertiser_id: str, now_s: int) -> Trained | None:
    """Train from recorded events of the last 30 days; None where there is no session."""
    from bidder.events.dataset import sessions

    return _train(
        keyed(sessions(events, advertiser_id, now_s - SINCE_S), advertiser_id), models, advertiser_id, now_s
    )


def train_from_file(file: Path, models: Path, advertiser_id: str, now_s: int) -> Trained | None:
    """Train from a tab-separated file of sessions (sessions.py); None where there is none in it."""
    return _train(sessions_of_file(file, advertiser_id), models, advertiser_id, now_s)


def _train(sessions: Iterable[Sequence[int]], models: Path, advertiser_id: str, now_s: int) -> Trained | None:
    model = train(sessions, _previous(models, advertiser_id))
    if not model.sessions:
        return None
    version = write_model(models, advertiser_id, model, now_s)
    return Trained(version, len(model.keys), model.sessions, len(model.neighbours))


def _previous(models: Path, advertiser_id: str) -> Similar | None:
    try:
        return read_model(models, advertiser_id)
    except ArtifactError as error:
        log.warning(
            "the model of %s cannot be used, the new one begins a space of its own: %s", advertiser_id, error
        )
        return None
