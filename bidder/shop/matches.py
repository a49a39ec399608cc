"""Matches that an exchange uploads: lines of its user ids and our handles, signed.

Place: web/sync hands over the body of `POST /v1/matches/{exchange}` after the signature was checked.
Shapes: JSON lines `{"uid": ..., "id": <the 34 hexadecimal digits that it was told>, "gdpr": ..., "gdpr_consent": ...,
    "gpp": ..., "gpp_sid": ..., "us_privacy": ..., "country": ...}`; blank lines are passed over and counted as lines.
    An id of ours itself, of 32, is taken, too.
Limits: MAX_LINES of a call, MAX_UPLOADS calls at a time, MAX_UPLOADS_OF_EXCHANGE of one exchange; AT_ONCE lines of a
    call are written at a time.
Raises: Refusal for all of a call; Busy where the exchange is to send it again.
"""

import asyncio
import logging
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from bidder.audience.handles import Handles
from bidder.audience.identity import person_id
from bidder.clock import Clock
from bidder.metrics import Tally
from bidder.privacy.browser import signals_from
from bidder.privacy.gate import Gate
from bidder.shop import counts
from bidder.shop.cookies import person_of
from bidder.shop.hands import Matcher
from bidder.shop.intake import Refusal
from bidder.shop.receive import STORE_ERRORS, Busy
from bidder.shop.slots import Share, Slots
from bidder.shop.syncs import usable_uid
from bidder.shop.wire import Consent
from bidder.stores.people_writer import Matched

MAX_LINES: Final = 1_000
MAX_UPLOADS: Final = 8
MAX_UPLOADS_OF_EXCHANGE: Final = 2
AT_ONCE: Final = 8
"""Half of the connections of a worker's client: pixels go on meanwhile."""

_log = logging.getLogger(__name__)


class MatchIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line."""

    uid: str
    id: str
    gdpr: bool | int | None = None
    gdpr_consent: Consent = ""
    gpp: Consent = ""
    gpp_sid: Annotated[str, Meta(max_length=256)] = ""
    us_privacy: Annotated[str, Meta(max_length=16)] = ""
    country: Annotated[str, Meta(pattern=r"^([A-Za-z]{2,3})?\Z")] = ""


class Line(Struct, frozen=True, omit_defaults=True):
    """What became of one."""

    line: int
    """From 1."""
    status: str
    """matched or refused."""
    reason: str = ""
    """fields, unconsented, opted_out or erased."""
    error: str = ""


_decode = msgspec.json.Decoder(MatchIn, strict=False).decode


class Matches:
    """Uploads of a worker."""

    def __init__(self, matcher: Matcher, handles: Handles, gate: Gate, tally: Tally, clock: Clock) -> None:
        self._matcher, self._handles = matcher, handles
        self._gate, self._tally, self._clock = gate, tally, clock
        self._uploads = Slots(MAX_UPLOADS)

    async def upload(self, exchange: str, body: bytes) -> list[Line]:
        """One result for each line that is not blank."""
        lines = [(n, line) for n, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        if not lines or len(lines) > MAX_LINES:
            self._tally.count(counts.UPLOADS.name, exchange, "batch")
            raise Refusal("batch", f"expected 1 to {MAX_LINES} lines")
        with self._uploads.place(Share(exchange, MAX_UPLOADS_OF_EXCHANGE)) as free:
            if not free:
                raise Busy
            try:
                return await self._lines(exchange, lines)
            except STORE_ERRORS as error:
                _log.warning("the store of people did not take matches: %s", type(error).__name__)
                self._tally.count(counts.UPLOADS.name, exchange, "failed")
                raise Busy from None

    async def _lines(self, exchange: str, lines: list[tuple[int, bytes]]) -> list[Line]:
        results: list[Line] = []
        for start in range(0, len(lines), AT_ONCE):
            chunk = lines[start : start + AT_ONCE]
            results += await asyncio.gather(*(self._line(exchange, n, line) for n, line in chunk))
            await asyncio.sleep(0)  # lines that are refused wait for nothing
        return results

    async def _line(self, exchange: str, number: int, line: bytes) -> Line:
        """Write one match; raises what stores raise."""
        try:
            match = _decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self._refused(exchange, number, "fields", "not JSON of uid, id and consent")
        person = self._person(exchange, match.id)
        if person is None:
            return self._refused(
                exchange, number, "fields", "id: expected the 34 hexadecimal digits of a sync"
            )
        if not usable_uid(match.uid):
            return self._refused(
                exchange, number, "fields", "uid: expected 1 to 256 visible characters, no address"
            )
        now_s = self._clock.now_s()
        told = {
            "gdpr": "" if match.gdpr is None else str(int(match.gdpr)),
            "gdpr_consent": match.gdpr_consent,
            "gpp": match.gpp,
            "gpp_sid": match.gpp_sid,
            "us_privacy": match.us_privacy,
        }
        permissions = self._gate.permit(signals_from(told, {}, match.country), now_s)
        if not (permissions.sync and permissions.write_id):
            return self._refused(exchange, number, "unconsented", "what it says of consent does not allow it")
        if not (matched := await self._matcher.match(exchange, match.uid, person, now_s)):
            if matched is Matched.PERSON_ERASED:
                return self._refused(exchange, number, "erased", "this id was erased")
            return self._refused(exchange, number, "opted_out", "this id takes no part any more")
        self._tally.count(counts.UPLOADS.name, exchange, "matched")
        return Line(number, "matched")

    def _person(self, exchange: str, told: str) -> bytes | None:
        person = self._handles.person(exchange, told) or person_id(told)
        return person_of({"pl_id": person.hex()}) if person is not None else None

    def _refused(self, exchange: str, number: int, reason: str, error: str) -> Line:
        self._tally.count(counts.UPLOADS.name, exchange, "refused" if reason == "fields" else reason)
        return Line(number, "refused", reason, error)
