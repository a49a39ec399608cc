"""A service that speaks TLS on all its ports and to its stores, as processes."""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from functools import partial
from pathlib import Path

import msgspec
import pytest

from bidder.config import Config
from bidder.supervisor.service import StartError, Supervisor
from tests.bidder.supervisor.serving import Serving, until
from tests.certificates import Authority, Files
from tests.service.client import bid_request, connected, post
from tests.service.people import visitor_request
from tests.service.service import started
from tests.tls_server import tls_server

pytestmark = pytest.mark.process
EXPIRY = "paceline_tls_expiry_timestamp_seconds"
READY = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Secure(Serving):
    """A service whose operators' port demands a certificate."""

    trust: ssl.SSLContext

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask the operators' port."""
        url = f"https://localhost:{self.ports['ops']}{path}"
        with urllib.request.urlopen(url, timeout=30, context=self.trust) as answer:
            return answer.status, answer.read()


async def ask(port: int, trust: ssl.SSLContext, data: bytes) -> tuple[bytes, str]:
    """An answer, and the number of the certificate that was shown; nothing where nobody answers."""
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trust, server_hostname="localhost"
        )
        writer.write(data)
        answer = await reader.read()
    except (ssl.SSLError, ConnectionError):
        return b"", ""
    shown = writer.get_extra_info("ssl_object").getpeercert()
    writer.close()
    return answer, str(shown["serialNumber"])


def ends_after(serving: Serving, port: str, moment_s: float) -> bool:
    """Whether a port shows a certificate that ends later."""
    return serving.metric(EXPIRY, port=port) > moment_s


def trusting(authority: Authority, own: Files | None = None) -> ssl.SSLContext:
    """A client's context."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if own is not None:
        context.load_cert_chain(*own)
    return context


async def test_tls_on_every_port(tmp_path: Path) -> None:
    """Exchanges and operators are known by their certificates, browsers need none; a certificate that is replaced on
    disk is shown to the next client, without a signal, on each port; metrics tell when it ends."""
    authority = Authority(tmp_path / "certificates")
    server, client = authority.sign("server", days=1), authority.sign("client")
    files = f'cert_file = "{server.certificate}"\nkey_file = "{server.key}"\n'
    known = f'client_ca_file = "{authority.file}"\n'
    settings = tmp_path / "settings.toml"
    settings.write_text(f"[exchange.tls]\n{files}{known}[public.tls]\n{files}[ops.tls]\n{files}{known}")
    serving = Secure(tmp_path / "data", standins=False, config=str(settings), PACELINE_WORKERS="1")
    try:
        serving.trust = trusting(authority, client)
        await asyncio.to_thread(serving.until_ready, 1)
        stranger = trusting(authority)
        first = {}
        for name, data in (("exchange", READY), ("public", HEALTH), ("ops", READY)):
            answer, first[name] = await ask(serving.ports[name], serving.trust, data)
            assert answer.startswith(b"HTTP/1.1 200 OK"), name
            let_in = (await ask(serving.ports[name], stranger, data))[0].startswith(b"HTTP/1.1 200 OK")
            assert let_in == (name == "public")
        ends_s = serving.metric(EXPIRY, port="ops")
        assert serving.metric("paceline_tls_handshakes_failed_total", port="exchange") >= 1
        authority.sign("server", days=3)
        for name in first:
            renewed = partial(ends_after, serving, name, ends_s + 86_400)
            await asyncio.to_thread(until, renewed, f"the new certificate of the {name} port")
            assert (await ask(serving.ports[name], serving.trust, HEALTH))[1] != first[name]
    finally:
        serving.process.terminate()
        assert serving.wait() == 0


async def test_people_behind_a_certificate_that_is_not_trusted_cost_no_bid(tmp_path: Path) -> None:
    """Bids are contextual, the log says why; the ledger is reached over TLS, and its money is spent."""
    with tls_server(tmp_path / "tls") as server:
        wrong = server.url_of(Authority(tmp_path / "others").file, with_client=True)
        with started(tmp_path / "data", redis_url=wrong, ledger_url=server.url) as service:
            async with connected(service.exchange) as client:
                for body in (bid_request(), visitor_request()):
                    assert (await client.ask(post(body))).status == 200
            assert "CERTIFICATE_VERIFY_FAILED" in service.log.read_text()
            assert service.scrape().total("paceline_bids_total") == 2


@pytest.mark.parametrize("port", ["exchange", "public", "ops"])
async def test_files_that_cannot_be_used_end_the_start_with_one_line(tmp_path: Path, port: str) -> None:
    """Before any process is started, whichever port's they are; so do those of a store."""
    tls = {"tls": {"cert_file": f"{tmp_path}/absent.pem"}, "port": 0}
    ports = {name: {"port": 0} for name in ("exchange", "public", "ops")}
    config = msgspec.convert({"data_dir": str(tmp_path / "data"), **ports, port: tls}, Config)
    with pytest.raises(
        StartError, match=f"^the {port} port's certificate {tmp_path}/absent.pem: No such file"
    ):
        await Supervisor(config, {}).run()
    url = f"rediss://127.0.0.1/?ssl_ca_certs={tmp_path}/ca.pem"
    stores = {"stores": {"redis_url": url}, "ledger": {"redis_url": url}}
    config = msgspec.convert({"data_dir": str(tmp_path / "data"), **ports, **stores}, Config)
    with pytest.raises(StartError, match=r"ca\.pem is not there"):
        await Supervisor(config, {}).run()
