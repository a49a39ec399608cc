"""Every real request there is, in every guise, over HTTP: documented answers, valid bids, sums that add up."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus import compact, request_bodies, rows
from tests.service.client import connected, post
from tests.service.service import EXCHANGES, started
from tests.service.verdict import CONNECTIONS, send_all, wrong

pytestmark = [pytest.mark.process, pytest.mark.corpus]


LATE_SHARE = 0.01
"""Answers that may leave after their deadline on a machine that others load too. An exchange throttles a
bidder above 15 % late or bad. The service itself counts them; no clock of the test is asked."""
CONTENT_TYPE, VERSION = "Content-Type: application/json", "x-openrtb-version: 2.5"
GUISES = [
    (zipped, fields)
    for zipped in (False, True)
    for fields in ((), (CONTENT_TYPE,), (VERSION,), (CONTENT_TYPE, VERSION))
]
LENIENT = {
    "invalid-native/asset-empty.json": "an asset without content is passed over",
    "invalid-native/asset-title-empty.json": "a native request that cannot be answered gets no bid",
    "invalid-native/asset-video-mimes-empty.json": "a native request that cannot be answered gets no bid",
    "invalid-native/asset-video-no-mimes.json": "a native request that cannot be answered gets no bid",
    "invalid-native/context-type-product-incompatible-subtype.json": "context is not needed to answer",
    "invalid-native/empty-object.json": "a native request that cannot be answered gets no bid",
    "invalid-native/eventtracker-methods-empty.json": "a tracker that cannot be used is left out",
}
"""Negatives that need not be 400: real exchanges send their like, so the native rules lead to a 204."""


def guises(name: str, body: bytes, exchange: str) -> Iterator[tuple[str, str, bytes, bytes]]:
    """A body in every way that exchanges send it."""
    packed = gzip.compress(body, 1)
    for zipped, fields in GUISES:
        coding = ("Content-Encoding: gzip",) if zipped else ()
        yield name, exchange, body, post(packed if zipped else body, exchange, *coding, *fields)


async def test_every_request_in_every_guise_is_answered_as_documented(tmp_path: Path) -> None:
    """200, 204 or 400 in time and on one connection; guise decides nothing; each 200 is valid; sums add up."""
    bodies = request_bodies()
    requests = [
        one
        for number, (name, body) in enumerate(bodies)
        for one in guises(name, body, EXCHANGES[number % len(EXCHANGES)])
    ]
    with started(tmp_path / "data") as service:
        done = await send_all(service, requests)
        seen = service.settled()
    statuses = Counter(sent.answer.status for sent in done)
    assert set(statuses) <= {200, 204, 400}
    assert statuses[200] > len(done) / 4, "the book answers a good part of real requests"
    by_name: dict[str, set[int]] = {}
    for sent in done:
        by_name.setdefault(sent.name, set()).add(sent.answer.status)
    assert not [name for name, found in by_name.items() if 400 in found and found != {400}]
    assert not [(s.name, wrong(s)) for s in done if s.answer.status == 200 and wrong(s)]
    assert not [s.name for s in done if s.answer.status != 200 and s.answer.body]
    outcomes = seen.by("paceline_outcomes_total", "outcome")
    assert not {"fault", "self_check", "shed", "disconnected", "bad_http"} & set(outcomes), outcomes
    assert seen.total("paceline_requests_total") == len(done)
    assert outcomes["bid"] == statuses[200]
    assert outcomes.get("malformed", 0) == statuses[400]  # 0: no committed request is malformed
    late = seen.total("paceline_late_answers_total")
    assert late <= LATE_SHARE * len(done)
    assert seen.total("paceline_connections_total") == CONNECTIONS
    seen.conserved()


async def test_positives_are_never_malformed_and_negatives_are(tmp_path: Path) -> None:
    """Requests that Prebid Server accepts are not 400; those it refuses are, or on a short documented list."""
    good = [(row["meta"]["file"], compact(row["body"])) for row in rows("pbs_valid_generic")]
    bad = [(row["meta"]["file"], compact(row["body"])) for row in rows("pbs_invalid_generic")]
    with started(tmp_path / "data") as service:
        async with connected(service.exchange) as client:
            accepted = {name: (await client.ask(post(body))).status for name, body in good}
            refused = {name: (await client.ask(post(body))).status for name, body in bad}
            assert client.connections == 1
        service.settled().conserved()
    assert set(accepted.values()) <= {200, 204}
    assert {name: status for name, status in refused.items() if status != 400} == dict.fromkeys(LENIENT, 204)
