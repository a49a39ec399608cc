"""Every site that a person meets, on one port of this machine, each at a host of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from tests.service.publisher_page import HOST, NEWS, Exchange, Reply
from tests.service.shop_site import FJELL, KRUS, Shop, picture


class Street(ThreadingHTTPServer):
    """The shops, the newspaper and the exchange."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exchange = Exchange()
        self.shops = {shop.host: shop for shop in (FJELL, KRUS)}
        self.faults: list[str] = []
        """What went wrong in a handler."""
        self.exchange.base = self.base(HOST)
        for shop in self.shops.values():
            shop.base = self.base(shop.host)

    def base(self, host: str) -> str:
        """The base URL of a host."""
        return f"http://{host}:{self.server_port}"

    @property
    def news(self) -> str:
        """The newspaper's front page."""
        return f"{self.base(NEWS)}/"

    def reply(self, host: str, path: str, query: dict[str, str], headers: Any) -> Reply:
        """What a site answers."""
        if path.startswith("/drawn/"):
            return Reply(picture(path.removeprefix("/drawn/").removesuffix(".svg")), 200, "image/svg+xml")
        if host == NEWS and path == "/":
            return self.exchange.news()
        if host == HOST and path == "/sync":
            return self.exchange.sync(query, headers.get("Cookie", ""))
        if host == HOST and path == "/auction":
            return self.exchange.auction(query, headers)
        shop: Shop | None = self.shops.get(host)
        page = shop.page(path, query, self.exchange.where()[1]) if shop is not None else None
        return Reply("nothing here", 404) if page is None else Reply(page)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes does not wait for its pictures."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        street, parts = cast(Street, self.server), urlsplit(self.path)
        try:
            host = self.headers["Host"].partition(":")[0]
            reply = street.reply(host, parts.path, dict(parse_qsl(parts.query)), self.headers)
        except Exception as fault:
            street.faults.append(f"{self.path}: {fault!r}")
            reply = Reply("fault", 500)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@contextmanager
def opened() -> Iterator[Street]:
    """The street, while it is there."""
    street = Street()
    thread = threading.Thread(target=street.serve_forever, daemon=True)
    thread.start()
    try:
        yield street
    finally:
        street.shutdown()
        street.server_close()
        thread.join()
