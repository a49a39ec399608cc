"""Fetching: from files and servers, conditional, bounded, and never from where it must not."""

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import Struct
from yarl import URL

from bidder.catalogue.addresses import AddressError, Resolver
from bidder.catalogue.fetch import MAX_REDIRECTS, FetchError, Validators, fetch

FEED = b"id,title\n1,Boot\n"


class Rules(Struct, frozen=True):
    timeout_s: float = 20.0
    max_bytes: int = 10_000
    private_networks: tuple[str, ...] = ("127.0.0.1/32",)


async def feed(request: web.Request) -> web.StreamResponse:
    if request.headers.get("If-None-Match") == '"one"':
        return web.Response(status=304)
    return web.Response(
        body=FEED, headers={"ETag": '"one"', "Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT"}
    )


async def big(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(64):
        await answer.write(b"x" * 1_000)
    return answer


async def bomb(request: web.Request) -> web.StreamResponse:
    return web.Response(body=gzip.compress(bytes(1_000_000)), headers={"Content-Encoding": "gzip"})


async def stuck(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def cut(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "5000"})
    await answer.prepare(request)
    await answer.write(b"x" * 100)
    assert request.transport is not None
    request.transport.close()
    return answer


async def broken(request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def away(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(request.query["to"])


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    for handler in (feed, big, bomb, stuck, cut, away, broken):
        app.router.add_get(f"/{handler.__name__}", handler)
    async with TestServer(app, host="127.0.0.1", shutdown_timeout=0) as running:
        yield running


async def test_a_feed_is_fetched_once_and_then_only_asked_for(server: TestServer, tmp_path: Path) -> None:
    """ETag and Last-Modified are kept; the same again is None, and leaves the file."""
    into = tmp_path / "feed"
    url = str(server.make_url("/feed"))
    known = await fetch(url, into, Validators(), Rules(), tmp_path)
    assert known == Validators('"one"', "Sun, 01 Nov 2026 00:00:00 GMT")
    assert into.read_bytes() == FEED
    assert await fetch(url, into, known, Rules(), tmp_path) is None
    assert into.read_bytes() == FEED


async def test_a_redirect_is_followed(server: TestServer, tmp_path: Path) -> None:
    """Relative ones, too."""
    assert await fetch(
        str(server.make_url("/away?to=/feed")), tmp_path / "feed", Validators(), Rules(), tmp_path
    )
    assert (tmp_path / "feed").read_bytes() == FEED


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/big", "longer than 10,000 bytes"),
        ("/bomb", "longer than 10,000 bytes"),
        ("/stuck", "took longer than 0.3 s"),
        ("/cut", "cannot be fetched"),
        ("/broken", "answered with 500"),
        ("/none", "answered with 404"),
        ("/away?to=/away%3Fto%3D/feed", None),
        ("/away?to=http://127.0.0.2/feed", "127.0.0.2 is not an address"),
        ("/away?to=http://169.254.169.254/latest", "169.254.169.254 is not an address"),
        ("/away?to=http://nobody.invalid/feed", "cannot be fetched"),
        ("/away?to=file:///etc/passwd", "not an https address"),
        ("/away?to=https://u:p@127.0.0.1/", "not an https address"),
    ],
)
async def test_what_goes_wrong_is_told_and_leaves_the_file_as_it_was(
    server: TestServer, tmp_path: Path, path: str, words: str | None
) -> None:
    """Limits, failures and redirects to where nobody may lead us; the last feed stays whole."""
    into = tmp_path / "feed"
    into.write_bytes(b"before")
    rules = Rules(timeout_s=0.3) if path == "/stuck" else Rules()
    url = str(server.make_url("/")).rstrip("/") + path
    if words is None:
        assert await fetch(url, into, Validators(), rules, tmp_path)
        return
    with pytest.raises(FetchError, match=words):
        await fetch(url, into, Validators(), rules, tmp_path)
    assert into.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["feed"]


async def test_redirects_end(server: TestServer, tmp_path: Path) -> None:
    """More than MAX_REDIRECTS are refused."""
    url = "/feed"
    for _ in range(MAX_REDIRECTS + 1):
        url = "/away?to=" + url.replace("%", "%25").replace("?", "%3F").replace("=", "%3D")
    with pytest.raises(FetchError, match="more than 5 times"):
        await fetch(
            str(server.make_url("/")).rstrip("/") + url, tmp_path / "feed", Validators(), Rules(), tmp_path
        )


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://169.254.169.254/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[2002:0a00:0001::1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[fec0::1]/",
        "https://[feff:ffff::1]/",
        "https://[3fff::1]/",
        "https://[3fff:fff:ffff::1]/",
    ],
)
def test_our_own_networks_are_not_asked(url: str) -> None:
    """Private, loopback, link-local, shared, multicast and reserved addresses, in all disguises."""
    with pytest.raises(AddressError):
        Resolver(()).judge(URL(url))


def test_the_open_internet_and_configured_networks_may_be_asked() -> None:
    """Public literals pass by https; private ones where they are configured, also by http; http goes nowhere else."""
    Resolver(()).judge(URL("https://93.184.216.34/"))
    Resolver(()).judge(URL("https://[2606:2800:220:1::1]/"))
    inside = Resolver(("10.1.0.0/16",))
    inside.judge(URL("https://10.1.2.3/"))
    inside.judge(URL("http://10.1.2.3/"))
    for url in ("http://10.2.2.3/", "http://93.184.216.34/", "https://10.2.2.3/"):
        with pytest.raises(AddressError):
            inside.judge(URL(url))


async def test_a_name_of_our_own_network_is_not_asked(tmp_path: Path) -> None:
    """localhost is refused though it is a name, and so are numbers that stand for an address."""
    for host in ("localhost", "127.1", "2130706433"):
        with pytest.raises(FetchError):
            await fetch(
                f"https://{host}:1/", tmp_path / "feed", Validators(), Rules(private_networks=()), tmp_path
            )


async def test_a_name_of_a_configured_network_is_asked(server: TestServer, tmp_path: Path) -> None:
    """localhost is where the configuration says that feeds may lie."""
    url = f"http://localhost:{server.port}/feed"
    assert await fetch(url, tmp_path / "feed", Validators(), Rules(), tmp_path)


async def test_a_network_that_is_none_is_told(tmp_path: Path) -> None:
    """A mistake in the configuration is a FetchError with its name."""
    with pytest.raises(FetchError, match="private_networks"):
        await fetch(
            "https://a.example/", tmp_path / "f", Validators(), Rules(private_networks=("x",)), tmp_path
        )


async def test_a_file_is_copied_when_it_has_changed(tmp_path: Path) -> None:
    """Size, time and number tell; the copy is whole."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "feed.csv").write_bytes(FEED)
    into = tmp_path / "feed"
    known = await fetch("feed.csv", into, Validators(), Rules(), home)
    assert known
    assert into.read_bytes() == FEED
    assert await fetch("feed.csv", into, known, Rules(), home) is None
    (home / "feed.csv").write_bytes(FEED + b"2,Sock\n")
    assert await fetch("feed.csv", into, known, Rules(), home)
    assert into.read_bytes() == FEED + b"2,Sock\n"


async def test_a_file_elsewhere_is_not_read(tmp_path: Path) -> None:
    """Neither by dots, nor by a root, nor by a link, nor what is no file or too long."""
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (home / "link").symlink_to(tmp_path / "secret")
    (home / "long").write_bytes(bytes(10_001))
    for location, words in (
        ("../secret", "outside"),
        (str(tmp_path / "secret"), "outside"),
        ("link", "outside"),
        ("folder", "not a file"),
        ("absent", "No such file"),
        ("long", "longer than 10,000"),
    ):
        with pytest.raises(FetchError, match=words):
            await fetch(location, tmp_path / "feed", Validators(), Rules(), home)
    assert not (tmp_path / "feed").exists()


async def test_a_server_that_cannot_prove_its_name_is_refused(tmp_path: Path) -> None:
    """https is checked: a server that speaks plain http there fails."""
    async with TestServer(web.Application(), host="127.0.0.1") as plain:
        url = str(plain.make_url("/")).replace("http:", "https:")
        with pytest.raises(FetchError, match="cannot be fetched"):
            await fetch(url, tmp_path / "feed", Validators(), Rules(), tmp_path)
