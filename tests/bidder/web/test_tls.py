"""TLS of a port: what it agrees to, who is let in, what is wrong with files, and how they change; on uvloop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate

from bidder.metrics import Cell, Tally
from bidder.settings import Tls
from bidder.web import listener as module
from bidder.web.listener import Listener
from bidder.web.sockets import shared_socket
from bidder.web.tls import PortTls, TlsError, server_context
from tests.certificates import Authority, Files
from tests.servers import eventually

FAILED = "paceline_tls_handshakes_failed_total"


class Echo(asyncio.Protocol):
    """Says back what it hears."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here, after its handshake."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._transport.write(data)  # type: ignore[attr-defined]  # sockets' transports have it


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One of the test's own."""
    return Authority(tmp_path / "certificates")


def of(files: Files, clients: Path | str = "") -> Tls:
    """Settings of these files."""
    return Tls(cert_file=str(files.certificate), key_file=str(files.key), client_ca_file=str(clients))


def _ends(files: Files) -> datetime:
    return load_pem_x509_certificate(files.certificate.read_bytes()).not_valid_after_utc


def trusting(authority: Authority, own: Files | None = None) -> ssl.SSLContext:
    """A client's."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if own is not None:
        context.load_cert_chain(*own)
    return context


class Served:
    """A listener with TLS, and what it counts."""

    def __init__(self, tls: Tls) -> None:
        self.tally = Tally()
        self.tls = PortTls(tls, "exchange", self.tally)
        self.listener = Listener(shared_socket("127.0.0.1", 0), Echo, 64, self.tls)

    def value(self, name: str, *labels: str) -> int:
        """What the port counted."""
        return dict(self.tally.samples()).get(Cell(name, ("exchange", *labels)), 0)

    async def ask(self, context: ssl.SSLContext) -> tuple[bytes, ssl.SSLObject]:
        """An echo, and what the client agreed to."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port, ssl=context)
        try:
            writer.write(b"hello")
            return await reader.read(5), writer.get_extra_info("ssl_object")
        finally:
            writer.close()


def serve(tls: Tls, story: Callable[[Served], Coroutine[None, None, None]]) -> Served:
    """Run a story with a listener."""

    async def told() -> Served:
        served = Served(tls)
        try:
            await story(served)
        finally:
            served.listener.close()
            await served.listener.opened()
        return served

    return uvloop.run(told())


def test_what_is_agreed_to(authority: Authority) -> None:
    """TLS 1.3, and 1.2 with forward secrecy; http/1.1 by ALPN. The certificate's end is told."""
    files = authority.sign("server")

    async def story(served: Served) -> None:
        context = trusting(authority)
        context.set_alpn_protocols(["h2", "http/1.1"])
        said, agreed = await served.ask(context)
        assert (said, agreed.version(), agreed.selected_alpn_protocol()) == (b"hello", "TLSv1.3", "http/1.1")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        said, agreed = await served.ask(context)
        cipher = agreed.cipher()
        assert cipher is not None
        assert said == b"hello"
        assert cipher[0].startswith("ECDHE-")

    served = serve(of(files), story)
    ends = _ends(files).timestamp()
    assert served.value("paceline_tls_expiry_timestamp_seconds") == int(ends)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_refused_and_counted(authority: Authority) -> None:
    """TLS 1.1 gets no connection, nor does plain HTTP; the port goes on."""

    async def story(served: Served) -> None:
        old = trusting(authority)
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await served.ask(old)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in await heard(reader)
        writer.close()
        await eventually(lambda: served.value(FAILED, "failed") == 2)
        assert (await served.ask(trusting(authority)))[0] == b"hello"

    serve(of(authority.sign("server")), story)


async def _answer(served: Served, context: ssl.SSLContext) -> bytes:
    """Of TLS 1.3 a client hears when it reads that it was not let in."""
    try:
        return (await served.ask(context))[0]
    except (ssl.SSLError, ConnectionError):
        return b""


async def heard(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the port closes; nothing where it resets."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


def test_clients_must_be_known(authority: Authority, tmp_path: Path) -> None:
    """With an authority for clients, those of another one and those without a certificate get no answer."""
    stranger = Authority(tmp_path / "strangers").sign("stranger")

    async def story(served: Served) -> None:
        assert (await served.ask(trusting(authority, authority.sign("client"))))[0] == b"hello"
        for own in (None, stranger):
            assert await _answer(served, trusting(authority, own)) == b""
        await eventually(lambda: served.value(FAILED, "failed") == 2)

    serve(of(authority.sign("server"), authority.file), story)


def test_slow_handshakes_are_cut(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that connects and says nothing is closed and counted."""
    monkeypatch.setattr(module, "HANDSHAKE_S", 0.05)

    async def story(served: Served) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.listener.port)
        assert await heard(reader) == b""
        writer.close()
        await eventually(lambda: served.value(FAILED, "slow") == 1)

    serve(of(authority.sign("server")), story)


def test_new_files_serve_new_connections_and_bad_ones_change_nothing(authority: Authority) -> None:
    """After a reload the next client sees the new certificate, who is connected notices nothing; files that cannot be
    used raise an alarm and the last good ones stay."""
    files = authority.sign("server", days=1)

    async def story(served: Served) -> None:
        context = trusting(authority)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.listener.port, ssl=context)
        first = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        authority.sign("server", days=5)
        served.tls.reload()
        second = (await served.ask(context))[1].getpeercert()
        assert second is not None
        assert second["serialNumber"] != first
        ends_s = served.value("paceline_tls_expiry_timestamp_seconds")
        files.key.write_text("no key")
        served.tls.reload()
        assert served.value("paceline_tls_reload_failed") == 1
        assert served.value("paceline_tls_expiry_timestamp_seconds") == ends_s
        assert (await served.ask(context))[0] == b"hello"
        authority.sign("server")
        served.tls.reload()
        assert served.value("paceline_tls_reload_failed") == 0
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        writer.close()

    serve(of(files), story)


def test_a_file_that_is_written_while_it_is_read_ends_nothing(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is cut short the moment after it was read: what was read is shown, the expiry is of the same
    look, nothing is raised. The next look finds it useless, and the last good ones stay."""
    files = authority.sign("server", days=1)
    tally = Tally()
    tls = PortTls(of(files), "exchange", tally)

    def value(name: str) -> int:
        return dict(tally.samples())[Cell(name, ("exchange",))]

    load = ssl.SSLContext.load_cert_chain

    def written(context: ssl.SSLContext, *arguments: Any, **more: Any) -> None:
        load(context, *arguments, **more)
        files.certificate.write_bytes(files.certificate.read_bytes()[:100])

    authority.sign("server", days=5)
    ends, before = _ends(files), tls.context
    with monkeypatch.context() as patched:
        patched.setattr(ssl.SSLContext, "load_cert_chain", written)
        tls.reload()
    assert tls.context is not before
    assert value("paceline_tls_expiry_timestamp_seconds") == int(ends.timestamp())
    assert value("paceline_tls_reload_failed") == 0
    shown = tls.context
    tls.reload()
    assert value("paceline_tls_reload_failed") == 1
    assert tls.context is shown


def test_one_file_may_hold_both(authority: Authority) -> None:
    """The key may stand in the certificate's file."""
    files = authority.sign("server")
    files.certificate.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    assert server_context(Tls(cert_file=str(files.certificate)), "ops") is not None
    assert server_context(Tls(), "ops") is None


def _wrong(authority: Authority, folder: Path) -> Iterator[tuple[Tls, str, str]]:
    good, other = authority.sign("server"), authority.sign("other")
    junk, absent = folder / "junk.pem", folder / "absent.pem"
    junk.write_text("junk")
    locked = folder / "locked.key"
    secret = serialization.BestAvailableEncryption(b"secret")
    key = ec.generate_private_key(ec.SECP256R1())
    pkcs8 = serialization.PrivateFormat.PKCS8
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, secret))
    yield (
        Tls(key_file=str(good.key)),
        "ops",
        "the ops port has no `tls.cert_file`: its other TLS files are of no use",
    )
    yield (
        of(good, authority.file),
        "public",
        "the public port cannot have `tls.client_ca_file`: browsers have no",
    )
    yield Tls(cert_file=str(absent)), "ops", f"the ops port's certificate {absent}: No such file or directory"
    yield Tls(cert_file=str(junk)), "ops", f"the ops port's certificate {junk}: "
    yield (
        of(Files(good.certificate, other.key)),
        "ops",
        f"the ops port's key {other.key}: it is not the certificate's",
    )
    yield (
        of(Files(good.certificate, junk)),
        "ops",
        f"the ops port's key {junk}: it is no PEM file of its kind",
    )
    yield (
        of(Files(good.certificate, absent)),
        "ops",
        f"the ops port's key {absent}: No such file or directory",
    )
    yield of(Files(good.certificate, locked)), "ops", f"the ops port's key {locked}: it is encrypted"
    yield (
        of(good, junk),
        "exchange",
        f"the exchange port's client authorities {junk}: it is no PEM file of its kind",
    )
    yield (
        of(good, absent),
        "exchange",
        f"the exchange port's client authorities {absent}: No such file or directory",
    )


def test_what_is_wrong_is_one_line_that_names_the_file(authority: Authority, tmp_path: Path) -> None:
    """Each way in which files can be useless."""
    for tls, port, words in _wrong(authority, tmp_path):
        with pytest.raises(TlsError) as told:
            server_context(tls, port)
        assert str(told.value).startswith(words), told.value
        assert "\n" not in str(told.value)


def test_a_certificate_that_ended_is_told(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    """It is shown all the same, since some clients do not look; log and metric say so."""
    files = authority.sign("server", days=-1)
    tally = Tally()
    PortTls(of(files), "public", tally)
    assert "the certificate of the public port ended on" in caplog.text
    ends_s = dict(tally.samples())[Cell("paceline_tls_expiry_timestamp_seconds", ("public",))]
    assert ends_s < datetime.now(UTC).timestamp()
