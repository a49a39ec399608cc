"""The ledger's scripts on a server: loaded once, called by their hash, many in one pipeline.

Place: redis_store; each verb is one file in budget/lua, after prelude.lua.
Limits: CALLS_PER_PIPELINE calls per round trip. A call that was answered late may be repeated by the client's own
    retry or by the caller: every verb is idempotent.
Raises: LedgerDown where the server cannot be reached, does not answer in time, or refuses writes; ValueError where a
    script says that the call is our bug.
Never: a time-out around a call, nor its cancellation: redis.asyncio would leave the reply to the next caller.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from budget.store import LedgerDown

Client = Redis | RedisCluster
Call = tuple[str, Sequence[str], Sequence[str]]
"""A script's name, its keys, its arguments."""

CALLS_PER_PIPELINE: Final = 1_000
NAMES: Final = (
    "fund",
    "withdraw",
    "lease",
    "give_back",
    "poll",
    "settle",
    "release",
    "goodbye",
    "reclaim",
    "pause",
    "close_periods",
    "books",
)
_BUG = "PATH"
_UNABLE = (
    AskError,  # MovedError too: a slot is elsewhere
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
_NOT_NOW = (
    "OOM",
    "MISCONF",
    "READONLY",
    "NOREPLICAS",
    "BUSY",
    "LOADING",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "TRYAGAIN",
)
"""What a server says that is there and will not do it now."""


def source(name: str) -> str:
    """A script as the server runs it."""
    folder = files("budget").joinpath("lua")
    return folder.joinpath("prelude.lua").read_text() + folder.joinpath(f"{name}.lua").read_text()


SOURCES: Final = {name: source(name) for name in NAMES}
HASHES: Final = {
    name: sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in SOURCES.items()
}


class Scripts:
    """Runs scripts through a client; the client stays its owner's to close."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[tuple[Call, asyncio.Future[Any]]] = []
        self._flushes: set[asyncio.Task[None]] = set()

    async def run(self, name: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        """One call; those of one turn of the loop go as one pipeline, for a fifth of the cost of each alone."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if not self._waiting:
            flush = loop.create_task(self._flush())
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)
        self._waiting.append(((name, keys, args), answer))
        return await answer

    async def run_many(self, calls: Sequence[Call]) -> list[Any]:
        """Calls in order, each atomic by itself; their answers in the same order."""
        answers: list[Any] = []
        for start in range(0, len(calls), CALLS_PER_PIPELINE):
            answers += await self._pipeline(calls[start : start + CALLS_PER_PIPELINE])
        for answer in answers:
            if isinstance(answer, BaseException):
                with errors():
                    raise answer
        return answers

    async def _flush(self) -> None:
        """Send what waits, and give each its own answer or error."""
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), CALLS_PER_PIPELINE):
            chunk = waiting[start : start + CALLS_PER_PIPELINE]
            try:
                answers = await self._pipeline([call for call, _ in chunk])
            except Exception as error:
                answers = [error] * len(chunk)
            for (_, answer), given in zip(chunk, answers, strict=True):
                _give(answer, given)

    async def _pipeline(self, calls: Sequence[Call]) -> list[Any]:
        """Answers, or the errors that stand in their places; raises LedgerDown where there is nobody to ask."""
        with errors():
            answers = await self._execute(calls)
            missing = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if missing:
                for text in SOURCES.values():
                    await self._client.script_load(text)
                again = await self._execute([calls[i] for i in missing])
                for i, answer in zip(missing, again, strict=True):
                    answers[i] = answer
            return answers

    async def _execute(self, calls: Sequence[Call]) -> list[Any]:
        pipeline = cast("Any", self._client).pipeline(transaction=False)
        for name, keys, args in calls:
            pipeline.execute_command("EVALSHA", HASHES[name], len(keys), *keys, *args)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers


def _give(answer: "asyncio.Future[Any]", given: Any) -> None:
    if answer.done():  # who asked is gone
        return
    if not isinstance(given, Exception):
        answer.set_result(given)
        return
    try:
        with errors():
            raise given
    except Exception as error:
        answer.set_exception(error)


@contextmanager
def errors() -> Iterator[None]:
    """What redis-py raises, as what a Store raises."""
    try:
        yield
    except ResponseError as error:
        text = str(error)
        if text.startswith(_BUG):
            raise ValueError(text) from error
        if isinstance(error, _UNABLE) or text.startswith(_NOT_NOW):
            raise LedgerDown(text) from error
        raise
    except (TimeoutError, RedisError, OSError) as error:
        raise LedgerDown(str(error) or type(error).__name__) from error
