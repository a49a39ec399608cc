"""TLS of a port: its context, made of files; kept when they are good, told when they are not.

Place: workers make those of the exchange and the public port, the supervisor that of the operators' port.
Shapes: TLS 1.2 or later, forward secrecy, AES-GCM or ChaCha20; ALPN http/1.1. With `client_ca_file` a client shows a
    certificate that one of its authorities signed, or is not let in.
Rule: files are read anew on SIGHUP and when they change; connections that are open stay as they are. Where the new
    files cannot be used, the last good ones stay, and a metric says so.
    A file that is being written may be good at one look and bad at the next: what a port shows, and what it says of it,
    comes of one look at its certificate.
Raises: TlsError, one line for an operator.
"""

import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bidder.config import Config
from bidder.metrics import Metric, Tally
from bidder.settings import Tls

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all of this kind."""
PROTOCOLS: Final = ("http/1.1",)

METRICS: Final = (
    Metric(
        "paceline_tls_expiry_timestamp_seconds",
        "gauge",
        "When the first certificate of the chain that a port shows ends",
        ("port",),
        merge="min",
    ),
    Metric(
        "paceline_tls_reload_failed",
        "gauge",
        "1 while a port's TLS files are worse than what it shows: alarm",
        ("port",),
        merge="max",
    ),
    Metric(
        "paceline_tls_handshakes_failed_total",
        "counter",
        "Connections that ended before TLS was agreed on: slow; failed, as without a certificate; busy: too many",
        ("port", "reason"),
    ),
)
HANDSHAKE_S: Final = 5.0
"""From the acceptance of a connection to the end of its handshake."""
SHUTDOWN_S: Final = 2.0
"""A client that does not take leave in so long is cut."""
MAX_HANDSHAKES: Final = 1_024
"""At once, per port and worker: they are counted in no other limit yet."""
_log = logging.getLogger(__name__)


class TlsError(Exception):
    """A port's TLS files cannot be used; `str()` says which and why."""


class PortTls:
    """The TLS of one port, or none."""

    def __init__(self, tls: Tls, port: str, tally: Tally, max_handshakes: int = MAX_HANDSHAKES) -> None:
        """Reads the files: raises TlsError. `port` is its name: exchange, public or ops."""
        self.max_handshakes = max_handshakes
        """Under way at once."""
        self._tls, self._port, self._tally = tls, port, tally
        self.context: ssl.SSLContext | None = None
        """For new connections; None: they are plain."""
        self._show(server_context(tls, port))

    def failed(self, reason: str) -> None:
        """Count a handshake that came to nothing."""
        self._tally.count("paceline_tls_handshakes_failed_total", self._port, reason)

    def reload(self) -> None:
        """Read the files anew; those that cannot be used change nothing."""
        if self.context is None:
            return
        try:
            self._show(server_context(self._tls, self._port))
        except TlsError as error:
            _log.error("TLS files are not reloaded, the last good ones stay: %s", error)
            self._tally.set("paceline_tls_reload_failed", self._port, value=1)

    def _show(self, read: "tuple[ssl.SSLContext, datetime] | None") -> None:
        if read is None:
            return
        self.context, ends = read
        self._tally.set("paceline_tls_reload_failed", self._port, value=0)
        self._tally.set("paceline_tls_expiry_timestamp_seconds", self._port, value=int(ends.timestamp()))
        if ends <= datetime.now(UTC):
            _log.error("the certificate of the %s port ended on %s", self._port, ends.date())


def tls_files(config: Config) -> tuple[str, ...]:
    """All files of all ports, also those without a name."""
    ports = (config.exchange, config.public, config.ops)
    return tuple(
        file for port in ports for file in (port.tls.cert_file, port.tls.key_file, port.tls.client_ca_file)
    )


def server_context(tls: Tls, port: str) -> tuple[ssl.SSLContext, datetime] | None:
    """What a port speaks, and when the first certificate of its chain ends, or ended; None: plain. Raises TlsError."""
    if not tls.cert_file:
        if tls.key_file or tls.client_ca_file:
            raise TlsError(f"the {port} port has no `tls.cert_file`: its other TLS files are of no use")
        return None
    if tls.client_ca_file and port == "public":
        raise TlsError("the public port cannot have `tls.client_ca_file`: browsers have no certificates")
    ends = _expiry(tls, port)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(list(PROTOCOLS))
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    key = tls.key_file or tls.cert_file
    try:
        context.load_cert_chain(tls.cert_file, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise TlsError(f"the {port} port's key {key}: {_reason(error)}") from None
    if tls.client_ca_file:
        _demand(context, tls.client_ca_file, port)
    return context, ends


def _expiry(tls: Tls, port: str) -> datetime:
    from cryptography.x509 import (  # costs 30 ms that a plain service need not spend
        InvalidVersion,
        load_pem_x509_certificates,
    )

    path = Path(tls.cert_file)
    try:
        chain = load_pem_x509_certificates(path.read_bytes())
        return min(certificate.not_valid_after_utc for certificate in chain)
    except (OSError, ValueError, InvalidVersion) as error:
        raise TlsError(f"the {port} port's certificate {path}: {_reason(error)}") from None


def _demand(context: ssl.SSLContext, path: str, port: str) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        raise TlsError(f"the {port} port's client authorities {path}: {_reason(error)}") from None


def _no_password() -> str:
    raise ValueError("it is encrypted")  # else OpenSSL would ask at the terminal


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return {"KEY_VALUES_MISMATCH": "it is not the certificate's"}.get(
            error.reason or "", "it is no PEM file of its kind"
        )
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
