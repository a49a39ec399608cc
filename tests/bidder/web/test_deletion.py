"""Data deletion requests over HTTP: published, received in every form, kept, carried out once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from aiohttp import ClientSession

from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.rights import requests
from bidder.rights.deletion import Office
from bidder.rights.erase import Eraser
from bidder.rights.partners import Partners
from bidder.rights.requests import SEEN, WAITING, Desk, work_off
from bidder.rights.signing import SigningKeys, load_signing_keys
from bidder.rights.verify import in_store
from bidder.settings import Stores
from bidder.stores.people_writer import open_client
from bidder.stores.removal import Client, done
from bidder.stores.visitors import VisitorStore
from bidder.web.deletion import MAX_BODY, Deletions, deletion_routes
from bidder.web.public import PublicServer, public_app
from bidder.web.sockets import shared_socket
from tests.bidder.rights.conftest import NOW_S, ONE, TWO, House, house, known
from tests.bidder.rights.partner import EXCHANGE, PUBLISHER, Internet, request_1, request_2
from tests.servers import RealServer

__all__ = ["house", "known"]  # fixtures


class Port:
    """A public port that receives requests."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.clock, self.tally = ManualClock(NOW_S), Tally()
        self.keys: SigningKeys = load_signing_keys("", folder)
        partners = Partners([PUBLISHER.domain, EXCHANGE.domain], self.clock, Internet().fetch)
        office = Office("ads.example", self.keys, partners, self.tally, self.clock)
        desk = Desk(client, Eraser(client, self.tally), VisitorStore(client, self.tally))
        self.deletions = Deletions(office, desk, self.keys, "https://ads.example", self.clock)
        self.server = PublicServer(public_app(deletion_routes(self.deletions), self.tally), self.tally)
        self.session = ClientSession()
        self.base = ""

    async def open(self) -> None:
        """Listen."""
        bound = shared_socket("127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        await self.server.start(bound)

    async def close(self) -> None:
        """Stop."""
        await self.deletions.close()
        await self.session.close()
        await self.server.stop()

    async def post(self, body: bytes | str, kind: str = "application/jwt") -> tuple[int, dict[str, Any]]:
        """(status, what the acknowledgement says) once what was accepted is carried out."""
        headers = {"Content-Type": kind}
        async with self.session.post(f"{self.base}/dsr", data=body, headers=headers) as answer:
            said = msgspec.json.decode(await answer.read()) if answer.status in (202, 400) else {}
            status = answer.status
        await self.deletions.close()
        if not said:
            return status, {}
        key = jwt.PyJWK.from_dict(self.keys.published()[0]).key
        options = {"verify_iat": False}
        return status, jwt.decode(said["acJWT"], key, algorithms=["ES256"], options=options)  # type: ignore[arg-type]  # a table


@pytest.fixture
async def port(known: House, tmp_path: Path) -> AsyncIterator[Port]:
    """A port over a store in which ONE is known."""
    opened = Port(known.client, tmp_path)
    await opened.open()
    yield opened
    await opened.close()


async def test_we_publish_what_partners_need(port: Port) -> None:
    """Endpoint, identifiers and keys of both versions, for anybody, never a private key."""
    async with port.session.get(f"{port.base}/dsrdelete.json") as answer:
        file = await answer.json()
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert file["endpoint"] == "https://ads.example/dsr"
    assert file["vendorScriptRequirement"] is False
    assert isinstance(file["pollFrequency"], int)
    async with port.session.get(f"{port.base}/dsr/jwks.json") as answer:
        assert (await answer.json())["keys"] == file["publicKey"]
    assert all(key["alg"] == "ES256" and "d" not in key for key in file["publicKey"])


@pytest.mark.parametrize("form", ["jwt", "string", "object", "plain"])
async def test_a_request_is_carried_out(port: Port, known: House, form: str) -> None:
    """In every form in which it may come; the person is gone, nobody else, and nothing waits."""
    text = request_2()
    body, kind = {
        "jwt": (text, "application/jwt"),
        "plain": (f" {text}\n", "text/plain"),
        "string": (msgspec.json.encode(text), "application/json"),
        "object": (msgspec.json.encode({"rqJWT": text}), "application/json"),
    }[form]
    status, claims = await port.post(body, kind)
    assert (status, claims["raResultCode"]) == (202, 10_000)
    assert await in_store(known.client, ONE) == []
    assert await in_store(known.client, TWO)
    assert not await done(known.client.exists(WAITING))


async def test_a_repeated_request_is_acknowledged_and_not_repeated(port: Port, known: House) -> None:
    """What was carried out once is not again, though somebody with that id is back."""
    assert (await port.post(request_1()))[0] == 202
    await known.writer.save(ONE, {}, NOW_S)
    assert (await port.post(request_1()))[1]["raResultCode"] == 0
    assert await in_store(known.client, ONE)
    assert (await port.post(request_1(jti="another")))[0] == 202
    assert await in_store(known.client, ONE) == []
    with known.server.client() as look:
        marks = list(look.scan_iter(f"{SEEN}*"))
        assert len(marks) == 2
        assert all(0 < int(str(look.ttl(mark))) <= requests.SEEN_S for mark in marks)


async def test_ids_of_others_lead_to_people(port: Port, known: House) -> None:
    """An id of the match table, in clear in the request alone, erases whom it leads to."""
    named = {"identifierType": "partner_id", "identifierFormat": "source/id"}
    assert (await port.post(request_2(**named, identifierValue=f"exchange/{ONE.hex()[:8]}")))[0] == 202
    assert await in_store(known.client, ONE) == []
    assert (await port.post(request_2(**named, identifierValue="exchange/nobody", jti="n")))[0] == 202


async def test_what_a_dead_worker_accepted_is_carried_out(port: Port, known: House) -> None:
    """The caretaker finds it; damage in the list stops nobody."""
    await done(known.client.hset(WAITING, mapping={"a": b"p:" + ONE.hex().encode(), "b": b"p:zz"}))
    eraser, visitors = Eraser(known.client), VisitorStore(known.client, Tally())
    assert await work_off(known.client, eraser, visitors, NOW_S) == 2
    assert await in_store(known.client, ONE) == []
    assert not await done(known.client.exists(WAITING))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b'{"rqJWT": 7}', 400),
        (b"[" * 5_000, 400),
        (b'{"a":' * 3_000, 400),
        (b"a" * (MAX_BODY + 1), 413),
    ],
)
async def test_what_is_no_request_is_refused(port: Port, known: House, body: bytes, status: int) -> None:
    """With a signed acknowledgement or by its size; nothing changes and nothing fails."""
    before = known.standing()
    assert (await port.post(body, "application/json"))[0] == status
    assert known.standing() == before
    assert not [n for cell, n in port.tally.samples() if cell.name == "paceline_public_faults_total" and n]


async def test_a_store_that_is_away_acknowledges_nothing(own_server: RealServer, tmp_path: Path) -> None:
    """400 and an unknown error: the request may be sent again."""
    client = open_client(Stores(redis_url=own_server.url))
    port = Port(client, tmp_path)
    await port.open()
    own_server.kill()
    status, claims = await port.post(request_2())
    assert (status, claims["raResultCode"]) == (400, 10_010)
    await port.close()
    await client.aclose()
