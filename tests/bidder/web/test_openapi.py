"""The published document says of every route what there is to say, and of nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bidder.audience.identity import MAX_ID_LENGTH
from bidder.clock import SystemClock
from bidder.config import Config, WorkerSetup
from bidder.events.records import TEXT
from bidder.household import Household
from bidder.metrics import Tally
from bidder.notices.token import TOKEN_CHARACTERS
from bidder.rights.deletion import MAX_JWT
from bidder.settings import PublicPort
from bidder.shop import intake, matches, syncs, wire
from bidder.shop.receive import Result
from bidder.web.openapi import described, document, openapi_routes
from bidder.web.public import notice_routes, public_app
from bidder.web.routes import Route
from tests.bidder.notices.support import RING

PORT = PublicPort(max_body_bytes=12_345)


@pytest.fixture
async def served(tmp_path: Path) -> Any:
    """Every route of a worker's public port, by its method and path."""
    setup = WorkerSetup(
        slot=0, redis_url="redis://127.0.0.1:1", tally_path="", token_keys=RING.keys, exchange_port=1, public_port=1,
        base_url="http://127.0.0.1:1", announce_fd=0, data_dir=str(tmp_path), events_dir=str(tmp_path / "events"),
    )  # fmt: skip
    tally = Tally(None)
    household = Household(Config(data_dir=str(tmp_path)), setup, RING, tally, SystemClock())
    notices: Any = None  # not asked for anything here
    routes = [*notice_routes(notices, PORT), *household.routes()]
    app = public_app(routes, tally)
    found = {
        (each.method, each.resource.canonical) for each in app.router.routes() if each.resource is not None
    }
    yield routes, found
    await household.close()


def told(routes: list[Route]) -> dict[str, Any]:
    """The document of these routes and the service's own."""

    async def nothing(request: Any) -> Any:
        raise AssertionError

    health = [Route(method, "/healthz", nothing) for method in ("GET", "HEAD")]
    return document([*routes, *health, *openapi_routes([])])


def operations(paths: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


async def test_document_and_router_have_the_same_paths_and_methods(served: Any) -> None:
    """Nothing is served that is not described, and nothing is described that is not served."""
    routes, found = served
    written = told(routes)
    assert {(method, path) for method, path, _ in operations(written["paths"])} == found


async def test_nothing_that_the_file_describes_is_missing(served: Any) -> None:
    """Every path and method of openapi.yaml is served: none is left of what once was."""
    _, found = served
    wanted = {(method, path) for method, path, _ in operations(described())}
    assert wanted <= found
    assert {path for _, path in wanted} == {path for _, path in found}
    assert document([])["paths"] == {}


async def test_limits_are_those_of_the_routes(served: Any) -> None:
    """x-max-query and x-max-body stand at each operation as the route has them."""
    routes, _ = served
    written = told(routes)["paths"]
    for route in routes:
        operation = written[route.path][route.method.lower()]
        assert (operation["x-max-query"], operation["x-max-body"]) == (route.max_query, route.max_body)
    assert written["/win"]["post"]["x-max-body"] == PORT.max_body_bytes


async def test_results_have_the_fields_of_the_code(served: Any) -> None:
    """What is told of an event of a batch is described, field by field."""
    routes, _ = served
    described_fields = told(routes)["components"]["schemas"]["Result"]["properties"]
    assert set(described_fields) == set(Result.__struct_fields__)


async def test_bounds_are_those_of_the_code(served: Any) -> None:
    """Lengths and counts in schemas are the constants that refuse what is beyond them."""
    routes, _ = served
    written = told(routes)
    paths, schemas = written["paths"], written["components"]["schemas"]
    event, item = schemas["Event"]["properties"], schemas["Item"]["properties"]
    pixel = {each["name"]: each["schema"] for each in paths["/pixel"]["get"]["parameters"]}
    assert schemas["Batch"]["properties"]["events"]["maxItems"] == wire.MAX_BATCH
    assert event["items"]["maxItems"] == pixel["product"]["maxItems"] == wire.MAX_ITEMS
    assert event["id"]["maxLength"] == pixel["id"]["maxLength"] == wire.MAX_ID
    assert event["name"]["maxLength"] == pixel["order"]["maxLength"] == item["product"]["maxLength"] == TEXT
    assert event["value"]["maximum"] == pixel["value"]["maximum"] == intake.MAX_VALUE
    assert item["price"]["maximum"] == pixel["price"]["items"]["maximum"] == intake.MAX_PRICE
    assert item["quantity"]["maximum"] == wire.MAX_QUANTITY
    assert schemas["Person"]["properties"]["exchanges"]["maxProperties"] == wire.MAX_EXCHANGES
    assert schemas["Consent"]["properties"]["gdpr_consent"]["maxLength"] == wire.MAX_CONSENT
    assert schemas["Match"]["properties"]["uid"]["maxLength"] == MAX_ID_LENGTH
    assert schemas["Uploaded"]["properties"]["lines"]["maxItems"] == matches.MAX_LINES
    offered = paths["/v1/syncs"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert offered["properties"]["syncs"]["maxItems"] == syncs.MAX_OFFERED
    jwt = paths["/dsr"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"][1]
    assert jwt["properties"]["rqJWT"]["maxLength"] == MAX_JWT
    (token,) = [each for each in paths["/render"]["get"]["parameters"] if each["name"] == "t"]
    assert token["schema"]["maxLength"] == TOKEN_CHARACTERS


async def test_every_field_of_an_event_is_described(served: Any) -> None:
    """What the decoder takes and what the document names are the same fields, for batches and for the pixel."""
    routes, _ = served
    written = told(routes)
    schemas = written["components"]["schemas"]
    for name, struct in (
        ("Batch", wire.BatchIn),
        ("Event", wire.EventIn),
        ("Item", wire.ItemIn),
        ("Person", wire.PersonIn),
        ("Consent", wire.ConsentIn),
        ("Match", matches.MatchIn),
    ):
        assert set(schemas[name]["properties"]) == set(struct.__struct_fields__), name
    known = {*intake._PER_ITEM, *intake._SINGLE, *intake._OURS, *intake._CONSENT_NAMES}
    named = {
        each["name"] for each in written["paths"]["/pixel"]["get"]["parameters"] if each["in"] == "query"
    }
    assert named == known


async def test_operations_have_names_of_their_own(served: Any) -> None:
    """operationId is unique and a word, so that clients can be made of the document."""
    routes, _ = served
    names = [operation["operationId"] for _, _, operation in operations(told(routes)["paths"])]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]\w+", name) for name in names)


async def test_where_callers_are_counted_a_429_is_told(served: Any) -> None:
    """Every route that may refuse a caller says so, with Retry-After; /healthz, which never does, does not. The file
    holds no field that the specification does not know."""
    routes, _ = served
    for method, path, operation in operations(told(routes)["paths"]):
        answer = operation["responses"].get("429")
        assert (answer is not None) is (path != "/healthz"), (method, path)
        assert answer is None or method == "HEAD" or answer["headers"]["Retry-After"]["required"]
    assert all(set(tag) <= {"name", "description"} for tag in document([])["tags"])
