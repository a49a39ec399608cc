"""What TLS costs on the exchange port: CPU per request on open connections, and per new connection, beside plain.

Place: run by hand: `python -m benchmarks.micro.tls [--connections 1 16 64] [--seconds S]`.
Shapes: a closed loop of connections with one request in flight each; then connections that ask once each. The server is
    benchmarks.peers.lean, once plain and once with a certificate of P-256, both up at once and asked in turn.
Units: µs of CPU of the server's thread, from the kernel's accounting (Linux alone); ratios TLS : plain.
"""

import argparse
import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks.micro.http_floor import Client, cpu_ns, request

ROUNDS = 3
AT_ONCE = 8


class Server(NamedTuple):
    """One that runs, and how to speak to it."""

    port: int
    pid: int
    trust: ssl.SSLContext | None


def certificate(folder: Path) -> list[str]:
    """The files of a certificate for localhost and of its key."""
    files = [str(folder / "server.pem"), str(folder / "server.key")]
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"),
        *("-out", files[0], "-keyout", files[1]),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return files


async def held(server: Server, payload: bytes, connections: int, seconds: float) -> float:
    """µs of CPU per request on connections that stay open."""
    loop, name = asyncio.get_running_loop(), "localhost" if server.trust else None
    clients: list[Client] = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: Client(payload), "127.0.0.1", server.port, ssl=server.trust, server_hostname=name
        )
        clients.append(client)
    await asyncio.sleep(0.3)
    answers, before_ns = sum(client.answers for client in clients), cpu_ns(server.pid)
    await asyncio.sleep(seconds)
    done = sum(client.answers for client in clients) - answers
    figure = (cpu_ns(server.pid) - before_ns) / done / 1e3
    for client in clients:
        client.transport.abort()
    return figure


async def fresh(server: Server, payload: bytes, seconds: float) -> float:
    """µs of CPU per connection that asks once and hangs up."""
    end_s, done, before_ns = time.monotonic() + seconds, 0, cpu_ns(server.pid)
    name = "localhost" if server.trust else None

    async def come() -> None:
        nonlocal done
        while time.monotonic() < end_s:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=server.trust, server_hostname=name
            )
            writer.write(payload)
            await reader.readuntil(b"\r\n\r\n")
            done += 1
            writer.transport.abort()

    await asyncio.gather(*(come() for _ in range(AT_ONCE)))
    return (cpu_ns(server.pid) - before_ns) / done / 1e3


async def _start(files: list[str]) -> tuple[asyncio.subprocess.Process, Server]:
    command = (sys.executable, "-m", "benchmarks.peers.lean", *files)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    told = json.loads(await process.stdout.readline())
    trust = ssl.create_default_context(cafile=files[0]) if files else None
    return process, Server(told["port"], told["pid"], trust)


async def _run(arguments: argparse.Namespace) -> None:
    payload = request(compressed=False)
    with tempfile.TemporaryDirectory() as folder:
        started = [await _start([]), await _start(certificate(Path(folder)))]
        plain, secure = (server for _, server in started)
        try:
            for connections in arguments.connections:
                pairs = [
                    [
                        await held(server, payload, connections, arguments.seconds)
                        for server in (plain, secure)
                    ]
                    for _ in range(ROUNDS)
                ]
                _show(f"{connections:>3} open connections, per request", pairs)
            pairs = [
                [await fresh(server, payload, arguments.seconds) for server in (plain, secure)]
                for _ in range(ROUNDS)
            ]
            _show("new connections, each with one request", pairs)
        finally:
            for process, _ in started:
                process.terminate()
                await process.wait()


def _show(what: str, pairs: list[list[float]]) -> None:
    plain, secure = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratio = statistics.median(secure / plain for plain, secure in pairs)
    print(f"{what:<40} {plain:7.1f} µs plain, {secure:7.1f} µs TLS, ratio {ratio:.2f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=1.0, help="per line, server and round")
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
