"""The ledger's scripts on a server: loaded once, called by their hash, many in one pipeline.

Place: redis_store; each verb is one file in budget/lua, after prelude.lua.
Limits: CALLS_PER_PIPELINE calls per round trip; TRIES round trips where scripts have to be loaded or slots have moved.
    A call that was answered late may be repeated by the client's own retry or by the caller: every verb is idempotent.
Rule: where replicas are waited for, a WAIT goes behind the calls of CONFIRMED on the connection that wrote, and between
    them one write of its own: WAIT speaks of what its connection wrote, and a repeated call writes nothing. Where that
    write is refused, WAIT speaks of nothing, whatever it says.
    While a slot is moved key by key, a server refuses scripts of keys that are not all there: then the ledger is down
    for that advertiser, until the move is over.
Raises: LedgerDown where the server cannot be reached, does not answer in time, or refuses writes; ValueError where a
    script says that the call is our bug.
Never: a time-out around a call, nor its cancellation: redis.asyncio would leave the reply to the next caller.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from budget.nodes import Client, Command, Nodes
from budget.store import LedgerDown, Unconfirmed, Waits

Call = tuple[str, Sequence[str], Sequence[str]]
"""A script's name, its keys, its arguments; or PLAIN, its one key, and a command."""

CALLS_PER_PIPELINE: Final = 1_000
TRIES: Final = 4
PLAIN: Final = ""
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
CONFIRMED: Final = frozenset({"fund", "withdraw", "lease", "settle", "release", "pause", PLAIN})
"""What may not be forgotten once it was answered. The others may: money that was given back or reclaimed, and is leased
again to nobody, lies idle a while longer; a worker is taken for alive a while shorter."""
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

    def __init__(self, client: Client, waits: Waits | None = None) -> None:
        self._nodes = Nodes(client)
        self._waits = waits or Waits()
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
        answers: list[Any] = [None] * len(calls)
        places = list(range(len(calls)))
        load = False
        for _ in range(TRIES):
            with errors():
                groups = await self._nodes.group([calls[place][1][0] for place in places])
            shares = [[places[i] for i in numbers] for _, numbers in groups]
            found = await asyncio.gather(
                *(
                    self._ask(node, [calls[place] for place in share], load)
                    for (node, _), share in zip(groups, shares, strict=True)
                )
            )
            for share, given in zip(shares, found, strict=True):
                for place, answer in zip(share, given, strict=True):
                    answers[place] = answer
            load = any(isinstance(answer, NoScriptError) for answer in answers)
            places = await self._again(answers, places)
            if not places:
                break
        return answers

    async def _again(self, answers: list[Any], places: list[int]) -> list[int]:
        """The places of calls that nobody has carried out, and could: of scripts not known, of slots that moved."""
        moved = {answers[place].slot_id: answers[place] for place in places if _has_moved(answers[place])}
        for error in moved.values():
            await self._nodes.moved(error)
        return [p for p in places if isinstance(answers[p], NoScriptError) or _has_moved(answers[p])]

    async def _ask(self, node: Any, calls: Sequence[Call], load: bool) -> list[Any]:
        """One node's share: scripts where it does not know some, the calls, and the question who has them."""
        commands: list[Command] = [("SCRIPT", "LOAD", text) for text in SOURCES.values()] if load else []
        before = len(commands)
        commands += map(_command, calls)
        confirmed = [call for call in calls if call[0] in CONFIRMED] if self._waits.replicas else []
        if confirmed:
            commands.append(("SET", _barrier(confirmed[-1][1][0]), ""))
            commands.append(("WAIT", self._waits.replicas, self._waits.ms))
        answers = await self._nodes.send(node, commands)
        given = answers[before : before + len(calls)]
        if confirmed and (unsure := self._doubt(*answers[-2:])):
            error = Unconfirmed(f"applied, and not safe yet: {unsure}")
            for place, call in enumerate(calls):
                if call[0] in CONFIRMED and not isinstance(given[place], Exception):
                    given[place] = error
        return given

    def _doubt(self, barrier: Any, replicas: Any) -> str:
        """Why the replicas may not have it, of the answers to the write and to WAIT; "": they have."""
        if isinstance(barrier, Exception):
            return f"the write that replicas are asked for was refused ({barrier})"
        if isinstance(replicas, int) and replicas >= self._waits.replicas:
            return ""
        told = f"{replicas} of them" if isinstance(replicas, int) else f"nobody knows how many ({replicas})"
        return f"{self._waits.replicas} replicas were to have it, and {told} said so"


def _has_moved(answer: Any) -> bool:
    return isinstance(answer, MovedError)


def _command(call: Call) -> Command:
    name, keys, args = call
    return args if name == PLAIN else ("EVALSHA", HASHES[name], len(keys), *keys, *args)


def _barrier(key: str) -> str:
    """A key of the same slot."""
    return f"{key[: key.index('}') + 1]}:b" if "}" in key else f"{{{key}}}:b"


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
    except LedgerDown:
        raise
    except ResponseError as error:
        text = str(error)
        if text.startswith(_BUG):
            raise ValueError(text) from error
        if isinstance(error, _UNABLE) or text.startswith(_NOT_NOW):
            raise LedgerDown(text) from error
        raise
    except (TimeoutError, RedisError, OSError) as error:
        raise LedgerDown(str(error) or type(error).__name__) from error
