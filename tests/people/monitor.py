"""Every command that a Redis server carries out, whoever sent it: a hot connection, redis.asyncio, a script.

Shapes: a `Command` is a name in upper case and its arguments as bytes. What scripts do is seen call by call.
Source: MONITOR in the documentation of Redis and Valkey: one line per command, arguments quoted and escaped.
"""

from __future__ import annotations

import ast
import asyncio
import re
import secrets
from typing import Final, NamedTuple

from redis.asyncio import Redis

WRITES: Final = frozenset(
    b"SET SETEX PSETEX SETNX GETSET GETDEL GETEX APPEND SETRANGE INCR INCRBY DECR DECRBY HSET HSETNX HMSET HDEL "
    b"HINCRBY HEXPIRE EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST PFADD PFMERGE SADD SREM ZADD ZREM ZINCRBY "
    b"ZREMRANGEBYSCORE LPUSH RPUSH LPOP RPOP LREM LTRIM XADD XDEL XTRIM RENAME COPY RESTORE DEL UNLINK".split()
)
TAKES_AWAY: Final = frozenset(b"DEL UNLINK HDEL SREM ZREM LREM GETDEL XDEL".split())
_LINE: Final = re.compile(rb"\+[\d.]+ \[\d+ [^\]]*\] (.*)\r\n\Z", re.S)
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.S)


class Command(NamedTuple):
    """One command."""

    name: bytes
    arguments: tuple[bytes, ...]

    @property
    def adds(self) -> bool:
        """Whether it can put something there that was not."""
        return self.name in WRITES and self.name not in TAKES_AWAY

    def names(self, texts: tuple[bytes, ...]) -> bool:
        """Whether one of these texts stands in an argument."""
        return any(text in argument for argument in self.arguments for text in texts)


class Monitor:
    """Sees a server's commands from `open` on."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        """Begin to look."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        self._writer.write(b"*1\r\n$7\r\nMONITOR\r\n")
        assert await self._reader.readline() == b"+OK\r\n"
        self._client = Redis(port=self._port)

    async def seen(self) -> list[Command]:
        """The commands since the last look, all of them."""
        token, found = secrets.token_hex(16).encode(), list[Command]()
        await self._client.echo(token.decode())
        while True:
            line = _LINE.fullmatch(await self._reader.readline())
            assert line is not None
            name, *arguments = [
                ast.literal_eval("b" + text.decode("latin-1")) for text in _QUOTED.findall(line[1])
            ]
            if arguments == [token]:
                return found
            found.append(Command(name.upper(), tuple(arguments)))

    async def close(self) -> None:
        """Look no longer."""
        self._writer.close()
        await self._client.aclose()
