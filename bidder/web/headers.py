"""What every answer says to a browser about itself, unless its handler says otherwise.

Place: the public port and the operators' port add them to each answer; the exchange port, which no browser reads, has
    its own in answers.py.
Rule: no cache, no sniffing, no frame, nothing loaded; whoever needs more (ads stand in frames, pages have styles, the
    tag may be cached) says so in its own answer.
Source: the OWASP HTTP Headers Cheat Sheet.
"""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

DAY_S: Final = 86_400
SERVER: Final = "paceline"
SAFE: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
PERMISSIONS: Final = (
    "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), encrypted-media=(), "
    "fullscreen=(), geolocation=(), gyroscope=(), interest-cohort=(), magnetometer=(), microphone=(), midi=(), "
    "payment=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"
)
"""None of what a page could ask a browser for; of pages alone, nothing else can ask."""


def public_headers(base_url: str, hsts_days: int) -> dict[str, str]:
    """Those of the public port: anybody's page may show its pictures; where it is reached by https, it always is."""
    headers = {**SAFE, "Cross-Origin-Resource-Policy": "cross-origin"}
    if hsts_days and base_url.startswith("https:"):
        headers["Strict-Transport-Security"] = f"max-age={hsts_days * DAY_S}"
    return headers


def ops_headers(tls: bool = False) -> dict[str, str]:
    """Those of the operators' port: for its own pages alone."""
    headers = {**SAFE, "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer"}
    return {**headers, "Strict-Transport-Security": f"max-age={365 * DAY_S}"} if tls else headers


def finish(app: web.Application, headers: Mapping[str, str]) -> None:
    """Give every answer of an application these headers, where it has none of the name."""

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        found = response.headers
        found["Server"] = SERVER
        for name, value in headers.items():
            found.setdefault(name, value)
        if response.content_type == "text/html":
            found.setdefault("Permissions-Policy", PERMISSIONS)

    app.on_response_prepare.append(prepare)
