"""Where a store lives: the URL forms of Redis clients, taken apart.

Place: stores/connection and stores/cluster connect to an Address.
Shapes: redis://[user[:password]@]host[:port][/db], rediss:// (TLS), unix://[user[:password]@]/path[?db=N];
    TLS options as redis-py names them: ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs=none.
Raises: AddressError.
Never: a password in `repr` or a log line; in an error any part of a URL that cannot be read: it may be the password's.
"""

import os
import ssl
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import msgspec
from msgspec import Struct

from bidder.stores.errors import AddressError

DEFAULT_PORT = 6379
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
OPTIONS = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
_WRONG = "not a store's URL: "


class Address(Struct, frozen=True, kw_only=True):
    """One server and how to be let in."""

    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    """A unix socket; goes before host and port."""
    tls: bool = False
    user: str = ""
    password: str = ""
    db: int = 0
    options: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Address({self})"

    def __str__(self) -> str:
        """The place alone, fit for a log line."""
        return self.path or f"{self.host}:{self.port}"

    def at(self, host: str, port: int) -> "Address":
        """Another node of the same cluster: same credentials and TLS."""
        return msgspec.structs.replace(self, host=host, port=port, path="")

    @property
    def tls_hint(self) -> str:
        """What may be the matter where a server with TLS hangs up at once."""
        wanting = self.tls and "ssl_certfile" not in dict(self.options)
        return (
            "; perhaps it demands a certificate of its clients: ssl_certfile, ssl_keyfile" if wanting else ""
        )

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context of a rediss:// URL, None for the others; raises AddressError."""
        if not self.tls:
            return None
        options = dict(self.options)
        for name in _FILES:
            if name in options and not os.access(options[name], os.R_OK):
                raise AddressError(f"{self}: {name} {options[name]} is not there, or cannot be read")
        try:
            context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
            if "ssl_certfile" in options:
                context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
        except OSError as error:
            raise AddressError(f"{self}: TLS files cannot be used: {error}") from None
        if options.get("ssl_cert_reqs") == "none":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse(url: str) -> Address:
    """The address that a URL names; raises AddressError, which repeats nothing of the URL."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise AddressError(
            f"{_WRONG}its host or port cannot be read (in a password / is %2F, @ %40, : %3A, # %23 and % %25)"
        ) from None
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if not query.keys() <= OPTIONS:
        raise AddressError(f"{_WRONG}its options are {', '.join(sorted(OPTIONS))}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "unix" and parts.path:
        return Address(path=unquote(parts.path), user=user, password=password, db=_db(query.get("db", "")))
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise AddressError(f"{_WRONG}it begins with redis://, rediss:// or unix:// and a place")
    return Address(
        host=parts.hostname,
        port=port if port is not None else DEFAULT_PORT,
        tls=parts.scheme == "rediss",
        user=user,
        password=password,
        db=_db(_db_text(parts, query)),
        options=tuple(sorted((k, v) for k, v in query.items() if k.startswith("ssl_"))),
    )


def parse_all(urls: str) -> tuple[Address, ...]:
    """The addresses of a comma-separated list; raises AddressError for an empty one."""
    found = tuple(parse(url) for url in urls.split(",") if url.strip())
    if not found:
        raise AddressError("no store's URL given")
    return found


def _db_text(parts: SplitResult, query: dict[str, str]) -> str:
    return parts.path.strip("/") or query.get("db", "")


def _db(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise AddressError(f"{_WRONG}its database is a number")
    return int(text or 0)
