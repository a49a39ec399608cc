"""The running service against its own published document: any call that the document can make, and any that it
forbids, has a documented answer of a documented form."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bidder.shop.tokens import sign
from bidder.web.openapi import described
from tests.service.bazaar import CHILDREN, DOMAIN, MARKET, SHOP, Bazaar, opened

pytestmark = pytest.mark.process

CALLS: Final = sorted(
    (method, path, mode)
    for path, methods in described().items()
    for found, operation in methods.items()
    for method in ((found, "head") if found == "get" and path != "/v1/syncs" else (found,))
    for mode in GenerationMode
    if mode.is_positive
    or "parameters" in operation
    or "requestBody" in operation  # else nothing can be wrong
)
PERSON: Final = "5d" * 16
EXAMPLES: Final = 20
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson", "application/jwt")
def as_it_is(context: Any, value: Any) -> Any:
    """Lines and tokens are sent as the text that was drawn."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    """One service for all of the document; it is sound at the end."""
    with opened(tmp_path_factory.mktemp("openapi")) as running:
        yield running


@pytest.fixture(scope="module")
def schema(bazaar: Bazaar) -> Any:
    """The document as it is published."""
    return schemathesis.openapi.from_url(f"{bazaar.base}/openapi.json")


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One line to the service."""
    with requests.Session() as held:
        yield held


@pytest.fixture(scope="module")
def tokens(bazaar: Bazaar) -> list[str]:
    """Genuine tokens of a bid, for the exchange and for the browser."""
    return sorted(set(bazaar.links().values()))


def honest(case: Any, bazaar: Bazaar, draw: Any, tokens: list[str]) -> None:
    """Let some calls come further than the door: a shop and an exchange that there are, tokens and signatures."""
    if "t" in (case.query or {}):
        case.query["t"] = draw(st.sampled_from([*tokens, case.query["t"]]))
    if draw(st.booleans()):
        case.cookies = {**(case.cookies or {}), "pl_id": PERSON}
    choices = st.sampled_from([SHOP, SHOP, CHILDREN, ""])
    chosen = draw(choices)
    if "advertiser" in (case.query or {}) and chosen:
        case.query["advertiser"] = chosen
    if chosen == SHOP and case.path == "/v1/syncs":
        case.headers["Origin"] = f"https://{DOMAIN}"
    if chosen == SHOP and "exchange" in (case.path_parameters or {}):
        case.path_parameters["exchange"] = MARKET
    if chosen == SHOP and case.path == "/v1/events":
        case.headers["Authorization"] = f"Bearer {bazaar.token}"
    if chosen == SHOP and case.path.startswith("/v1/matches/") and isinstance(case.body, str | bytes):
        at = str(int(time.time()))
        body = case.body if isinstance(case.body, bytes) else case.body.encode(errors="surrogatepass")
        case.body = body
        case.headers["X-Paceline-Timestamp"] = at
        case.headers["X-Paceline-Signature"] = sign(bazaar.secret, at, body)


def test_the_document_is_one(schema: Any) -> None:
    """It is OpenAPI 3.1 by the specification's own schema."""
    schema.validate()


def test_a_lie_in_the_document_is_found(bazaar: Bazaar, session: requests.Session) -> None:
    """The checks bite: a status, a type of content, a header and a field that are not documented are each told."""
    url = f"{bazaar.base}/openapi.json"
    for path, change in (
        ("/click", lambda answers: answers.pop("404")),
        ("/imp", lambda answers: answers["200"].update(content={"image/png": {}})),
        (
            "/healthz",
            lambda answers: answers["200"].update(headers={"X-Not": {"required": True, "schema": {}}}),
        ),
        (
            "/dsr/jwks.json",
            lambda answers: answers["200"]["content"]["application/json"].update(schema=False),
        ),
    ):
        written = session.get(url).json()
        change(written["paths"][path]["get"]["responses"])
        schema = schemathesis.openapi.from_dict(written)
        case = schema[path]["get"].Case()
        answer = case.call(base_url=bazaar.base, session=session)
        with pytest.raises(FailureGroup):
            case.validate_response(answer, checks=CHECKS)


@pytest.mark.parametrize(("method", "path", "mode"), CALLS)
def test_the_document_is_kept(
    bazaar: Bazaar,
    schema: Any,
    session: requests.Session,
    tokens: list[str],
    method: str,
    path: str,
    mode: GenerationMode,
) -> None:
    """Calls as the document wants them, and calls that break it: statuses, content types, headers and bodies of
    answers are the documented ones, and none is a 5xx."""
    operation = schema[path][method]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def called(case: Any, data: st.DataObject) -> None:
        honest(case, bazaar, data.draw, tokens)
        answer = case.call(session=session, allow_redirects=False)
        case.validate_response(answer, checks=CHECKS)

    called()
