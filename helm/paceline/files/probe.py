"""`helm test`: readiness, one bid request, metrics; the first thing that is wrong ends it.

Shapes: EXCHANGE and OPS are addresses, TOKEN a viewer's token where /metrics asks for one; CLIENT_TLS skips the bid.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request

BID = {
    "id": "helm-test",
    "test": 1,
    "tmax": 1000,
    "cur": ["USD", "EUR"],
    "at": 1,
    "site": {"domain": "news.example"},
    "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
}
ANY = ssl.create_default_context()
ANY.check_hostname = False  # it is called by its Service's name, which its certificate need not have
ANY.verify_mode = ssl.CERT_NONE


def ask(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body."""
    request = urllib.request.Request(url, body, headers or {})  # noqa: S310  an address of the chart
    try:
        with urllib.request.urlopen(request, timeout=10, context=ANY) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def must(fine: bool, what: str, told: tuple[int, bytes]) -> None:
    """Say how it was; end where it is wrong."""
    print("ok  " if fine else "FAIL", what, told[0], told[1][:200])
    if not fine:
        sys.exit(1)


ops, exchange, token = os.environ["OPS"], os.environ["EXCHANGE"], os.environ.get("TOKEN")
told = ask(ops + "/ready")
must(told == (200, b"1"), "/ready of the operators' port", told)
if not os.environ.get("CLIENT_TLS"):
    told = ask(exchange + "/ready")
    must(told[0] == 200 and b"1" in told[1], "/ready of the exchange port", told)
    told = ask(exchange + "/bid/generic", json.dumps(BID).encode(), {"Content-Type": "application/json"})
    must(told[0] == 204 or (told[0] == 200 and "seatbid" in json.loads(told[1])), "a test bid request", told)
told = ask(ops + "/metrics", headers={"Authorization": f"Bearer {token}"} if token else {})
must(told[0] == 200 and b"paceline_outcomes_total" in told[1], "/metrics", told)
