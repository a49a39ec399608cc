"""The document of the public port: every path, its parameters, bodies, bounds and answers, as OpenAPI 3.1.

Place: public.py gives the routes that it serves and serves the document at GET /openapi.json.
Shapes: openapi.yaml says what each path takes and answers; here come the answers that any path may give, HEAD beside
    GET, and the limits, which are those of the routes and of limits.py.
Source: OpenAPI 3.1.1.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from bidder.web.limits import may_refuse
from bidder.web.routes import Route

PATH: Final = "/openapi.json"

_FILE: Final = Path(__file__).with_name("openapi.yaml")
_TEXT: Final[dict[str, Any]] = {"text/plain": {"schema": {"type": "string"}}}
_ANY: Final[dict[str, dict[str, Any]]] = {
    "400": {"description": "What came is no HTTP.", "content": _TEXT},
    "408": {"description": "The body came too slowly; the connection ends."},
    "413": {"description": "The body is longer than x-max-body; the connection ends."},
    "414": {"description": "Path and query are longer than x-max-query."},
    "417": {"description": "Expect asks for something else than 100-continue.", "content": _TEXT},
}
_LIMITED: Final[dict[str, Any]] = {
    "description": "The caller calls too often; nothing was done.",
    "headers": {"Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}},
    "content": _TEXT,
}
_HEADERS: Final = {"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"}


def openapi_routes(served: Iterable[Route]) -> list[Route]:
    """The route of the document of what is served, itself among it."""
    body = b""

    async def told(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json", headers=_HEADERS)

    own = [Route(method, PATH, told) for method in ("GET", "HEAD")]
    body = msgspec.json.encode(document([*served, *own]))
    return own


def document(served: Iterable[Route]) -> dict[str, Any]:
    """The document of these routes; of a route that the file does not describe nothing is said."""
    written = _written()
    paths: dict[str, dict[str, Any]] = {}
    for route in served:
        operation = _operation(written["paths"].get(route.path, {}), route)
        if operation is not None:
            paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {**written, "paths": paths}


def described() -> dict[str, Any]:
    """What the file describes, by path and method, whether it is served or not."""
    found: dict[str, Any] = _written()["paths"]
    return found


def _operation(described: dict[str, Any], route: Route) -> dict[str, Any] | None:
    method = route.method.lower()
    found = described.get("get" if method == "head" else method)
    if found is None:
        return None
    responses = {**_ANY, **found["responses"]}
    if "400" in found["responses"]:
        own = found["responses"]["400"]
        responses["400"] = {**own, "content": {**_TEXT, **own.get("content", {})}}
    if may_refuse(route.method, route.path):
        own = found["responses"].get("429", {})
        responses["429"] = {**_LIMITED, **own, "content": {**_TEXT, **own.get("content", {})}}
    if method == "head":
        responses = {status: _without_body(answer) for status, answer in responses.items()}
    name = f"{method} {route.path}".translate(_NAMES).strip("_")
    limits = {"x-max-query": route.max_query, "x-max-body": route.max_body}
    return {"operationId": name, **found, "responses": responses, **limits}


def _without_body(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("content", "headers")}


_NAMES: Final = str.maketrans(" /.-", "____", "{}")


@cache
def _written() -> dict[str, Any]:
    found: dict[str, Any] = msgspec.yaml.decode(_FILE.read_bytes())
    return found
