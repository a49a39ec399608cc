"""Uploads of matches: signed, of now, bounded, and answered line by line."""

from __future__ import annotations

from contextlib import ExitStack
from io import BytesIO
from typing import Any

import msgspec
import pytest

from bidder.rights.erase import Eraser
from bidder.shop.matches import MAX_LINES, MAX_UPLOADS, MAX_UPLOADS_OF_EXCHANGE
from bidder.shop.slots import Share
from bidder.shop.tokens import SKEW_S, exchange_secret, sign
from bidder.stores.people_writer import PeopleWriter
from bidder.web.sync import UPLOAD_BYTES
from tests.bidder.shop.support import AGREED, HANDLES, NOW_S, RING, Reply, Stand

OWN = "0123456789abcdef0123456789abcdef"


def _body(*lines: dict[str, Any]) -> bytes:
    return b"\n".join(msgspec.json.encode(line) for line in lines)


async def _upload(stand: Stand, body: bytes, exchange: str = "google", **changes: str) -> Reply:
    at = changes.get("at", str(int(NOW_S)))
    signature = changes.get("signature", sign(exchange_secret(RING, exchange), at, body))
    headers = {"X-Paceline-Timestamp": at, "X-Paceline-Signature": signature}
    return await stand.call(f"/v1/matches/{exchange}", "POST", data=BytesIO(body), headers=headers)


async def test_each_line_has_its_result(stand: Stand) -> None:
    """Matches that may be are made; the others are told by line, and blank lines are passed over."""
    body = _body(
        {"uid": "g-1", "id": OWN, **AGREED}, {"uid": "g-2", "id": "nobody"}, {"uid": "g-3", "id": OWN, "x": 1}
    )
    body += b"\n\n" + _body({"uid": "g-4", "id": OWN, "gdpr": 1}, {"uid": "", "id": OWN}) + b"\n{\n"
    reply = await _upload(stand, body)
    assert reply.status == 200
    assert (reply.json["matched"], reply.json["refused"]) == (1, 5)
    told = {line["line"]: line.get("reason", "") for line in reply.json["lines"]}
    assert told == {1: "", 2: "fields", 3: "fields", 5: "unconsented", 6: "fields", 7: "fields"}
    assert await stand.visitors.resolve(["google/g-1"]) == bytes.fromhex(OWN)
    assert await stand.visitors.resolve(["google/g-2", "google/g-3", "google/g-4"]) is None
    assert stand.count("paceline_match_uploads_total", "google", "matched") == 1


async def test_a_line_may_name_what_the_exchange_was_told(stand: Stand) -> None:
    """Its handle leads to the person; another exchange's is somebody else, one of no key of ours is no id."""
    me = bytes.fromhex(OWN)
    own, other = (HANDLES.handle(name, me) for name in ("google", "often"))
    lines = [{"uid": f"h-{n}", "id": id_, **AGREED} for n, id_ in enumerate((own, other, f"09{OWN}"))]
    reply = await _upload(stand, _body(*lines))
    assert (reply.json["matched"], reply.json["refused"]) == (2, 1)
    assert await stand.visitors.resolve(["google/h-0"]) == me
    assert await stand.visitors.resolve(["google/h-1"]) not in (None, me)
    assert await stand.visitors.resolve(["google/h-2"]) is None


async def test_an_upload_sent_again_changes_nothing(stand: Stand) -> None:
    """The same lines lead to the same people."""
    body = _body({"uid": "g-1", "id": OWN, **AGREED})
    assert (await _upload(stand, body)).json == (await _upload(stand, body)).json


async def test_who_was_erased_is_not_matched_again(stand: Stand) -> None:
    """What an exchange sends every day writes nothing after an erasure, and the line says why."""
    body = _body({"uid": "g-1", "id": OWN, **AGREED})
    await _upload(stand, body)
    await Eraser(stand.client).erase(bytes.fromhex(OWN), NOW_S, "person")
    reply = await _upload(stand, body)
    assert reply.json["lines"][0]["reason"] == "erased"
    assert await stand.visitors.resolve(["google/g-1"]) is None
    assert not await stand.visitors.lives(bytes.fromhex(OWN))


async def test_who_opted_out_is_not_matched(stand: Stand) -> None:
    """A tombstone stays as it is, and the line says why."""
    await PeopleWriter(stand.client).opt_out(bytes.fromhex(OWN), NOW_S)
    before = await stand.stored()
    reply = await _upload(stand, _body({"uid": "g-1", "id": OWN, **AGREED}))
    assert reply.json["lines"][0]["reason"] == "opted_out"
    assert await stand.stored() == before


GOOD = _body({"uid": "g-1", "id": OWN, **AGREED})


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "é" * 64},
        {"signature": sign(exchange_secret(RING, "quiet"), str(int(NOW_S)), GOOD)},
        {"signature": sign(exchange_secret(RING, "google"), str(int(NOW_S)), GOOD + b" ")},
        {"at": str(int(NOW_S - SKEW_S - 1))},
        {"at": str(int(NOW_S + SKEW_S + 1))},
        {"at": ""},
        {"at": "now"},
        {"at": "9" * 400},
        {"at": "-1"},
    ],
)
async def test_what_is_not_signed_now_is_refused(stand: Stand, changes: dict[str, str]) -> None:
    """Another's secret, another body, another time: 401, counted, and nothing written."""
    reply = await _upload(stand, GOOD, **changes)
    assert reply.status == 401
    assert await stand.stored() == {}
    assert stand.count("paceline_match_uploads_total", "google", "unsigned") == 1


@pytest.mark.parametrize("at", [NOW_S - SKEW_S, NOW_S + SKEW_S])
async def test_clocks_may_differ(stand: Stand, at: float) -> None:
    """By SKEW_S in either way."""
    assert (await _upload(stand, GOOD, at=str(int(at)))).status == 200


async def test_an_upload_has_bounds(stand: Stand) -> None:
    """MAX_LINES lines, UPLOAD_BYTES, no coding, an exchange of ours."""
    assert (await _upload(stand, b"\n".join([b"{}"] * MAX_LINES))).json["refused"] == MAX_LINES
    reply = await _upload(stand, b"\n".join([b"{}"] * (MAX_LINES + 1)))
    assert (reply.status, reply.json) == (400, {"error": f"expected 1 to {MAX_LINES} lines"})
    assert (await _upload(stand, b"")).status == 400
    assert (await _upload(stand, b" " * (UPLOAD_BYTES + 1))).status == 413
    assert (await _upload(stand, GOOD, "nobody")).status == 404
    headers = {"Content-Encoding": "gzip"}
    assert (await stand.call("/v1/matches/google", "POST", data=GOOD, headers=headers)).status == 415


async def test_a_store_that_is_down_asks_for_it_again(outage: Stand) -> None:
    """429 with Retry-After, and counted."""
    reply = await _upload(outage, GOOD)
    assert (reply.status, reply.headers["Retry-After"]) == (429, "5")
    assert outage.count("paceline_match_uploads_total", "google", "failed") == 1


async def test_uploads_beyond_the_limit_come_again(stand: Stand) -> None:
    """While MAX_UPLOADS are read, the next is told to wait."""
    with ExitStack() as held:
        assert all(held.enter_context(stand.matches._uploads.place()) for _ in range(MAX_UPLOADS))
        assert (await _upload(stand, GOOD)).status == 429
    assert (await _upload(stand, GOOD)).status == 200


async def test_an_exchange_with_many_uploads_holds_up_itself_alone(stand: Stand) -> None:
    """While MAX_UPLOADS_OF_EXCHANGE of one are read, its next is told to wait, and another exchange's is taken."""
    share = Share("google", MAX_UPLOADS_OF_EXCHANGE)
    with ExitStack() as held:
        assert all(held.enter_context(stand.matches._uploads.place(share)) for _ in range(share.most))
        assert (await _upload(stand, GOOD)).status == 429
        assert (await _upload(stand, GOOD, "quiet")).status == 200
