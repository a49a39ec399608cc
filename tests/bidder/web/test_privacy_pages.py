"""The privacy pages as browsers and forgers call them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from aiohttp import ClientSession
from msgspec.structs import force_setattr

from bidder.campaigns.model import Advertiser
from bidder.clock import ManualClock
from bidder.events.requests import ERASURES, requested
from bidder.metrics import Tally
from bidder.rights.forms import LIFE_S, form_token
from bidder.rights.layout import POLICY
from bidder.rights.texts import TEXTS
from bidder.rights.verify import in_store
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.people_writer import open_client
from bidder.stores.removal import done
from bidder.web.privacy_pages import MAX_BODY, Desk, language_of, people_of
from bidder.web.turns import Turns
from tests.bidder.rights.conftest import NOW_S, ONE, TAG, TWO, Catalogues, House, advertisers, house, known
from tests.bidder.web.privacy_desk import KEYRING, desk_of, serving
from tests.servers import RealServer

__all__ = ["advertisers", "house", "known"]  # fixtures
NONCE = "ab" * 16
WHO = {"pl_id": ONE.hex(), "pl_form": NONCE}


class Browser:
    """Calls the pages with cookies of its own choice, and follows nothing."""

    def __init__(self, base: str, session: ClientSession, desk: Desk) -> None:
        self.base, self.session, self.desk = base, session, desk
        self.clock = desk.clock
        assert isinstance(self.clock, ManualClock)

    async def get(
        self, path: str, cookies: Mapping[str, str] | None = None, **headers: str
    ) -> tuple[int, str, Mapping[str, str]]:
        """(status, body, headers)."""
        sent = {"Cookie": _cookies(cookies or {}), **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self.session.get(self.base + path, headers=sent, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers.copy()

    async def post(
        self, path: str, fields: Mapping[str, str], cookies: Mapping[str, str], **headers: str
    ) -> tuple[str, dict[str, str]]:
        """(what the redirect says was done, cookies that were set, by name: value)."""
        form = form_token(KEYRING, cookies.get("pl_form", ""), self.clock.now_s())
        sent = {"Cookie": _cookies(cookies), **{k.replace("_", "-"): v for k, v in headers.items()}}
        data = {"form": form, "lang": "en", **fields}
        async with self.session.post(
            self.base + path, data=data, headers=sent, allow_redirects=False
        ) as answer:
            assert answer.status == 303
            where = urlsplit(answer.headers["Location"])
            assert where.path == "/privacy"
            assert not where.netloc
            return parse_qs(where.query)["done"][0], _set(answer.headers.getall("Set-Cookie", []))


def _cookies(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _set(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        assert "Secure" in line
        assert "HttpOnly" in line
        found.update({name: part.value for name, part in SimpleCookie(line.split(";")[0]).items()})
    return found


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    """A client without a memory for cookies."""
    from aiohttp import DummyCookieJar

    async with ClientSession(cookie_jar=DummyCookieJar()) as opened:
        yield opened


@pytest.fixture
async def browser(
    known: House, session: ClientSession, advertisers: tuple[Advertiser, ...]
) -> AsyncIterator[Browser]:
    """The pages over a store in which ONE is known."""
    desk = desk_of(known.client, ManualClock(NOW_S), advertisers, Catalogues())
    async with serving(desk) as base:
        yield Browser(base, session, desk)


def _faults(tally: Tally) -> int:
    return sum(value for cell, value in tally.samples() if cell.name == "paceline_public_faults_total")


async def test_a_page_is_safe_and_new_each_time(browser: Browser) -> None:
    """No cache, no frame, no other host; a nonce that no other site sends; the language of the browser."""
    status, body, headers = await browser.get("/privacy", Accept_Language="fr-CA;q=0.8, de, en;q=0.5")
    assert status == 200
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Content-Language"] == "fr"
    assert re.match(r"pl_form=[0-9a-f]{32}; .*SameSite=Strict", headers["Set-Cookie"])
    assert TEXTS["fr"]["state_none"].split(":")[0] in body
    _, body, headers = await browser.get("/privacy?lang=en", {"pl_form": NONCE}, Accept_Language="fr")
    assert "Set-Cookie" not in headers
    assert TEXTS["en"]["state_none"].split(":")[0] in body


async def test_the_pages_know_the_browser(browser: Browser) -> None:
    """Recognised, opted out, and asking by Global Privacy Control: each is said."""
    assert TEXTS["en"]["state_known"] in (await browser.get("/privacy", WHO))[1]
    assert TEXTS["en"]["state_known"] in (await browser.get("/privacy", {"pl_pid": ONE.hex()}))[1]
    assert TEXTS["en"]["state_empty"] in (await browser.get("/privacy", {"pl_id": "77" * 16}))[1]
    assert TEXTS["en"]["state_out"] in (await browser.get("/privacy", {"pl_optout": "1"}))[1]
    page = (await browser.get("/privacy", WHO, Sec_GPC="1"))[1]
    assert "Global Privacy Control" in page


async def test_opting_out_and_in(browser: Browser, known: House) -> None:
    """The store has a tombstone and nothing else, the browser says no and forgets; back in, both are gone."""
    told, cookies = await browser.post("/privacy/choice", {"choice": "out"}, WHO)
    assert told == "out"
    assert cookies == {"pl_optout": "1", "pl_id": "", "pl_pid": "", "pl_optin": ""}
    assert await in_store(known.client, ONE) == []
    assert await known.writer.opted_out(ONE)
    assert not await known.writer.opted_out(TWO)
    told, cookies = await browser.post("/privacy/choice", {"choice": "in"}, {**WHO, "pl_optout": "1"})
    assert (told, cookies) == ("in", {"pl_optout": "", "pl_optin": "1"})
    assert not await known.writer.opted_out(ONE)


async def test_a_browser_without_a_number_may_say_no(browser: Browser) -> None:
    """Then the cookie is all there is."""
    told, cookies = await browser.post("/privacy/choice", {"choice": "out"}, {"pl_form": NONCE})
    assert (told, cookies["pl_optout"]) == ("out", "1")


async def test_an_id_that_nobody_has_leaves_nothing(browser: Browser, known: House) -> None:
    """Opting out and erasing under an invented number write no key of it: the browser says no, every host's files are
    asked, and beyond a rate not even that: the person is told to come again. Who is known is served all the same."""
    force_setattr(browser.desk, "unknown", Turns(0.0, 2, 1))
    before = known.standing()
    for path, expected in (("choice", "out"), ("erase", "erased"), ("choice", "later"), ("erase", "failed")):
        number = path[0].encode().hex() * 16
        fields = {"choice": "out", "confirm": "yes"}
        told, cookies = await browser.post(f"/privacy/{path}", fields, {**WHO, "pl_id": number})
        assert told == expected
        assert ("pl_optout" in cookies) == (path == "choice")
        assert ("pl_id" in cookies) == (expected in ("out", "erased"))
    assert known.standing() - before == {ERASURES}
    assert len(await requested(known.client, NOW_S)) == 2
    browser.clock.advance(10)
    assert (await browser.post("/privacy/erase", {"confirm": "yes"}, WHO))[0] == "erased"
    assert await in_store(known.client, ONE) == []


@pytest.mark.parametrize("limit", ["forms", "connections"])
async def test_changes_come_one_after_another(browser: Browser, known: House, limit: str) -> None:
    """Beyond the rate of a form or a connection nothing is changed, and a page in the person's language says so; a
    moment later it is done."""
    force_setattr(browser.desk, limit, Turns(1.0, 1, 10))
    await browser.post("/privacy/choice", {"choice": "in"}, WHO)
    before = known.standing()
    form = form_token(KEYRING, NONCE, browser.clock.now_s())
    async with browser.session.post(
        f"{browser.base}/privacy/erase",
        data={"form": form, "lang": "fr", "confirm": "yes"},
        headers={"Cookie": _cookies(WHO)},
    ) as answer:
        assert answer.status == 429
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert TEXTS["fr"]["slow_title"] in await answer.text()
    assert known.standing() == before
    browser.clock.advance(1)
    assert (await browser.post("/privacy/erase", {"confirm": "yes"}, WHO))[0] == "erased"


async def test_erasing_asks_first(browser: Browser, known: House) -> None:
    """The question changes nothing; the answer erases all, and the cookies with the number."""
    status, body, _ = await browser.get("/privacy/erase", WHO)
    assert (status, 'name="confirm"' in body) == (200, True)
    assert await in_store(known.client, ONE)
    told, cookies = await browser.post("/privacy/erase", {"confirm": "yes"}, WHO)
    assert (told, cookies) == ("erased", {"pl_id": "", "pl_pid": ""})
    assert await in_store(known.client, ONE) == []
    assert await done(known.client.exists(keys.person_key(keys.person_tag(TWO))))
    told, _ = await browser.post("/privacy/erase", {"confirm": "yes"}, {"pl_form": NONCE})
    assert told == "nothing"


async def test_everything_is_shown(browser: Browser) -> None:
    """As a page, and for programs; of who is not known, nothing."""
    status, body, _ = await browser.get("/privacy/data?lang=fr", WHO)
    assert status == 200
    assert "&lt;b&gt;Red &amp; blue&lt;/b&gt; shoe" in body
    status, body, headers = await browser.get("/privacy/data?format=json", WHO)
    assert headers["Content-Type"].startswith("application/json")
    assert "attachment" in headers["Content-Disposition"]
    (held,) = msgspec.json.decode(body)["held"]
    assert held["id"] == ONE.hex()
    assert [shop["name"] for shop in held["shops"]] == ["other", "Shop"]
    assert msgspec.json.decode((await browser.get("/privacy/data?format=json"))[1]) == {"held": []}
    assert TEXTS["en"]["data_none"] in (await browser.get("/privacy/data"))[1]


@pytest.mark.parametrize(
    ("fields", "cookies", "headers"),
    [
        ({"form": ""}, WHO, {}),
        ({"form": "A" * 36}, WHO, {}),
        ({"form": form_token(KEYRING, "cd" * 16, NOW_S)}, WHO, {}),
        ({"form": form_token(KEYRING, NONCE, NOW_S - LIFE_S - 1)}, WHO, {}),
        ({}, {"pl_id": ONE.hex()}, {}),
        ({}, WHO, {"Origin": "https://evil.example"}),
        ({}, WHO, {"Origin": "null"}),
        ({}, WHO, {"Sec_Fetch_Site": "cross-site"}),
        ({}, WHO, {"Sec_Fetch_Site": "same-site"}),
        ({"choice": "maybe", "confirm": "no"}, WHO, {}),
    ],
)
async def test_forged_changes_change_nothing(
    browser: Browser, known: House, fields: dict[str, str], cookies: dict[str, str], headers: dict[str, str]
) -> None:
    """Without a form of ours, in this browser, from this site, nobody opts out or is erased."""
    before = known.standing()
    for path in ("/privacy/choice", "/privacy/erase"):
        told, set_ = await browser.post(
            path, {"choice": "out", "confirm": "yes", **fields}, cookies, **headers
        )
        assert (told, set_) == ("form", {})
    assert known.standing() == before


async def test_our_own_origin_may(browser: Browser) -> None:
    """The configured one, and the host that was called."""
    for origin in ("https://ads.example", browser.base):
        headers = {"Origin": origin, "Sec_Fetch_Site": "same-origin"}
        assert (await browser.post("/privacy/choice", {"choice": "in"}, WHO, **headers))[0] == "in"


async def test_what_is_no_form_changes_nothing(browser: Browser, known: House) -> None:
    """JSON, no form at all, too many fields, bytes that are no text, too large a body."""
    before, url = known.standing(), browser.base + "/privacy/erase"
    cookie = {"Cookie": _cookies(WHO)}
    form = {"Content-Type": "application/x-www-form-urlencoded", **cookie}
    token = form_token(KEYRING, NONCE, NOW_S)
    many = "&".join(f"a{n}=1" for n in range(20)) + f"&form={token}&confirm=yes"
    for data, headers, status in (
        (b'{"confirm":"yes"}', {"Content-Type": "application/json", **cookie}, 303),
        (b"", form, 303),
        (b"\xff\xfe=1", form, 303),
        (many.encode(), form, 303),
        (b"a" * (MAX_BODY + 1), form, 413),
    ):
        async with browser.session.post(url, data=data, headers=headers, allow_redirects=False) as answer:
            assert answer.status == status
    assert known.standing() == before
    assert _faults(browser.desk.tally) == 0


async def test_hostile_calls_get_documented_answers(browser: Browser) -> None:
    """Strange queries, cookies and methods: 200, 303, 405 or 414, nothing of theirs in a header or as markup."""
    strange = ["%0d%0aSet-Cookie:a=b", "<script>", "%ff%fe", "a" * 500]
    for text in strange:
        for path in ("/privacy", "/privacy/data", "/privacy/erase"):
            cookies = {"pl_id": text, "pl_form": text, "pl_optout": text}
            status, body, headers = await browser.get(
                f"{path}?lang={text}&done={text}&format={text}", cookies
            )
            assert status == 200
            assert "<script" not in body
            assert "a=b" not in headers.get("Set-Cookie", "")
        told, _ = await browser.post("/privacy/choice", {"choice": "out", "lang": text}, WHO)
        assert told == "out"
    assert (await browser.get("/privacy?" + "a" * 3_000))[0] == 414
    async with browser.session.put(browser.base + "/privacy") as answer:
        assert answer.status == 405
    async with browser.session.head(browser.base + "/privacy") as answer:
        assert answer.status == 200
    assert _faults(browser.desk.tally) == 0


async def test_a_store_that_is_away_loses_no_choice(own_server: RealServer, session: ClientSession) -> None:
    """The page is there, opting out says no in the browser and keeps the number for the next try; erasing and access
    say that they could not be."""
    client = open_client(Stores(redis_url=own_server.url))
    desk = desk_of(client, ManualClock(NOW_S))
    async with serving(desk) as base:
        browser = Browser(base, session, desk)
        own_server.kill()
        status, body, _ = await browser.get("/privacy", WHO)
        assert (status, TEXTS["en"]["state_unsure"] in body) == (200, True)
        told, cookies = await browser.post("/privacy/choice", {"choice": "out"}, WHO)
        assert (told, cookies) == ("later", {"pl_optout": "1"})
        assert (await browser.post("/privacy/choice", {"choice": "in"}, WHO))[0] == "failed"
        assert (await browser.post("/privacy/erase", {"confirm": "yes"}, WHO)) == ("failed", {})
        assert (await browser.get("/privacy/data", WHO))[0] == 200
        assert "error" in msgspec.json.decode((await browser.get("/privacy/data?format=json", WHO))[1])
        assert _faults(desk.tally) == 0
    await client.aclose()


async def test_no_number_in_a_log(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """Opting out and erasing are told without the number."""
    with caplog.at_level("DEBUG"):
        await browser.post("/privacy/choice", {"choice": "out"}, WHO)
        await browser.post("/privacy/erase", {"confirm": "yes"}, WHO)
    assert len([record for record in caplog.records if record.name == "bidder.rights.audit"]) == 2
    assert TAG.decode() not in caplog.text


def test_languages() -> None:
    """What is asked for, else what is liked best, else English."""
    assert language_of("fr", "en") == "fr"
    assert language_of("xx", "fr") == "fr"
    assert language_of("", "de, fr;q=0.2, en;q=0.1") == "fr"
    assert language_of("", "fr;q=x, en;q=0") == "en"
    assert language_of("", "") == "en"


def test_numbers_of_a_browser() -> None:
    """Both cookies are read, each number once, and nothing that is none."""
    assert people_of({"pl_id": ONE.hex(), "pl_pid": TWO.hex()}) == [ONE, TWO]
    assert people_of({"pl_id": ONE.hex(), "pl_pid": ONE.hex()}) == [ONE]
    assert people_of({"pl_id": "zz" * 16, "pl_pid": ""}) == []
