"""Token keys are changed while the service serves: step by step, and no notice is lost."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from bidder.notices.keys import parse_keys
from bidder.shop.tokens import shop_token
from bidder.web.roles import Holder, Role, make_token
from tests.service.service import Service, started
from tests.service.test_notices_http import Changes, a_bid, call, urls

pytestmark = pytest.mark.process

OLD, NEW = (f"{number}:{secrets.token_hex(32)}" for number in (7, 8))
REPLACED = "paceline_worker_rolling_restarts_total"


def write(file: Path, *keys: str) -> None:
    """Make these the keys."""
    file.write_text("\n".join(keys) + "\n")


async def rotated(service: Service, file: Path, *keys: str) -> None:
    """One step: the file is changed, the workers are replaced; bids and bills go on meanwhile, and none is lost."""
    changes, before = Changes(service), service.scrape().total(REPLACED)
    write(file, *keys)
    service.process.send_signal(signal.SIGUSR2)
    bills = 0
    while bills % 16 or service.scrape().total(REPLACED) == before:
        await asyncio.sleep(0.02)  # the successors, too, want to compute
        bid = urls(await a_bid(service))
        assert (await call(service, bid["win"])).status == 204
        assert (await call(service, bid["bill"])).status == 204
        bills += 1
        assert service.process.poll() is None
    assert bills
    assert changes.notices("bill", "accepted") == bills, service.scrape().by(
        "paceline_notices_total", "result"
    )


async def test_keys_are_rotated_under_bids(tmp_path: Path) -> None:
    """A new key is added behind, then put in front, then the old one is dropped: each notice of each bid is accepted
    on the way, before, between and after; bids signed by the old key are good until it is dropped, and nothing after
    that. Tokens of shops and operators live as long as their key."""
    file = tmp_path / "token.keys"
    write(file, OLD)
    with started(tmp_path / "data", workers=2, settings={"keys_file": str(file)}) as service:
        first = urls(await a_bid(service))
        await rotated(service, file, OLD, NEW)
        second = urls(await a_bid(service))
        await rotated(service, file, NEW, OLD)
        third, spare = urls(await a_bid(service)), second["click"]
        changes = Changes(service)
        for bid in (first, second, third):
            assert (await call(service, bid["bill"])).status == 204
        assert changes.notices("bill", "accepted") == 3
        await rotated(service, file, NEW)
        changes = Changes(service)
        fourth = urls(await a_bid(service))
        for bid in (third, fourth):
            await call(service, bid["win"])
        await call(service, first["win"])
        assert (await call(service, spare)).status == 404
        assert changes.notices("win", "accepted") == 2
        assert changes.notices("win", "unknown_key") == 1
        await tokens(service)
        assert OLD[2:] not in service.log.read_text()
        assert NEW[2:] not in service.log.read_text()


async def tokens(service: Service) -> None:
    """Those of the key that is left are taken, by workers and by the supervisor; those of the other are not."""
    for key, welcome in ((NEW, True), (OLD, False)):
        ring = parse_keys(key, "here")
        anna = Holder("anna", Role.OPERATOR, int(time.time()) + 600)
        calls = {
            f"http://127.0.0.1:{service.ports['ops']}/admin/reload": make_token(ring, anna),
            f"http://127.0.0.1:{service.public[1]}/v1/events": shop_token(ring, "shop"),
        }
        async with aiohttp.ClientSession() as client:
            for url, token in calls.items():
                async with client.post(
                    url, headers={"Authorization": f"Bearer {token}"}, data=b"{}"
                ) as answer:
                    assert (answer.status != 401) is welcome, f"{url} {answer.status}"
