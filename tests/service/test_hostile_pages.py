"""Headers, redirects and pages of the running service under attack: nothing of a call stands in a header or as markup,
and nobody is sent elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import pytest

from tests.service.bazaar import DOMAIN, MARKET, SHOP, Bazaar, opened
from tests.service.markup import FORM, PERSON, SCRIPT, Markup, clean
from tests.service.raw import all_said, call, said

pytestmark = pytest.mark.process

BREAKS: Final = (
    "%0d%0aX-Evil:%20evil", "%0aX-Evil:%20evil", "%0dX-Evil:%20evil", "%00", "%e5%98%8a%e5%98%8dX-Evil:evil",
    "%c0%8d%c0%8aX-Evil:evil", "%ff%fe", "%ed%a0%80", "%e2%80%a8X-Evil:evil", "%c2%85X-Evil:evil", "%0b%0c%1f%7f",
    "%250d%250aX-Evil:evil",
)  # fmt: skip
ELSEWHERE: Final = (
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example",
    "javascript:alert(1)", "data:text/html,evil", "@evil.example", ".evil.example", "/%09/evil.example",
    "///evil.example",
)  # fmt: skip
NAMES: Final = (
    "t", "p", "l", "a", "url", "u", "r", "redirect", "redirect_url", "next", "to", "dest", "uid", "id", "gdpr",
    "gdpr_consent", "gpp", "gpp_sid", "us_privacy", "lang", "from", "done", "format", "advertiser", "host",
)  # fmt: skip


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    """One service for all attacks; it is sound at the end."""
    with opened(tmp_path_factory.mktemp("pages")) as running:
        yield running


async def test_no_value_becomes_a_header(bazaar: Bazaar) -> None:
    """Line breaks in every spelling, in every parameter of every path that sets a header, and in paths themselves."""
    links = bazaar.links()
    targets = []
    for path, more in (
        (f"/sync/{MARKET}", "gdpr=0"), ("/click", f"t={links['render']}"), ("/privacy", ""), ("/privacy/data", ""),
        ("/v1/syncs", f"advertiser={SHOP}"), ("/render", f"t={links['render']}"),
        ("/pixel", f"advertiser={SHOP}&event=cart"),
    ):  # fmt: skip
        targets += [f"{path}?{name}={attack}&{more}" for name in NAMES for attack in BREAKS]
        targets += [f"{path}?{more}&{attack}=x" for attack in BREAKS]
        targets += [f"{path}{attack}" for attack in BREAKS]
    cookie = f"Cookie: pl_id={PERSON}"
    origin = f"Origin: https://{DOMAIN}"
    answers = await all_said(bazaar.service.public, [call("GET", each, cookie, origin) for each in targets])
    for target, answer in zip(targets, answers, strict=True):
        clean(answer, target)


async def test_no_header_of_a_call_comes_back(bazaar: Bazaar) -> None:
    """Origins, languages, cookies, hosts and forwarding headers of every shape: what is echoed is an origin of the
    shop, written as browsers write one, and nothing else."""
    at = bazaar.service.public
    values: list[bytes] = [
        b"https://\xff@" + DOMAIN.encode(), b"https://a:b@" + DOMAIN.encode(), f"https://{DOMAIN}\tx".encode(),
        f"https://{DOMAIN}/path?evil".encode(), f"//{DOMAIN}".encode(), DOMAIN.encode(), f"https://{DOMAIN}:99999".encode(),
        f"https://{DOMAIN}.evil.example".encode(), f"https://evil.example#{DOMAIN}".encode(), b"null", b"*",
        f"https://evil{DOMAIN}".encode(), "https://hats。localhost".encode(), b"https://\xe2\x84\x8cats.localhost",
        f"javascript://{DOMAIN}/%0aalert(1)".encode(), f"https://{DOMAIN} https://evil.example".encode(),
        f"https://{DOMAIN},https://evil.example".encode(), b"\xc2\x85evil", f"https://[{DOMAIN}]".encode(),
    ]  # fmt: skip
    for value in values:
        for name in (b"Origin", b"Referer"):
            for method in ("GET", "OPTIONS"):
                answer = await said(
                    at, call(method, f"/v1/syncs?advertiser={SHOP}&gdpr=0", name + b": " + value)
                )
                clean(answer, value)
                assert not answer.all("access-control-allow-origin"), value
    for good in (f"https://{DOMAIN}", f"https://www.{DOMAIN}", f"http://{DOMAIN}:8080"):
        answer = await said(at, call("GET", f"/v1/syncs?advertiser={SHOP}&gdpr=0", f"Origin: {good}"))
        assert answer.one("access-control-allow-origin") == good
    tricks = [
        b"X-Forwarded-Host: evil.example", b"X-Forwarded-Proto: javascript", b"Forwarded: host=evil.example",
        b"X-Original-URL: /privacy/erase", b"X-Rewrite-URL: /dsr", b"X-HTTP-Method-Override: DELETE",
        b"Accept-Language: evil\xff;q=1,fr;q=nan,en;q=1e999", b"Cookie: pl_form=evil\xff; pl_optout=\xff; pl_id=evil",
    ]  # fmt: skip
    links = bazaar.links()
    for path in (
        "/privacy",
        "/privacy/data",
        f"/render?t={links['render']}",
        f"/click?t={links['render']}",
        f"/sync/{MARKET}?gdpr=0",
    ):
        calls = [call("GET", path, trick) for trick in tricks]
        calls += [
            call("GET", path, host=host)
            for host in ("evil.example", "evil.example:80@127.0.0.1", "a b", '"><script>')
        ]
        calls += [call("GET", f"http://evil.example{path}"), call("GET", f"//evil.example{path}")]
        for answer in await all_said(at, calls):
            clean(answer, path)
            assert b"evil" not in answer.body, path


async def test_nobody_is_sent_elsewhere(bazaar: Bazaar) -> None:
    """Addresses of others in every parameter of clicks, syncs and forms: where a browser is sent stands in the book and
    in the exchange's profile."""
    links = bazaar.links()
    targets = [
        f"{path}&{name}={quote(url, safe='')}"
        for path in (f"/click?t={links['render']}", f"/sync/{MARKET}?gdpr=0", "/privacy?x=1")
        for name in NAMES
        for url in ELSEWHERE
        if not (name == "t" and path.startswith("/click"))
    ]
    targets += [f"/click?t={links['render']}&p={quote(url, safe='')}" for url in ELSEWHERE]
    answers = await all_said(bazaar.service.public, [call("GET", each) for each in targets])
    for target, answer in zip(targets, answers, strict=True):
        clean(answer, target)
        if target.startswith("/click"):
            assert answer.one("location").startswith(f"https://{DOMAIN}/"), target
        elif target.startswith("/sync") and answer.status == 302:
            assert answer.one("location").startswith("https://market.example/sync?id="), target
    forms = [
        f"choice=out&lang={quote(url, safe='')}&form={quote(url, safe='')}&done={quote(url)}"
        for url in ELSEWHERE
    ]
    for path in ("/privacy/choice", "/privacy/erase"):
        calls = [call("POST", path, FORM, body=each.encode()) for each in forms]
        for answer in await all_said(bazaar.service.public, calls):
            assert answer.one("location") == "/privacy?lang=en&done=form"


async def test_no_value_becomes_markup(bazaar: Bazaar) -> None:
    """Scripts in every parameter, cookie and header of every page: the page that comes holds none, and a policy that
    would let none run."""
    links = bazaar.links()
    attack, plain = quote(SCRIPT, safe=""), SCRIPT
    targets = [
        f"{path}{'&' if '?' in path else '?'}{name}={attack}"
        for path in ("/privacy", "/privacy/data", "/privacy/erase", f"/render?t={links['render']}")
        for name in NAMES
        if not ("render" in path and name == "t")
    ]
    calls = [call("GET", target) for target in targets]
    fields = [f"{name}: {plain}" for name in ("Accept-Language", "User-Agent", "Referer", "X-Forwarded-Host")]
    fields += [f"Cookie: {name}={plain}" for name in ("pl_id", "pl_form", "pl_optout", "pl_optin", "x")]
    calls += [call("GET", path, field) for path in ("/privacy", "/privacy/data") for field in fields]
    for answer in await all_said(bazaar.service.public, calls):
        assert answer.status == 200
        Markup(answer.body).inert()
        assert "alert(" not in answer.one("set-cookie")
        policy = answer.one("content-security-policy")
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
    errors = [
        call("GET", f"/pixel?advertiser={SHOP}&event=cart&{attack}={attack}"),
        call("GET", f"/sync/{attack}"),
    ]
    for answer in await all_said(bazaar.service.public, errors):
        assert answer.one("content-type") == "application/json"
        assert answer.one("x-content-type-options") == "nosniff"
