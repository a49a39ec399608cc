"""Actions of operators over HTTP: reload, restart, pause, resume.

Place: ops.py gives the operators' port these routes; the supervisor carries the actions out.
Paths: POST /admin/reload and /admin/restart without a body, or `{}`; POST /admin/pause and /admin/resume with
    {"advertiser": ID} and, of a part of its money alone, "campaign": ID or "line_item": ID. Answers are JSON: `action`,
    `target`, `result`, and `error` where it was not done.
Rule: each call needs a token in `Authorization: Bearer`, on loopback too, and leaves an audit line, done or refused. Of
    callers that are told to wait there is no line, so that none of them can fill a disk; they are counted.
Limits: MAX_BODY.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Protocol

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Meta, Struct

from bidder import deeds
from bidder.metrics import Metric, Tally
from bidder.web.access import Access, Refusal
from bidder.web.roles import Holder, Role

MAX_BODY: Final = 4_096
METRICS: Final = (
    Metric(
        "paceline_admin_actions_total",
        "counter",
        "Actions on the operators' port, logins too, by what came of them",
        ("action", "result"),
        bound="5 actions, 9 results",
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
    "busy": 409,
    "limited": 429,
    "unreachable": 503,
}
"""Results of actions and their HTTP statuses."""

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

    def tell(
        self, request: web.Request, holder: Holder | None, action: str, target: str, ended: Ended
    ) -> None:
        """Count a call, and leave its audit line."""
        self._tally.count(METRICS[0].name, action, ended.result)
        if ended.result == "limited":
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
        deeds.tell(deed, self._folder)

    def _plain(self, action: str, call: Callable[[], Awaitable[None]]) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            holder, refused = self._enter(request, action)
            if refused is not None:
                return refused
            try:
                await _nothing(request)
                await call()
                ended = Ended("started" if action == "restart" else "done")
            except Undone as error:
                ended = Ended(error.result, str(error))
            return self._answer(request, holder, action, "", ended)

        return handler

    def _targeted(self, action: str, call: Callable[[Target], Awaitable[None]]) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            holder, refused = self._enter(request, action)
            if refused is not None:
                return refused
            named = ""
            try:
                target = await _target(request)
                named = str(target)
                await call(target)
                ended = Ended("done")
            except Undone as error:
                ended = Ended(error.result, str(error))
            return self._answer(request, holder, action, named, ended)

        return handler

    def _enter(self, request: web.Request, action: str) -> tuple[Holder | None, web.Response | None]:
        """Who acts, or the answer to who may not."""
        role = NEEDS[action]
        found = self._access.actor(request, role)
        if isinstance(found, Holder):
            return found, None
        refusal = found.why
        why = {
            Refusal.UNAUTHENTICATED: "a token is needed: Authorization: Bearer, from `paceline token`",
            Refusal.FORBIDDEN: f"this needs the role {role.word}",
            Refusal.LIMITED: "too many wrong tokens: wait",
        }[refusal]
        ended = Ended(refusal.name.lower(), why)
        return None, self._answer(request, found.holder, action, "", ended)

    def _answer(
        self, request: web.Request, holder: Holder | None, action: str, target: str, ended: Ended
    ) -> web.Response:
        self.tell(request, holder, action, target, ended)
        told = {"action": action, "target": target, "result": ended.result, "error": ended.error}
        response = web.json_response(
            {name: text for name, text in told.items() if text}, status=STATUS[ended.result]
        )
        if response.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        elif response.status in (429, 503):
            response.headers["Retry-After"] = "10"
        return response


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Undone("malformed", f"more than {MAX_BODY} bytes") from None


async def _nothing(request: web.Request) -> None:
    if (await _body(request)).strip() not in (b"", b"{}"):
        raise Undone("malformed", "this action takes no body")


async def _target(request: web.Request) -> Target:
    try:
        target = msgspec.json.decode(await _body(request), type=Target)
    except msgspec.DecodeError as error:
        raise Undone("malformed", str(error)) from None
    if target.campaign and target.line_item:
        raise Undone("malformed", "a campaign or a line item, not both")
    return target
