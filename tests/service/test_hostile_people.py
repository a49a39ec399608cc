"""People, their pages and their ads under attack: nobody else presses our buttons, frames them or is believed to be
somebody; and whatever a feed or a shop says, nothing of it runs in a browser."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import pytest
from playwright.async_api import async_playwright

from bidder.rights.forms import LIFE_S, form_token
from bidder.stores.keys import person_key, person_tag
from tests.bidder.supervisor.serving import until
from tests.browser import CHROMIUM, needs_browser
from tests.service.bazaar import CHILDREN, DOMAIN, MARKET, MERCHANT, SHOP, WOUNDS, Bazaar, opened
from tests.service.markup import FORM, PERSON, SCRIPT, Markup, clean
from tests.service.raw import all_said, call, said
from tests.service.service import Service

pytestmark = pytest.mark.process

ARGUMENTS: Final = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"]
"""A page that the test answers itself has no address, and may not ask for one of this machine."""
NONCE: Final = "ab" * 16


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    """One service for all attacks; it is sound at the end."""
    with opened(tmp_path_factory.mktemp("pages")) as running:
        yield running


async def test_others_press_no_buttons(bazaar: Bazaar) -> None:
    """Opting out and erasing by a form that is missing, foreign, of another browser, old, of another site or sent as
    something else: nothing changes in the store. The same form by the person's own browser does it, and again does
    no harm."""
    at, store, own = bazaar.service.public, bazaar.store, "4b" * 16
    now_s = time.time()
    good = form_token(bazaar.keys, NONCE, now_s)
    key = person_key(person_tag(bytes.fromhex(own)))
    store.hset(key, "s", b"\0\0\0\0")
    cookie = f"Cookie: pl_id={own}; pl_form={NONCE}"
    evil = "https://evil.example"
    tries: list[tuple[str, list[str]]] = [
        (good, [FORM, f"Cookie: pl_id={own}"]),
        (good, [FORM, f"Cookie: pl_id={own}; pl_form={'cd' * 16}"]),
        ("", [FORM, cookie]), ("A" * 36, [FORM, cookie]), (form_token(bazaar.keys, "cd" * 16, now_s), [FORM, cookie]),
        (form_token(bazaar.keys, NONCE, now_s - LIFE_S - 5), [FORM, cookie]),
        (bazaar.links()["render"], [FORM, cookie]),
        (form_token(bazaar.keys, NONCE, now_s + LIFE_S), [FORM, cookie]), (bazaar.token, [FORM, cookie]),
        (good, [FORM, cookie, f"Origin: {evil}"]), (good, [FORM, cookie, "Origin: null"]),
        (good, [FORM, cookie, "Sec-Fetch-Site: cross-site"]), (good, [FORM, cookie, "Sec-Fetch-Site: same-site"]),
        (good, [FORM, cookie, f"Origin: {bazaar.base}.evil.example"]), (good, [FORM, cookie, "Sec-Fetch-Site: none"]),
        (good, ["Content-Type: text/plain", cookie]), (good, ["Content-Type: application/json", cookie]),
        (good, ["Content-Type: multipart/form-data; boundary=x", cookie]), (good, [cookie]),
    ]  # fmt: skip
    host = f"{at[0]}:{at[1]}"
    for form, fields in tries:
        body = f"choice=out&confirm=yes&form={form}".encode()
        for path in ("/privacy/choice", "/privacy/erase"):
            answer = await said(at, call("POST", path, *fields, body=body, host=host))
            assert (answer.status, answer.one("location")) == (303, "/privacy?lang=en&done=form"), (
                form,
                fields,
            )
            assert not answer.all("set-cookie")
            assert (await said(at, call("GET", f"{path}?{body.decode()}", *fields))).status in (200, 405)
    assert store.hgetall(key) == {b"s": b"\0\0\0\0"}
    ours = [FORM, cookie, f"Origin: {bazaar.base}", "Sec-Fetch-Site: same-origin"]
    for done in ("erased", "erased"):
        body = f"confirm=yes&form={good}".encode()
        answer = await said(at, call("POST", "/privacy/erase", *ours, body=body, host=host))
        assert answer.one("location").endswith(f"done={done}")
        assert b"s" not in store.hgetall(key), "but for a guard that names nobody"
    store.hset(key, "s", b"\0\0\0\0")  # of whom nothing is held, no tombstone is left
    for _ in range(2):
        body = f"choice=out&form={good}".encode()
        answer = await said(at, call("POST", "/privacy/choice", *ours, body=body, host=host))
        assert answer.one("location").endswith("done=out")
        assert b"o" in store.hgetall(key)


async def test_nobody_frames_what_has_buttons(bazaar: Bazaar) -> None:
    """Every answer but an ad forbids to be framed; the pages of choices by the old header, too."""
    links = bazaar.links()
    paths = (
        "/privacy",
        "/privacy/data",
        "/privacy/erase",
        "/healthz",
        "/nowhere",
        "/imp",
        "/tag.js",
        "/openapi.json",
    )
    for path in paths:
        answer = await said(bazaar.service.public, call("GET", path))
        assert "frame-ancestors 'none'" in answer.one("content-security-policy"), path
        if path.startswith("/privacy"):
            assert answer.one("x-frame-options") == "DENY"
    ad = await said(bazaar.service.public, call("GET", f"/render?t={links['render']}"))
    assert "form-action 'none'" in ad.one("content-security-policy") or "default-src 'none'" in ad.one(
        "content-security-policy"
    )
    assert b"<form" not in ad.body


async def test_cookies_that_are_not_ours_are_nobodys(bazaar: Bazaar) -> None:
    """Numbers of wrong length, letters, case and kind, doubled and quoted: documented answers, and no key of the store
    is made of one; who opted out stays out whatever else is sent."""
    at, store = bazaar.service.public, bazaar.store
    odd = [
        "5d" * 15, "5d" * 17, "5D" * 16, "zz" * 16, "00" * 16, "ff" * 16, "*", "5d5d%", f'"{PERSON}"', "-" + "5d" * 16,
        "5d" * 16 + "\t", "p:{" + "5d" * 16 + "}", "%35" * 16, "5d" * 4_000, "\u00b2" * 32, "0x" + "5d" * 15, "",
    ]  # fmt: skip
    targets = [
        f"/pixel?advertiser={SHOP}&event=cart&gdpr=0",
        f"/sync/{MARKET}?gdpr=0&uid=odd",
        "/privacy/data?format=json",
    ]
    for target in targets:
        for value in odd:
            for name in ("pl_id", "pl_pid", "pl_optin"):
                answer = await said(at, call("GET", target, f"Cookie: {name}={value}".encode()))
                assert answer.status in (200, 302, 400), (target, value)
                clean(answer, value)
    for number in (bytes(16), b"\xff" * 16):
        assert not store.exists(person_key(person_tag(number)))
    out = f"Cookie: pl_optout=1; pl_optin=1; pl_id={'6e' * 16}; pl_pid={'6e' * 16}"
    for target in targets[:2]:
        answer = await said(at, call("GET", target, out))
        assert answer.status == 200
        assert all("Max-Age=0" in value for value in answer.all("set-cookie"))
    assert not store.exists(person_key(person_tag(bytes.fromhex("6e" * 16))))


async def visited(bazaar: Bazaar, person: str) -> None:
    """Let a person look at products whose every text is an attack, in categories that are one."""
    cookie, view = f"Cookie: pl_id={person}", f"/pixel?advertiser={SHOP}&event=product_view&gdpr=0"
    targets = [
        f"{view}&id=x{n}&product=p{n}&category={quote(WOUNDS[n % len(WOUNDS)], safe='')}" for n in range(24)
    ]
    targets.append(f"{view}&id=y&product={quote(SCRIPT, safe='')}")
    answers = await all_said(
        bazaar.service.public, [call("GET", target, cookie) for target in targets], at_once=1
    )
    assert {answer.status for answer in answers} == {200}


async def test_what_shops_and_feeds_say_is_text(bazaar: Bazaar) -> None:
    """A feed of attacks, a shop named by one, categories and products that are one: ads in all sizes and layouts, and
    the page of all that is held, are text to a parser of HTML; the page for programs is JSON."""
    person = "7e" * 16
    await visited(bazaar, person)
    cookie = f"Cookie: pl_id={person}"
    page = await said(bazaar.service.public, call("GET", "/privacy/data?lang=en", cookie))
    Markup(page.body).inert()
    assert b"&lt;script&gt;alert(" in page.body
    told = await said(bazaar.service.public, call("GET", "/privacy/data?format=json", cookie))
    assert told.one("content-type") == "application/json"
    assert "<script>alert(1)</script>" in json.dumps(json.loads(told.body))
    seen = set()
    for w, h in ((300, 250), (728, 90), (160, 600)) * 4:
        imp = [{"id": "1", "banner": {"format": [{"w": w, "h": h}]}, "secure": 0}]
        links = bazaar.links(imp=imp)
        ad = await said(bazaar.service.public, call("GET", f"/render?t={links['render']}"))
        found = Markup(ad.body)
        found.inert()
        assert b"&lt;" in ad.body
        seen.add((w, h))
        assert not [url for name, url in found.attributes if name == "href" and "bad" in url]
    assert len(seen) == 3


@needs_browser
async def test_a_browser_runs_nothing(bazaar: Bazaar) -> None:
    """Chromium with the ad in a frame, the pages of somebody with a past, and pages with scripts in their queries: no
    dialog, no error, no script, no call to anybody but us and the shop's pictures."""
    person = "8e" * 16
    await visited(bazaar, person)
    links = bazaar.links()
    said_: list[str] = []
    asked: set[str] = set()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = await browser.new_context()
        await context.add_cookies([{"name": "pl_id", "value": person, "url": bazaar.base}])
        page = await context.new_page()
        page.on(
            "dialog", lambda dialog: (said_.append(dialog.message), asyncio.ensure_future(dialog.dismiss()))
        )
        page.on("pageerror", lambda error: said_.append(str(error)))
        page.on("console", lambda message: said_.append(message.text))
        page.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
        await context.route(
            f"https://{DOMAIN}/**", lambda route: route.fulfill(body="", content_type="image/svg+xml")
        )
        frame = f'<iframe width=300 height=250 src="{bazaar.base}/render?t={links["render"]}"></iframe>'
        await context.route(
            "http://news.localhost/", lambda route: route.fulfill(body=frame, content_type="text/html")
        )
        await page.goto("http://news.localhost/", wait_until="load")
        await page.frame_locator("iframe").locator("li").first.wait_for()
        attack = quote(SCRIPT, safe="")
        for path in (
            "/privacy/data?lang=en",
            f"/privacy?lang={attack}&done={attack}&from={attack}",
            f"/privacy/erase?x={attack}",
        ):
            await page.goto(f"{bazaar.base}{path}", wait_until="load")
            assert await page.locator("script").count() == 0
        await browser.close()
    assert said_ == []
    assert asked <= {"127.0.0.1", "news.localhost", DOMAIN}


async def test_feeds_that_bite_leave_the_shop_as_it_was(bazaar: Bazaar) -> None:
    """A zip, a gzip bomb, entities that multiply, an endless line, other bytes in place of the feed: each is refused,
    told and counted by the caretaker, and ads show the products of before."""
    service = bazaar.service
    entities = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    laughs = f'<!DOCTYPE l [<!ENTITY a "ha">{entities}]><rss>&j;</rss>'.encode()
    files = MERCHANT.replace("<rss", '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss').replace(
        "Top", "&x;"
    )
    bomb = gzip.compress(b" " * 50_000_000)
    bad = [b"PK\x03\x04" + bytes(5_000), laughs, files.encode(), bomb, b"x" * 5_000_000, b"<a>" * 50_000]
    bad += [random.Random(3).randbytes(20_000), b"[" * 50_000, MERCHANT.encode()[:-30], b""]
    shops = {SHOP: service.campaigns / "hats.jsonl", CHILDREN: service.campaigns / "toys.xml"}
    good = {id_: file.read_bytes() for id_, file in shops.items()}
    folders = {id_: service.data_dir / "catalogues" / id_ for id_ in shops}
    pointers = {id_: (folder / "current").read_bytes() for id_, folder in folders.items()}
    for number, data in enumerate(bad):
        failed = refused(service)
        for id_, file in shops.items():
            file.write_bytes(data)
            due(folders[id_])
        service.hang_up()
        wanted = failed + len(shops)
        await asyncio.to_thread(
            until, lambda wanted=wanted: refused(service) >= wanted, f"feed {number} to be refused"
        )
        assert {id_: (folder / "current").read_bytes() for id_, folder in folders.items()} == pointers
        ad = await said(service.public, call("GET", f"/render?t={bazaar.links()['render']}"))
        assert b"<li" in ad.body
    for id_, file in shops.items():
        file.write_bytes(good[id_])


def refused(service: Service) -> int:
    """How many feeds the caretaker could not use."""
    return service.scrape().total("paceline_feed_refreshes_total", result="failed")


def due(folder: Path) -> None:
    """Let the feed be looked at again: as if it had last been an age ago."""
    state = json.loads((folder / "feed.json").read_bytes())
    state["checked_s"] = 0
    (folder / "feed.json").write_text(json.dumps(state))
