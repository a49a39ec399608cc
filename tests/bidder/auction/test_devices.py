"""Operating system and kind of device, from fields first and the user agent last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.auction.devices import DESKTOP, PHONE, TABLET, TV, describe
from bidder.campaigns.rules import OS
from openrtb.request import BrandVersion, Device, UserAgent

MOZILLA = "Mozilla/5.0 "
AGENTS = {
    "(iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Mobile Safari": ("ios", PHONE),
    "(iPad; CPU OS 12_2 like Mac OS X) Safari": ("ios", TABLET),
    "(Linux; Android 15; Pixel 9) Chrome/130 Mobile Safari/537": ("android", PHONE),
    "(Linux; Android 14; SM-X710) Chrome/130 Safari/537": ("android", TABLET),
    "(Linux; Android 12; BRAVIA 4K Android TV) Chrome/100": ("android", TV),
    "(Windows NT 10.0; Win64; x64) Chrome/130": ("windows", DESKTOP),
    "(Macintosh; Intel Mac OS X 10_15_7) Safari/605": ("macos", DESKTOP),
    "(X11; Linux x86_64) Firefox/130": ("linux", DESKTOP),
    "(X11; CrOS x86_64 14541) Chrome/130": ("chromeos", DESKTOP),
    "(SMART-TV; Linux; Tizen 7.0) Chrome/94": ("other", TV),
    "(Windows Phone 10.0; Android 6.0.1; Lumia) Mobile": ("other", PHONE),
    "Roku/DVP-12": ("other", TV),
    "curl/8": ("", 0),
}


@pytest.mark.parametrize(("agent", "expected"), AGENTS.items(), ids=lambda value: str(value)[:40])
def test_user_agents(agent: str, expected: tuple[str, int]) -> None:
    """Where no field tells, the user agent does."""
    assert describe(Device(ua=MOZILLA + agent)) == expected


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("iOS", "ios"),
        ("iOS 17.1", "ios"),
        ("iPadOS", "ios"),
        ("ANDROID", "android"),
        ("Android 15", "android"),
        ("Mac OS X", "macos"),
        ("macOS", "macos"),
        ("Windows 11", "windows"),
        ("Chrome OS", "chromeos"),
        ("Chromium OS", "chromeos"),
        ("Linux", "linux"),
        ("Tizen", "other"),
        ("PlayStation", "other"),
    ],
)
def test_names(name: str, system: str) -> None:
    """As exchanges spell them, in device.os or in the structured user agent."""
    assert describe(Device(os=name)) == (system, 0)
    assert describe(Device(sua=UserAgent(platform=BrandVersion(brand=name)))) == (system, 0)
    assert system in OS


def test_fields_go_before_the_user_agent() -> None:
    """What the exchange says stands; the user agent fills what it left out."""
    ua = MOZILLA + "(Windows NT 10.0)"
    assert describe(Device(os="iOS", devicetype=TABLET, ua=ua)) == ("ios", TABLET)
    assert describe(Device(os="iOS", ua=ua)) == ("ios", DESKTOP)
    assert describe(Device(devicetype=TV, ua=ua)) == ("windows", TV)


def test_a_structured_user_agent_tells_of_phones() -> None:
    """sua.mobile, where nothing else tells the kind."""
    assert describe(Device(sua=UserAgent(mobile=1))) == ("", PHONE)
    assert describe(Device(sua=UserAgent(mobile=0))) == ("", DESKTOP)


def test_nothing_known() -> None:
    """No device, and an empty one."""
    assert describe(None) == describe(Device()) == ("", 0)


@given(ua=st.text(max_size=2_000))
def test_any_user_agent_is_read(ua: str) -> None:
    """No text raises, and what it gives can be targeted."""
    system, kind = describe(Device(ua=ua))
    assert system in (*OS, "")
    assert kind in (0, DESKTOP, TV, PHONE, TABLET)
