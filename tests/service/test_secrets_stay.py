"""Secrets stand in no log, metric, page, command line or variable of a process that we start, whatever goes wrong."""

from __future__ import annotations

import asyncio
import base64
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bidder.__main__ import main
from bidder.config import of_children
from bidder.notices.keys import parse_keys
from bidder.shop.tokens import exchange_secret, shop_token
from bidder.web.roles import Holder, Role, make_token
from tests.bidder.supervisor.serving import until
from tests.processes import command, variables
from tests.servers import RealServer
from tests.service.client import bid_request
from tests.service.money import fund
from tests.service.service import BOOK, WALLET, Service

TOKEN_KEY, PASSWORD, LEDGER_PASSWORD = secrets.token_hex(32), secrets.token_hex(16), secrets.token_hex(16)
PRICE_KEY, INTEGRITY_KEY = (base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
RING = parse_keys(f"5:{TOKEN_KEY}", "here")
SHOP_TOKEN, MATCH_SECRET = shop_token(RING, "shop"), exchange_secret(RING, "xandr")
ADMIN = make_token(RING, Holder("root", Role.ADMIN, int(time.time()) + 3_600))


def pem() -> bytes:
    """A key for deletion requests, or of TLS."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


DELETION_KEY = pem()
SECRETS = {
    "token key": TOKEN_KEY,
    "people's password": PASSWORD,
    "ledger's password": LEDGER_PASSWORD,
    "price key": PRICE_KEY.rstrip("="),
    "integrity key": INTEGRITY_KEY.rstrip("="),
    "shop's token": SHOP_TOKEN.rpartition(".")[2],
    "exchange's secret": MATCH_SECRET,
    "admin's token": ADMIN.rpartition(".")[2],
    "deletion key": DELETION_KEY.decode().splitlines()[1],
}


def shapes(secret: str) -> set[str]:
    """A secret as it is, as bytes are shown, and in other notations."""
    found = {secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()}
    if all(letter in "0123456789abcdef" for letter in secret):
        raw = bytes.fromhex(secret)
        found |= {repr(raw)[2:-1], base64.b64encode(raw).decode().rstrip("="), secret.upper()}
        found |= {base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    return found


def holds_none(text: str, where: str) -> None:
    """Fails naming the secret, and not showing it; a backslash in JSON is two."""
    text += text.replace("\\\\", "\\")
    leaked = [name for name, secret in SECRETS.items() if any(shape in text for shape in shapes(secret))]
    assert not leaked, f"{where} holds: {', '.join(leaked)}"


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[RealServer, RealServer]]:
    """People and money behind passwords."""
    people, money = (
        RealServer(tmp_path / "people", password=PASSWORD),
        RealServer(tmp_path / "money", password=LEDGER_PASSWORD),
    )
    for server in (people, money):
        server.start()
    yield people, money
    for server in (people, money):
        server.close()


@pytest.fixture
def service(tmp_path: Path, stores: tuple[RealServer, RealServer]) -> Iterator[Service]:
    """A service that tells all it has to tell, with a secret wherever one can stand."""
    people, money = stores
    for name, content in (("keys", f"5:{TOKEN_KEY}\n".encode()), ("deletion.pem", DELETION_KEY)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    for name, url in (("people.url", people.url), ("money.url", money.url)):
        (tmp_path / name).write_text(url + "\n")
    prices = tmp_path / "prices"
    prices.write_text(f"google:{PRICE_KEY}:{INTEGRITY_KEY}\n")
    fund(money.url, "shop", WALLET)
    settings = {
        "log_level": "debug",
        "keys_file": str(tmp_path / "keys"),
        "privacy": {"deletion_keys_file": str(tmp_path / "deletion.pem")},
    }
    named = {
        "PACELINE_REDIS_URL_FILE": str(tmp_path / "people.url"),
        "PACELINE_LEDGER_URL_FILE": str(tmp_path / "money.url"),
        "PACELINE_PRICE_KEYS_FILE": str(prices),
    }
    with pytest.MonkeyPatch.context() as patched:
        running = _start(tmp_path, settings, named, patched)
        yield running
        running.end()


def _start(
    folder: Path, settings: dict[str, Any], named: dict[str, str], patched: pytest.MonkeyPatch
) -> Service:
    from tests.bidder.supervisor import serving

    environ = {**of_children(), **named}

    def popen(*arguments: Any, env: dict[str, str], **more: Any) -> Any:
        return real(*arguments, env={**environ, **env}, **more)

    real = serving.subprocess.Popen
    patched.setattr(serving.subprocess, "Popen", popen)
    return Service(folder / "data", campaigns=BOOK, settings=settings).ready()


async def called(service: Service) -> list[str]:
    """Answers to calls with good, wrong and half secrets, of every port."""
    ops, public = (f"http://127.0.0.1:{service.ports[name]}" for name in ("ops", "public"))
    exchange = f"http://127.0.0.1:{service.ports['exchange']}"
    answers = []
    calls: list[tuple[str, str, dict[str, str], bytes]] = [
        ("POST", f"{public}/v1/events", {"Authorization": f"Bearer {SHOP_TOKEN}"}, b'{"events": [{}]}'),
        ("POST", f"{public}/v1/events", {"Authorization": f"Bearer {SHOP_TOKEN[:-3]}"}, b"{"),
        ("POST", f"{public}/v1/matches/xandr", {"X-Paceline-Signature": MATCH_SECRET}, b"{}"),
        ("POST", f"{public}/dsr", {}, DELETION_KEY),
        ("GET", f"{public}/bill?t={ADMIN}", {}, b""),
        ("GET", f"{public}/privacy/data?format=json", {"Cookie": f"pl_id={TOKEN_KEY[:32]}"}, b""),
        (
            "POST",
            f"{exchange}/bid/google",
            {"Authorization": f"Bearer {ADMIN}"},
            b'{"id": "' + ADMIN.encode(),
        ),
        ("POST", f"{exchange}/bid/generic", {}, bid_request()),
        ("POST", f"{ops}/admin/reload", {"Authorization": f"Bearer {ADMIN}"}, b""),
        ("POST", f"{ops}/admin/reload", {"Authorization": f"Bearer {ADMIN[:-2]}"}, b""),
        ("POST", f"{ops}/admin/nothing", {"Authorization": f"Bearer {ADMIN}"}, b""),
        *[("GET", f"{ops}{path}", {}, b"") for path in ("/", "/metrics", "/live", "/ready", "/nothing")],
    ]
    async with aiohttp.ClientSession() as client:
        for method, url, headers, body in calls:
            async with client.request(method, url, headers=headers, data=body or None) as answer:
                text = await answer.text(errors="replace")
                answers.append(f"{url.partition('?')[0]} {answer.status} {dict(answer.headers)} {text}")
    return answers


@pytest.mark.process
async def test_nothing_that_a_running_service_shows_holds_a_secret(
    service: Service, stores: tuple[RealServer, RealServer], tmp_path: Path
) -> None:
    """At debug level, with right and wrong passwords, stores that go and come back with another password, campaigns and
    keys that cannot be read, good and forged tokens: no log, no answer of any port, no command line and no variable of
    any process holds a secret, and every file that does is its owner's alone."""
    answers = await called(service)
    for server in stores:
        with server.client() as client:
            client.config_set("requirepass", "another")
            client.client_kill_filter(_type="normal", skipme=True)
    answers += await called(service)
    await asyncio.to_thread(
        until, lambda: "WRONGPASS" in service.log.read_text(), "a wrong password in the log"
    )
    for server in stores:
        server.kill()
    (tmp_path / "keys").write_text(f"5:{TOKEN_KEY}\n6:{TOKEN_KEY[:-2]}\n")
    service.hang_up()
    service.process.send_signal(signal.SIGUSR2)
    answers += await called(service)
    await asyncio.to_thread(until, lambda: "the old ones stay" in service.log.read_text(), "the bad keys")
    for process in (psutil.Process(service.process.pid), *service.descendants()):
        holds_none(" ".join(command(process)), f"the command line of {process.pid}")
        holds_none(str(variables(process)), f"the environment of {process.pid}")
    service.look()
    service.process.terminate()
    await asyncio.to_thread(service.process.wait, 60)
    for answer in answers:
        holds_none(answer, answer.split()[0])
    holds_none(service.log.read_text(), "the log")
    assert '"level":"debug"' in service.log.read_text()
    for path in service.data_dir.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            holds_none(path.read_bytes().decode("latin-1"), str(path.relative_to(service.data_dir)))


BROKEN: dict[str, dict[str, str]] = {
    "keys that are no hexadecimal": {"PACELINE_TOKEN_KEYS": f"1:{TOKEN_KEY}zz"},
    "keys that are too short": {"PACELINE_TOKEN_KEYS": f"1:{TOKEN_KEY[:40]}"},
    "keys twice": {"PACELINE_TOKEN_KEYS": f"1:{TOKEN_KEY},1:{TOKEN_KEY}"},
    "keys of a file that is none": {"PACELINE_KEYS_FILE": "{folder}/garbage"},
    "price keys in halves": {"PACELINE_PRICE_KEYS": f"google:{PRICE_KEY}"},
    "price keys that do not fit": {"PACELINE_PRICE_KEYS": f"google:{PRICE_KEY}x:{INTEGRITY_KEY}"},
    "a port that is none": {"PACELINE_REDIS_URL": f"redis://user:{PASSWORD}@127.0.0.1:port/0"},
    "a scheme that is none": {"PACELINE_REDIS_URL": f"http://:{PASSWORD}@127.0.0.1:6379/0"},
    "an option that is none": {
        "PACELINE_LEDGER_URL": f"redis://:{LEDGER_PASSWORD}@127.0.0.1:1/0?what={PASSWORD}"
    },
    "a database that is none": {"PACELINE_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/{PASSWORD}"},
    "nobody there": {
        "PACELINE_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/0",
        "PACELINE_LEDGER_URL": f"redis://:{LEDGER_PASSWORD}@127.0.0.1:1/0",
    },
    "a host that is none": {"PACELINE_REDIS_URL": f"rediss://:{PASSWORD}@nowhere.invalid:1/0"},
    "a url in a file that is garbage": {"PACELINE_REDIS_URL_FILE": "{folder}/garbage"},
    "a configuration that is garbage": {"PACELINE_CONFIG": "{folder}/garbage"},
    "a configuration of the wrong kind": {"PACELINE_CONFIG": "{folder}/wrong.yaml"},
    "TLS of files that are garbage": {"PACELINE_CONFIG": "{folder}/tls.yaml"},
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("arguments", [["check"], ["budget", "show", "shop"]], ids=" ".join)
def test_nothing_that_is_said_of_broken_settings_holds_a_secret(
    what: str,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a command says of settings that hold a secret and cannot be used names the place and never the secret."""
    garbage = "\n".join(SECRETS.values())
    (tmp_path / "garbage").write_text(garbage)
    (tmp_path / "wrong.yaml").write_text(
        yaml.safe_dump({"stores": {"redis_url": [PASSWORD]}, "workers": PASSWORD})
    )
    tls = {"cert_file": str(tmp_path / "garbage"), "key_file": str(tmp_path / "garbage")}
    (tmp_path / "tls.yaml").write_text(
        yaml.safe_dump({each: {"tls": tls} for each in ("exchange", "public", "ops")})
    )
    settings = {"PACELINE_CAMPAIGNS": str(BOOK), "PACELINE_DATA_DIR": str(tmp_path / "data")}
    settings |= {f"PACELINE_{port}_PORT": "0" for port in ("EXCHANGE", "PUBLIC", "OPS")}
    if "LEDGER" not in str(BROKEN[what]):
        settings["PACELINE_LEDGER_URL"] = "redis://127.0.0.1:1"
    for name, value in (settings | BROKEN[what]).items():
        monkeypatch.setenv(name, value.replace("{folder}", str(tmp_path)))
    status = main(arguments)
    told = capsys.readouterr()
    assert status == 1, told
    holds_none(told.out + told.err + caplog.text, what)
