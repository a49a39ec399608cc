"""Where calls come from, what is kept of a user agent, and whose a cookie is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.audience.identity import is_visitor
from bidder.shop import cookies
from bidder.shop.agents import AGENT_CHARS, device_of
from bidder.shop.origins import MAX_HOST, domain_of

AGENTS = {
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36": "desktop",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0": "desktop",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15": "desktop",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148 Safari/604.1": "phone",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537.36": "phone",
    "Mozilla/5.0 (Linux; Android 14; SM-X710) Chrome/140.0 Safari/537.36": "tablet",
    "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) Mobile/15E148 Safari/604.1": "tablet",
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) SamsungBrowser/2.1 TV Safari/537.36": "tv",
    "curl/8.0": "",
    "": "",
    "x" * AGENT_CHARS + "iPhone": "",
}


@pytest.mark.parametrize(("agent", "device"), AGENTS.items())
def test_a_user_agent_is_one_word(agent: str, device: str) -> None:
    """phone, tablet, desktop, tv or nothing, of the first AGENT_CHARS characters."""
    assert device_of(agent) == device


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://Shop.Example:8443/a?b=c#d", "shop.example"),
        ("shop.example", "shop.example"),
        ("shop.example/path", "shop.example"),
        ("https://jane:secret@shop.example/", "shop.example"),
        ("https://shop.example./", "shop.example"),
        ("http://127.0.0.1:8000/", "127.0.0.1"),
        ("android-app://com.example.app/", "com.example.app"),
        ("about:blank", ""),
        ("null", ""),
        ("", ""),
        ("http://[::1", ""),
        ("https://a b/", ""),
        ("https://" + "a" * (MAX_HOST + 1), ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_of_a_url_its_domain_is_kept(url: str, domain: str) -> None:
    """No name, no path, no query, no port."""
    assert domain_of(url) == domain


@given(st.text(max_size=100))
def test_any_text_has_a_domain_or_none(url: str) -> None:
    """Nothing raises, and what comes is a host."""
    found = domain_of(url)
    assert found.isascii()
    assert not set(found) & set("/?#@: \t\r\n\"'<>")


def test_people_are_random_numbers() -> None:
    """Never one of those that stand for nobody, for who opted out or for a visitor."""
    made = {cookies.new_person() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(len(person) == 16 and not is_visitor(person) for person in made)


def test_cookies_never_outlive_thirty_days() -> None:
    """A shorter life may be asked for, a longer one is cut."""
    lives = [cookies.keeping(b"p" * 16, ttl_s)[0].split("; ")[1] for ttl_s in (60.0, 1e9)]
    assert lives == ["Max-Age=60", "Max-Age=2592000"]


def test_only_what_a_browser_brought_is_taken_back() -> None:
    """No cookie of ours where there was none."""
    assert cookies.forgetting({}) == ()
    assert len(cookies.forgetting({"pl_id": "x", "pl_pid": "y"})) == 2
