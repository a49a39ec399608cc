"""Whoever was told of somebody by a sync, a page or an exchange, cannot be that person at the privacy pages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bidder.privacy.signals import Signals
from bidder.stores import keys
from tests.people.calls import bid_request
from tests.people.house import GENERIC, House, housed
from tests.servers import RealServer

SHOP = "hats"
FREE = {"gdpr": "0"}
SIGNALS = Signals(gdpr=0)
STRANGERS_CPM = 2
"""What the shop bids at most for somebody who never looked at anything."""


async def _told(house: House, cookies: dict[str, str]) -> list[str]:
    """What the exchange sees, by a redirect and by a page's list of pixels."""
    synced = await house.call("/sync/generic", params=FREE, cookies=cookies)
    page = {"Origin": f"https://{SHOP}.example"}
    listed = await house.call("/v1/syncs", params={**FREE, "advertiser": SHOP}, cookies=cookies, headers=page)
    urls = [synced.headers["Location"], *json.loads(listed.body)["syncs"]]
    assert len(urls) == 2
    assert {urlsplit(url).netloc for url in urls} == {urlsplit(GENERIC.sync_url).netloc}
    assert not any(cookies["pl_id"] in url for url in urls)
    return [parse_qs(urlsplit(url).query)["id"][0] for url in urls]


async def _press(house: House, path: str, cookies: dict[str, str], **fields: str) -> None:
    """A form of the privacy pages, sent."""
    page = await house.call(path.replace("/choice", ""), cookies=cookies)
    nonce = page.cookies["pl_form"]
    (form,) = set(re.findall(rb'name="form" value="([^"]+)"', page.body)) or {b""}
    sent = {"form": form.decode(), **fields}
    await house.call(path, "POST", data=sent, cookies={**cookies, "pl_form": nonce})


@pytest.mark.parametrize("cookie", ["pl_id", "pl_pid"])
async def test_an_impostor_sees_and_changes_nothing(
    redis_server: RealServer, tmp_path: Path, cookie: str
) -> None:
    """A redirect's and a pixel's id, whole or in parts, as our cookie: nothing is shown, nobody is erased or opted
    out; and yet the exchange's next request leads to the person."""
    async with housed(tmp_path, redis_server.url) as house:
        query = {**FREE, "advertiser": SHOP, "event": "product_view", "product": f"{SHOP}-1"}
        first = await house.call("/pixel", params=query)
        (own,) = first.ids
        me = {"pl_id": own}
        await house.call("/pixel", params=query, cookies=me)
        told = await _told(house, me)
        key = keys.person_key(keys.person_tag(bytes.fromhex(own)))
        before = await house.client.hgetall(key)
        assert before
        mine = await house.call("/privacy/data?format=json", cookies=me)
        assert own.encode() in mine.body
        for text in {part for each in told for part in (each, each[:32], each[2:])}:
            forged = {cookie: text}
            seen = await house.call("/privacy/data?format=json", cookies=forged)
            assert own.encode() not in seen.body
            assert not any(each["shops"] for each in json.loads(seen.body)["held"])
            await _press(house, "/privacy/erase", forged, confirm="yes")
            await _press(house, "/privacy/choice", forged, choice="out")
            assert await house.client.hgetall(key) == before
        for text, known in ((told[0], True), ("7" * 32, False)):
            answer = await house.ask(bid_request(SHOP, SIGNALS, buyeruid=text))
            (bid,) = json.loads(answer.body)["seatbid"][0]["bid"]
            assert (bid["price"] > STRANGERS_CPM) == known
