"""Actions of operators over HTTP: reload, restart, pause, resume.

Place: ops.py gives the operators' port these routes; the supervisor carries the actions out.
Paths: POST /admin/reload and /admin/restart without a body, or `{}`; POST /admin/pause and /admin/resume with
    {"advertiser": ID} and, of a part of its money alone, "campaign": ID or "line_item": ID. Answers are JSON: `action`,
    `target`, `result`, and `error` where it was not done.
Rule: each call needs a token in `Authorization: Bearer`, on loopback too, and leaves an audit line, done, failed or
    refused, before it is answered. So that nobody can fill a disk, callers that are told to wait leave none, and those
    without a good token no more than NAMELESS at once and NAMELESS_PER_S, with one line a minute that says how many
    others there were; all are counted. Lines are written in a thread of their own, in order.
Limits: MAX_BODY, and BODY_S for it to come; WRITTEN_S that an answer waits for its line.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Protocol

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from msgspec import Meta, Struct

from bidder import deeds
from bidder.metrics import Metric, Tally
from bidder.web.access import Access, Refusal
from bidder.web.roles import Holder, Role
from bidder.web.turns import Turns

MAX_BODY: Final = 4_096
BODY_S: Final = 5.0
WRITTEN_S: Final = 5.0
NAMELESS: Final = 30
NAMELESS_PER_S: Final = 1 / 60
SUMMARY_S: Final = 60.0
METRICS: Final = (
    Metric(
        "paceline_admin_actions_total",
        "counter",
        "Actions on the operators' port, logins too, by what came of them",
        ("action", "result"),
        bound="5 actions, 12 results",
    ),
)
NEEDS: Final = {
    "reload": Role.OPERATOR,
    "pause": Role.OPERATOR,
    "resume": Role.OPERATOR,
    "restart": Role.ADMIN,
}
"""What each action asks of a token."""
STATUS: Final = {
    "done": 200,
    "started": 202,
    "malformed": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "unknown": 404,
    "slow": 408,
    "busy": 409,
    "limited": 429,
    "failed": 503,
    "unreachable": 503,
    "unconfirmed": 504,
}
"""Results of actions and their HTTP statuses; `unconfirmed`: nobody knows whether it took place."""

_log = logging.getLogger(__name__)

Id = Annotated[str, Meta(pattern=r"^[^/\s|{}]{1,64}\Z")]


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose money: an advertiser's, or that of one of its campaigns or line items."""

    advertiser: Id
    campaign: Id | None = None
    line_item: Id | None = None

    def __str__(self) -> str:
        part = f"/campaign/{self.campaign}" if self.campaign else ""
        return f"{self.advertiser}{part}" + (f"/line/{self.line_item}" if self.line_item else "")


class Undone(Exception):
    """An action was not done: `result` is a key of STATUS, `str()` says why."""

    def __init__(self, result: str, why: str) -> None:
        super().__init__(why)
        self.result = result


class Actions(Protocol):
    """What carries them out; each raises Undone."""

    async def reload(self) -> None:
        """Have workers read campaigns and rates anew."""

    async def restart(self) -> None:
        """Begin to replace all workers, one after the other."""

    async def pause(self, target: Target, paused: bool) -> None:
        """Let no more money of this out, or let it out again."""


class Ended(NamedTuple):
    """What came of a call."""

    result: str
    error: str = ""


class Admin:
    """The actions of one port."""

    def __init__(self, access: Access, actions: Actions, tally: Tally, folder: Path) -> None:
        """`folder` is the data directory, for audit.log."""
        self._access, self._actions, self._tally, self._folder = access, actions, tally, folder
        self._writer = ThreadPoolExecutor(1, "audit")
        self._nameless = Turns(NAMELESS_PER_S, NAMELESS, 1)
        self._untold = 0
        self._summary: asyncio.TimerHandle | None = None
        for action in NEEDS:
            tally.slot(METRICS[0].name, action, "started" if action == "restart" else "done")

    def routes(self) -> list[web.RouteDef]:
        """The routes of all actions."""
        calls: dict[str, Callable[[Target], Awaitable[None]]] = {
            "pause": lambda target: self._actions.pause(target, True),
            "resume": lambda target: self._actions.pause(target, False),
        }
        plain = {"reload": self._actions.reload, "restart": self._actions.restart}
        return [
            *[web.post(f"/admin/{action}", self._plain(action, call)) for action, call in plain.items()],
            *[web.post(f"/admin/{action}", self._targeted(action, call)) for action, call in calls.items()],
        ]

    async def close(self, app: web.Application) -> None:
        """Write what is left to be told; nothing is told afterwards."""
        if self._summary is not None:
            self._summary.cancel()
            self._sum_up()
        await asyncio.wait([self._written(None)], timeout=WRITTEN_S)
        self._writer.shutdown(wait=False)

    async def tell(
        self, request: web.Request, holder: Holder | None, action: str, target: str, ended: Ended
    ) -> None:
        """Count a call, and leave its audit line; a disk that does not answer is not waited for."""
        self._tally.count(METRICS[0].name, action, ended.result)
        loop = asyncio.get_running_loop()
        if ended.result == "limited":
            return
        if holder is None and not self._nameless.take("", loop.time()):
            self._untold += 1
            if self._summary is None:
                self._summary = loop.call_later(SUMMARY_S, self._sum_up)
            return
        detail = f"from {self._access.network_of(request)}" + (f"; {ended.error}" if ended.error else "")
        deed = deeds.Deed(
            who=holder.name if holder else "unknown",
            role=holder.role.word if holder else "none",
            action=action,
            target=target,
            result=ended.result,
            way=deeds.OPS_PORT,
            detail=detail,
        )
        await asyncio.wait([self._written(deed)], timeout=WRITTEN_S)

    def _sum_up(self) -> None:
        """One line for all the calls that left none."""
        self._summary = None
        untold, self._untold = self._untold, 0
        self._written(
            deeds.Deed(
                who="unknown",
                role="none",
                action="calls",
                result="unauthenticated",
                way=deeds.OPS_PORT,
                detail=f"{untold} more without a good token",
            )
        )

    def _written(self, deed: deeds.Deed | None) -> "asyncio.Future[None]":
        """Done when this line, and all before it, are written."""
        return asyncio.get_running_loop().run_in_executor(self._writer, self._write, deed)

    def _write(self, deed: deeds.Deed | None) -> None:
        if deed is not None:
            deeds.tell(deed, self._folder)

    def _plain(self, action: str, call: Callable[[], Awaitable[None]]) -> Handler:
        async def carry_out(request: web.Request, named: list[str]) -> None:
            await _nothing(request)
            await call()

        return self._handler(action, carry_out)

    def _targeted(self, action: str, call: Callable[[Target], Awaitable[None]]) -> Handler:
        async def carry_out(request: web.Request, named: list[str]) -> None:
            target = await _target(request)
            named.append(str(target))
            await call(target)

        return self._handler(action, carry_out)

    def _handler(
        self, action: str, carry_out: Callable[[web.Request, list[str]], Awaitable[None]]
    ) -> Handler:
        """`carry_out` adds the target to the list that it is given, as soon as it knows it."""

        async def handler(request: web.Request) -> web.Response:
            holder, refused = await self._enter(request, action)
            if refused is not None:
                return refused
            named: list[str] = []
            ended = Ended("failed", "cut off")
            try:
                await carry_out(request, named)
                ended = Ended("started" if action == "restart" else "done")
            except Undone as error:
                ended = Ended(error.result, str(error))
            except Exception as error:
                _log.exception("an operator's action failed: %s", action)
                ended = Ended("failed", f"see the log: {type(error).__name__}")
            finally:
                await self.tell(request, holder, action, "".join(named), ended)
            return _answer(action, "".join(named), ended)

        return handler

    async def _enter(self, request: web.Request, action: str) -> tuple[Holder | None, web.Response | None]:
        """Who acts, or the answer to who may not."""
        role = NEEDS[action]
        found = self._access.actor(request, role)
        if isinstance(found, Holder):
            return found, None
        refusal = found.why
        why = {
            Refusal.UNAUTHENTICATED: "a token valid here is needed: Authorization: Bearer, from `paceline token`",
            Refusal.FORBIDDEN: f"this needs the role {role.word}",
            Refusal.LIMITED: "too many refused calls: wait",
        }[refusal]
        ended = Ended(refusal.name.lower(), why)
        await self.tell(request, found.holder, action, "", ended)
        return None, _answer(action, "", ended)


def _answer(action: str, target: str, ended: Ended) -> web.Response:
    told = {"action": action, "target": target, "result": ended.result, "error": ended.error}
    response = web.json_response(
        {name: text for name, text in told.items() if text}, status=STATUS[ended.result]
    )
    if response.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    elif response.status in (429, 503):
        response.headers["Retry-After"] = "10"
    elif response.status == 408:
        response.force_close()
    return response


async def read_body(request: web.Request) -> bytes:
    """What was posted, as it came: nothing is inflated. Raises Undone."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Undone("malformed", f"more than {MAX_BODY} bytes") from None
    except TimeoutError:
        raise Undone("slow", f"the body did not come within {BODY_S:.0f} s") from None
    except (ConnectionError, web.RequestPayloadError, HttpProcessingError):
        raise Undone("malformed", "the body cannot be read") from None


async def _nothing(request: web.Request) -> None:
    if (await read_body(request)).strip() not in (b"", b"{}"):
        raise Undone("malformed", "this action takes no body")


async def _target(request: web.Request) -> Target:
    try:
        target = msgspec.json.decode(await read_body(request), type=Target)
    except msgspec.DecodeError as error:
        shape = '{"advertiser": ID} and, of a part of its money, "campaign": ID or "line_item": ID'
        raise Undone("malformed", f"{error}; what is taken is {shape}") from None
    if target.campaign and target.line_item:
        raise Undone("malformed", "a campaign or a line item, not both")
    return target
