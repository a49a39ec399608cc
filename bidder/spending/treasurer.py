"""Brings a worker its money: leases ahead of need, hears what became of bids, sends home what lies idle.

Place: a task beside the worker's bids, and after them at its end. The path of a bid reserves from the allowance and
    never waits for this.
Shapes: one round per advertiser that has something due: unanswered questions again with the same ids, one poll,
    one pipelined request for all its line items that are short of money, what goes home.
Units: seconds since the epoch by the worker's clock; the ledger has its own.
Limits: one question at a time per lease, so that an answer that was lost can be asked for again; SWEEP slices are
    looked at per round, CHUNK leases asked for per call; ROUNDS advertisers, and AT_ONCE returns of each, at once.
Raises: nothing of the ledger's: while it is down, bids go on as long as leases last, and everything is kept.
Source: leases and escrow as in RTBkit's banker; sizes as in `sizing.Rules`.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Coroutine, Iterable, Mapping
from typing import Final

from bidder.clock import Clock
from bidder.metrics import Tally
from bidder.outage import Outage
from bidder.spending import sizing
from bidder.spending.counts import METRICS, Counts
from bidder.spending.desk import Desk, Return
from bidder.spending.sizing import Rules
from budget.allowance import BUCKET_S, Allowance
from budget.money import Micros
from budget.slices import Book, Line, Slice, Unreserved
from budget.store import POLL_ENTRIES, Grant, LeaseRequest, LedgerDown, Status, Store

__all__ = ["METRICS", "Rules", "Treasurer"]

CHUNK: Final = 200
SWEEP: Final = 200
ROUNDS: Final = 128
AT_ONCE: Final = 16
WAKE_S: Final = 0.005
"""A bid that found no money brings a round so soon, for all that come in between."""
DOWN_S: Final = 1.0
"""A ledger that is down is asked again after this."""
AHEAD_S: Final = 60.0
"""A ledger whose clock is so far ahead of ours would take bills for late, and free what is reserved too early: nothing
is bid out of it. Its clock never runs backward, so that one wrong moment of its server can be the cause."""

_log = logging.getLogger(__name__)


class Treasurer:
    """Draws on one ledger for one allowance."""

    def __init__(
        self, store: Store, allowance: Allowance, clock: Clock, tally: Tally, rules: Rules | None = None
    ) -> None:
        """Its incarnation is asked of the ledger with the first step."""
        self._store, self._allowance, self._clock = store, allowance, clock
        self._rules = rules or Rules()
        self._counts = Counts(tally)
        self._desks: dict[str, Desk] = {}
        self._sequence = itertools.count(1)
        self._nonce = secrets.token_hex(2)
        """A ledger that forgot whom it gave a number gives it twice: nobody's answers are taken for another's then."""
        self._stepping: asyncio.Task[None] | None = None
        self._outage = Outage(_log, "the ledger", "bids go on while leases last")
        self._wake = asyncio.Event()
        allowance.wake = self._wake.set

    async def run(self) -> None:
        """Step for ever, sooner where a bid found no money; ends by being cancelled."""
        while True:
            try:
                await self._shielded()
            except Exception:  # our bug; the next advertiser's money must not wait for its correction
                _log.exception("a round of the treasurer failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rules.interval_s):
                    await self._wake.wait()
                    await asyncio.sleep(WAKE_S)
            self._wake.clear()

    async def step(self, now_s: float) -> None:
        """One round for every advertiser that has something due."""
        if not self._allowance.worker and not await self._incarnate():
            return
        for line in self._allowance.wanting():
            self._desk(line.advertiser).wanting[line.key] = line
        due = [desk for desk in self._desks.values() if self._due(desk, now_s)]
        for start in range(0, len(due), ROUNDS):
            await _all(self._round(desk, now_s) for desk in due[start : start + ROUNDS])

    async def prefetch(
        self, limit: int, costs: Mapping[int, Micros] | None = None, timeout_s: float = 2.0
    ) -> bool:
        """Lease for up to `limit` live line items before their first bid; False: the ledger did not answer in time.

        `costs` is the most that one bid of a line item costs, by its key. What is not answered goes on in `run`.
        """
        starter = Micros(self._rules.starter_micros)
        for key in itertools.islice(self._allowance.live, limit):
            self._allowance.expect(key, costs.get(key, starter) if costs else starter)
        self._stepping = asyncio.create_task(self.step(self._clock.now_s()))
        done, _ = await asyncio.wait({self._stepping}, timeout=timeout_s)
        for task in done:
            task.result()
        up = self._allowance.worker and not any(desk.retry_s for desk in self._desks.values())
        return bool(done and up)

    async def close(self) -> None:
        """Send home what is free and say goodbye; what is reserved is reclaimed once it cannot be charged any more.

        Without a ledger nothing is said, and all of it is reclaimed when this worker is taken for dead.
        """
        now_s = self._clock.now_s()
        if self._stepping is not None:
            await asyncio.gather(self._stepping, return_exceptions=True)
        self._allowance.adopt({})
        await _all(self._leave(desk, now_s) for desk in self._desks.values())

    async def _shielded(self) -> None:
        """One step that a cancelled `run` leaves to `close`: no call to the ledger is cut short."""
        if self._stepping is None or self._stepping.done():
            self._stepping = asyncio.create_task(self.step(self._clock.now_s()))
        await asyncio.shield(self._stepping)

    def _due(self, desk: Desk, now_s: float) -> bool:
        """Whether a round has anything to do."""
        asks = bool(desk.wanting or desk.pending)
        return now_s >= desk.retry_s and (asks or self._poll_due(desk, now_s))

    def _poll_due(self, desk: Desk, now_s: float) -> bool:
        book, rules = self._book(desk), self._rules
        outstanding = book is not None and bool(book.wheel)
        return now_s >= desk.polled_s + (rules.poll_s if outstanding else rules.idle_poll_s)

    async def _round(self, desk: Desk, now_s: float) -> None:
        try:
            await self._answers(desk, now_s)
            if self._poll_due(desk, now_s):
                await self._poll(desk, now_s)
                self._look(desk, now_s)
            self._ask(desk, now_s)
            await self._answers(desk, now_s)
            await self._reclaim(desk, now_s)
            if desk.retry_s:  # so that it was polled
                self._outage.ends()
            desk.retry_s = 0.0
        except LedgerDown as error:
            self._outage.begins(error)
            desk.retry_s = now_s + DOWN_S
            desk.polled_s = 0.0  # the first to be asked is whether it is the ledger that it was

    async def _leave(self, desk: Desk, now_s: float) -> None:
        book = self._book(desk)
        if book is None:
            return
        desk.wanting.clear()
        desk.sweep = iter(())
        for _ in range(1 + len(book.slices) // SWEEP):
            desk.polled_s = desk.swept_s = 0.0
            await self._round(desk, now_s)
            if desk.retry_s:  # once more: perhaps an answer was lost
                await self._round(desk, now_s)
        await self._goodbye(desk, now_s)

    # What is asked

    def _ask(self, desk: Desk, now_s: float) -> None:
        """Requests for all line items that are short of money."""
        if not self._allowance.worker:  # another advertiser's ledger took it for dead just now
            return
        wanting, desk.wanting = desk.wanting, {}
        for line in wanting.values():
            if self._allowance.line(line.key) is not line or line.advertiser != desk.advertiser:
                continue  # other campaigns are live meanwhile; its next bid asks again
            piece = line.current
            if piece is None or now_s >= piece.end_s:
                piece = self._open(line, now_s)
            elif piece.pending is not None:
                desk.wanting[line.key] = line
                continue
            elif not line.untold and (now_s < line.retry_s or now_s >= piece.gate_s):
                line.refused = 0  # there was no money just now, or it is paused
                continue
            line.measure(now_s)
            wanted = max(sizing.wanted(piece, self._rules), int(line.untold))
            self._request(desk, piece, wanted, line.useful - piece.free)

    def _open(self, line: Line, now_s: float) -> Slice:
        worker = self._allowance.book(line.advertiser).worker
        return self._allowance.open(line, worker << 32 | next(self._sequence), now_s)

    def _request(self, desk: Desk, piece: Slice, wanted: int, useful: int) -> None:
        if wanted <= 0:
            return
        piece.pending = LeaseRequest(
            op_id=self._op_id(piece.book),
            worker=piece.book.worker,
            lease_id=piece.lease_id,
            path=piece.path,
            wanted=Micros(wanted),
            useful=Micros(min(wanted, max(1, useful))),
            hold_s=self._rules.hold_s,
        )
        desk.pending[piece.lease_id] = piece

    def _look(self, desk: Desk, now_s: float) -> None:
        """Look at slices in turn: what is over, empty, idle or too much."""
        book = self._book(desk)
        if book is None:
            return
        chunk = list(itertools.islice(desk.sweep, SWEEP))
        if not chunk and now_s >= desk.swept_s + self._rules.look_s:
            desk.swept_s = now_s
            desk.sweep = iter(list(book.slices.values()))
            chunk = list(itertools.islice(desk.sweep, SWEEP))
        for piece in chunk:
            if piece.pending is None and piece.lease_id in book.slices:
                self._look_at(desk, piece, now_s)

    def _look_at(self, desk: Desk, piece: Slice, now_s: float) -> None:
        line = piece.line
        if not piece.closed and now_s >= piece.end_s:
            self._allowance.close(line)
            if line.rate > 0:
                desk.wanting[line.key] = line
        home = sizing.surplus(piece, now_s, self._rules)
        if home > 0:
            piece.take_back(home)
            piece.pending = Return(self._op_id(piece.book), Micros(home))
            desk.pending[piece.lease_id] = piece
        elif piece.closed:
            if piece.empty:
                self._allowance.drop(piece)
        elif sizing.curious(piece, now_s, self._rules) or (line.over and now_s >= line.retry_s):
            self._request(desk, piece, 1, 1)  # asks for next to nothing, to hear what remains

    # What is answered

    async def _answers(self, desk: Desk, now_s: float) -> None:
        """Put every question that has no answer yet, and book the answers."""
        asked = list(desk.pending.values())
        leases = [piece for piece in asked if isinstance(piece.pending, LeaseRequest)]
        for start in range(0, len(leases), CHUNK):
            pieces = leases[start : start + CHUNK]
            requests = [piece.pending for piece in pieces if isinstance(piece.pending, LeaseRequest)]
            try:
                with self._counts.ledger("lease"):
                    grants = await self._store.lease(desk.advertiser, requests, self._told(now_s))
            except ValueError:
                _log.exception("leases of this worker's number are another's")
                self._lost(desk)
                return
            for piece, request, grant in zip(pieces, requests, grants, strict=True):
                self._counts.lease(grant, request.wanted)
                if grant.status is Status.GONE:
                    self._lost(desk)
                    return
                del desk.pending[piece.lease_id]
                self._granted(piece, grant, now_s)
        home = [piece for piece in asked if isinstance(piece.pending, Return)]
        for start in range(0, len(home), AT_ONCE):
            await _all(self._give_back(desk, piece, now_s) for piece in home[start : start + AT_ONCE])

    def _granted(self, piece: Slice, grant: Grant, now_s: float) -> None:
        asked, line = piece.pending, piece.line
        if isinstance(asked, LeaseRequest) and asked.path is piece.path:
            line.untold = False
        piece.pending = None
        if piece is line.current:
            self._allowance.exceed(line, grant.remaining < 0)
        piece.book.grants += grant.granted > 0
        self._alive(piece.book, grant.until_s, grant.clock_s)
        piece.book.clock_s = max(piece.book.clock_s, grant.clock_s)
        sizing.granted(piece, grant, now_s, self._rules)

    async def _give_back(self, desk: Desk, piece: Slice, now_s: float) -> None:
        home = piece.pending
        if not isinstance(home, Return) or piece.lease_id not in desk.pending:
            return
        with self._counts.ledger("give_back"):
            status = await self._store.give_back(
                desk.advertiser, home.op_id, piece.lease_id, home.amount, self._told(now_s)
            )
        if status is Status.GONE:
            self._lost(desk)
        elif desk.pending.pop(piece.lease_id, None) is not None:
            self._counts.given_back()
            piece.pending = None

    async def _poll(self, desk: Desk, now_s: float) -> None:
        """Hear what became of bids; what is then beyond its deadline is free."""
        book, allowance, full = self._book(desk), self._allowance, True
        while full and book is not None:
            with self._counts.ledger("poll"):
                poll = await self._store.poll(
                    desk.advertiser, book.worker, desk.cursor, self._rules.hold_s, self._told(now_s)
                )
            if not poll.until_s or poll.sequence < book.sequence or poll.grants != book.grants:
                self._lost(desk)
                return
            book.sequence = poll.sequence
            try:
                allowance.heard(poll.entries)
            except Unreserved:
                _log.exception("the ledger's books are not ours")
                self._lost(desk)
                return
            desk.cursor, full = poll.cursor, len(poll.entries) >= POLL_ENTRIES
            expired = allowance.expire(desk.advertiser, poll.clock_s)
            allowance.paused(desk.advertiser, poll.paused)
            self._alive(book, poll.until_s, poll.clock_s)
            book.clock_s = poll.clock_s
            self._counts.heard(poll.entries, expired)
            desk.dead.update(dict.fromkeys(poll.dead))
        desk.polled_s = now_s

    async def _reclaim(self, desk: Desk, now_s: float) -> None:
        """Send the leases of dead workers home; others may be at it too, it happens once."""
        for dead in list(desk.dead):
            op_id = f"reclaim/{dead:x}/{self._allowance.worker:x}"
            with self._counts.ledger("reclaim"):
                status = await self._store.reclaim(desk.advertiser, op_id, dead, self._told(now_s))
            del desk.dead[dead]
            if status is Status.DONE:
                self._counts.reclaimed()

    async def _goodbye(self, desk: Desk, now_s: float) -> None:
        book = self._book(desk)
        if book is None or desk.retry_s:
            return
        hold_s = max([0.0, *((bucket + 1) * BUCKET_S - now_s for bucket in book.wheel)])
        try:
            with self._counts.ledger("goodbye"):
                await self._store.goodbye(
                    desk.advertiser, self._op_id(book), book.worker, hold_s, self._told(now_s)
                )
        except LedgerDown as error:
            _log.warning("the ledger is down: no goodbye to %s: %s", desk.advertiser, error)

    async def _incarnate(self) -> bool:
        try:
            with self._counts.ledger("incarnation"):
                self._allowance.worker = await self._store.incarnation()
        except LedgerDown as error:
            self._outage.begins(error)
        else:
            self._outage.ends()
        return bool(self._allowance.worker)

    def _lost(self, desk: Desk) -> None:
        """This worker was silent for so long that its leases went home, or the ledger was put back to an earlier state
        and knows other leases: it begins anew, under another number."""
        if self._book(desk) is None:
            return
        _log.warning(
            "the ledger of %s knows other leases of this worker, or none: it begins anew", desk.advertiser
        )
        self._counts.lost()
        self._allowance.forget(desk.advertiser)
        self._allowance.worker = 0
        desk.cursor = ""
        desk.pending.clear()
        desk.sweep = iter(())

    def _alive(self, book: Book, until_s: float, clock_s: float) -> None:
        """Bids may stand until a moment; until none where the ledger's clock is too far ahead of ours."""
        ahead_s = clock_s - self._clock.now_s()
        self._counts.ahead(ahead_s)
        if ahead_s <= AHEAD_S:
            book.until_s = max(book.until_s, until_s)
        elif book.until_s or not book.clock_s:
            _log.error("the ledger's clock is %.0f s ahead: nothing is bid for %s", ahead_s, book.advertiser)
            book.until_s = 0.0

    def _desk(self, advertiser: str) -> Desk:
        found = self._desks.get(advertiser)
        if found is None:
            found = self._desks[advertiser] = Desk(advertiser)
        return found

    def _book(self, desk: Desk) -> Book | None:
        return self._allowance.books.get(desk.advertiser)

    def _op_id(self, book: Book) -> str:
        return f"{book.worker:x}-{self._nonce}{next(self._sequence):x}"

    def _told(self, now_s: float) -> float:
        return now_s if self._rules.tells_time else 0.0


async def _all(calls: Iterable[Coroutine[None, None, None]]) -> None:
    """All at once, each to its end; then the first of their errors is raised."""
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
