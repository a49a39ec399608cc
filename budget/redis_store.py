"""A ledger on Redis or Valkey, alone or as a cluster: one script per verb, one round trip per call or batch.

Place: the treasurer, the appliers of notices and `paceline budget` hold one each.
Shapes: keys of an advertiser share the hash tag {advertiser}, so all stand in one slot:
    ml:{adv}:a accounts    ml:{adv}:x:<lease> a lease    ml:{adv}:o:<worker> its leases    ml:{adv}:w workers
    ml:{adv}:i:<worker> its inbox    ml:{adv}:s:<bid> what became of a bid    ml:{adv}:p paused accounts
    ml:{adv}:j journal    ml:{adv}:c clock and last entry    ml:{adv}:op:<op id> an answered op
    ml:{adv}:b nothing: written where replicas are waited for
    ml:advertisers and ml:incarnations stand elsewhere. Lease ids are 16 hexadecimal digits there.
Units: Micros; seconds, to the millisecond.
Raises: LedgerDown, ValueError; see `scripts`.
"""

from collections.abc import Sequence
from typing import Any, Final, Self, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from budget.accounts import WALLET
from budget.checks import (
    check_amount,
    check_lease,
    check_path,
    check_release,
    check_settlement,
    is_period,
    worker_of,
)
from budget.entries import Entry
from budget.money import Micros
from budget.nodes import Client
from budget.scripts import PLAIN, Call, Scripts, errors
from budget.store import (
    FATE_S,
    FREED_S,
    KEEP_S,
    LEASE_OPS,
    MAX_FUNDED,
    OP_S,
    POLL_ENTRIES,
    SHARES,
    Balance,
    Books,
    Grant,
    LeaseRequest,
    LedgerDown,
    Poll,
    Release,
    Settlement,
    Status,
    Waits,
)
from budget.wire import balances_of, books_of, cursor_of, entry_of, inbox_of

MAX_CONNECTIONS: Final = 8
SOCKET_TIMEOUT_S: Final = 5.0
HELD_LEASES: Final = 500
"""Read in one go of a worker that is gone."""
TRIES: Final = 64
"""Of a verb that needs an advertiser's leases by name while others open leases."""

_ADVERTISERS, _INCARNATIONS = "ml:advertisers", "ml:incarnations"
_OP_S, _FATE_S = str(OP_S), str(FATE_S)
_INCARNATE: Final = """
local n, second = redis.call('INCR', KEYS[1]), tonumber(redis.call('TIME')[1])
if n < second then
  n = second
  redis.call('SET', KEYS[1], string.format('%.0f', n))
end
return n
"""
"""Never below the second of the epoch, so that a ledger that lost its keys gives no number twice: tokens, and workers
that live, speak of leases under the numbers of before."""


class RedisStore:
    """A `Store`, and the journals that `journal.archive` drains. Its calls are never to be cancelled."""

    def __init__(self, client: Client, waits: Waits | None = None) -> None:
        """The client stays its owner's to close. `waits`: what moves money is LedgerDown (Unconfirmed) until so many
        replicas have it; None: nobody waits."""
        self._client = client
        self._scripts = Scripts(client, waits)

    @classmethod
    def connect(cls, url: str, timeout_s: float = SOCKET_TIMEOUT_S) -> Self:
        """On one server, with a pool of its own; `close` it. Connects when used.

        A call without an answer in `timeout_s` is sent once more, then the ledger is down: the same ids make the
        one that was applied late harmless.
        """
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1),  # a connection that the server closed meanwhile is opened again
        )
        return cls(Redis.from_pool(pool))

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def incarnation(self) -> int:
        """See `Store`; so with all that follow."""
        return int(await self._plain(_INCARNATIONS, "EVAL", _INCARNATE, "1", _INCARNATIONS))

    async def advertisers(self) -> list[str]:
        with errors():
            members = await cast("Any", self._client).smembers(_ADVERTISERS)
        return sorted(member.decode() for member in members)

    async def fund(self, advertiser: str, op_id: str, amount: Micros, now_s: float = 0.0) -> Status:
        check_amount(amount)
        await self._plain(_ADVERTISERS, "SADD", _ADVERTISERS, advertiser)
        keys = _keys(advertiser, f"op:{op_id}")
        return await self._status("fund", keys, _now(now_s), op_id, str(amount), _OP_S, str(MAX_FUNDED))

    async def withdraw(self, advertiser: str, op_id: str, amount: Micros, now_s: float = 0.0) -> Status:
        check_amount(amount)
        keys = _keys(advertiser, f"op:{op_id}")
        return await self._status("withdraw", keys, _now(now_s), op_id, str(amount), _OP_S)

    async def lease(
        self, advertiser: str, requests: Sequence[LeaseRequest], now_s: float = 0.0
    ) -> list[Grant]:
        now = _now(now_s)
        answers = await self._scripts.run_many([_lease(advertiser, request, now) for request in requests])
        return [
            Grant(
                Status(status.decode()),
                Micros(granted),
                Micros(remaining),
                workers,
                float(until_s),
                float(clock_s),
            )
            for status, granted, remaining, workers, until_s, clock_s in answers
        ]

    async def give_back(
        self, advertiser: str, op_id: str, lease_id: int, amount: Micros, now_s: float = 0.0
    ) -> Status:
        check_amount(amount)
        lease = f"{lease_id:016x}"
        keys = _keys(advertiser, f"x:{lease}", f"o:{worker_of(lease_id)}", f"op:{op_id}")
        return await self._status("give_back", keys, _now(now_s), op_id, lease, str(amount), _OP_S)

    async def poll(
        self, advertiser: str, worker: int, cursor: str, hold_s: float, now_s: float = 0.0
    ) -> Poll:
        clock_s, until_s, entries, paused, dead, workers, sequence, grants = await self._scripts.run(
            "poll",
            _keys(advertiser, "w", f"i:{worker}", "p"),
            (_now(now_s), str(worker), cursor, _seconds(KEEP_S + hold_s), str(POLL_ENTRIES)),
        )
        return Poll(
            float(clock_s),
            float(until_s),
            cursor_of(*entries[-1]) if entries else cursor,
            tuple(inbox_of(fields) for _, fields in entries),
            frozenset(name.decode() for name in paused),
            tuple(sorted(map(int, dead))),
            workers,
            sequence,
            grants,
        )

    async def settle(
        self, advertiser: str, settlements: Sequence[Settlement], now_s: float = 0.0
    ) -> list[Status]:
        now, prefix = _now(now_s), f"ml:{{{advertiser}}}:"
        return _statuses(await self._scripts.run_many([_settle(prefix, one, now) for one in settlements]))

    async def release(self, advertiser: str, releases: Sequence[Release], now_s: float = 0.0) -> list[Status]:
        now, prefix = _now(now_s), f"ml:{{{advertiser}}}:"
        return _statuses(await self._scripts.run_many([_release(prefix, one, now) for one in releases]))

    async def goodbye(
        self, advertiser: str, op_id: str, worker: int, hold_s: float, now_s: float = 0.0
    ) -> Status:
        keys = _keys(advertiser, "w", f"op:{op_id}")
        return await self._status("goodbye", keys, _now(now_s), op_id, str(worker), _seconds(hold_s), _OP_S)

    async def reclaim(self, advertiser: str, op_id: str, worker: int, now_s: float = 0.0) -> Status:
        for _ in range(TRIES):
            leases = (await self._lease_ids(advertiser, [worker]))[0]
            keys = _keys(advertiser, "w", f"o:{worker}", f"i:{worker}", *(f"x:{lease}" for lease in leases))
            answer = await self._scripts.run(
                "reclaim", keys, (_now(now_s), op_id, str(worker), _OP_S, *leases)
            )
            if answer != b"again":
                return Status(answer.decode())
        raise LedgerDown(f"the leases of worker {worker} do not hold still")

    async def pause(
        self, advertiser: str, op_id: str, account: str, paused: bool, now_s: float = 0.0
    ) -> Status:
        keys = _keys(advertiser, "p", f"op:{op_id}")
        verb = "pause" if paused else "resume"
        return await self._status("pause", keys, _now(now_s), op_id, account, verb, _OP_S)

    async def close_periods(
        self, advertiser: str, op_id: str, accounts: Sequence[str], now_s: float = 0.0
    ) -> int:
        periods = [name for name in accounts if is_period(name)]
        check_path((WALLET, *periods))
        keys = _keys(advertiser, f"op:{op_id}")
        return int(await self._scripts.run("close_periods", keys, (_now(now_s), op_id, _OP_S, *periods)))

    async def accounts(self, advertiser: str) -> dict[str, Balance]:
        with errors():
            held = await cast("Any", self._client).hgetall(f"ml:{{{advertiser}}}:a")
        return balances_of([part for pair in held.items() for part in pair])

    async def workers(self, advertiser: str) -> dict[int, float]:
        """Until when each is alive, of those whose leases are not home."""
        with errors():
            held = await cast("Any", self._client).hgetall(f"ml:{{{advertiser}}}:w")
        alive = {int(worker): float(until_s) for worker, until_s in held.items()}
        return {worker: until_s for worker, until_s in alive.items() if until_s >= 0}

    async def held(self, advertiser: str, worker: int) -> Micros:
        """What is left of all leases of a worker; read one after the other, so good for one that is gone."""
        prefix, left = f"ml:{{{advertiser}}}:", 0
        (ids,) = await self._lease_ids(advertiser, [worker])
        for start in range(0, len(ids), HELD_LEASES):
            pipe = cast("Any", self._client).pipeline(transaction=False)
            for lease in ids[start : start + HELD_LEASES]:
                pipe.hget(f"{prefix}x:{lease}", "left")
            with errors():
                left += sum(int(amount or 0) for amount in await pipe.execute())
        return Micros(left)

    async def books(self, advertiser: str) -> Books:
        prefix = f"ml:{{{advertiser}}}:"
        for _ in range(TRIES):
            with errors():
                named = await cast("Any", self._client).hgetall(f"{prefix}w")
            workers = sorted(map(int, named))
            leases = await self._lease_ids(advertiser, workers)
            args = ["-1", str(len(workers))]  # told as long ago, so that looking moves no clock
            for worker, ids in zip(workers, leases, strict=True):
                args += [str(worker), str(len(ids)), *ids]
            flat = [lease for ids in leases for lease in ids]
            keys = _keys(
                advertiser,
                "w",
                "p",
                *(f"o:{worker}" for worker in workers),
                *(f"x:{lease}" for lease in flat),
            )
            if (answer := await self._scripts.run("books", keys, args)) is not None:
                return books_of(advertiser, flat, answer)
        raise LedgerDown(f"the leases of {advertiser} do not hold still")

    async def entries(self, advertiser: str, after: int, count: int) -> list[Entry]:
        """At most `count` journal entries with a number above `after`, in order: those that may not be forgotten."""
        key = f"ml:{{{advertiser}}}:j"
        found = await self._plain(key, "XRANGE", key, f"({after}-0", "+", "COUNT", str(count))
        return [entry_of(entry_id, fields) for entry_id, fields in found]

    async def trim(self, advertiser: str, through: int) -> None:
        """Forget the journal up to and with an entry: it is kept elsewhere."""
        key = f"ml:{{{advertiser}}}:j"
        with errors():
            await cast("Any", self._client).xtrim(key, minid=f"{through}-1", approximate=False)

    async def last_entry(self, advertiser: str) -> int:
        """The number of the last journal entry ever written; 0: none."""
        with errors():
            return int(await cast("Any", self._client).hget(f"ml:{{{advertiser}}}:c", "n") or 0)

    async def _plain(self, key: str, *command: str) -> Any:
        """One command that may not be forgotten."""
        return await self._scripts.run(PLAIN, [key], command)

    async def _status(self, script: str, keys: Sequence[str], *args: str) -> Status:
        return Status((await self._scripts.run(script, keys, args)).decode())

    async def _lease_ids(self, advertiser: str, workers: Sequence[int]) -> list[list[str]]:
        """The leases of each worker, sorted."""
        pipeline = cast("Any", self._client).pipeline(transaction=False)
        for worker in workers:
            pipeline.smembers(f"ml:{{{advertiser}}}:o:{worker}")
        with errors():
            return [sorted(lease.decode() for lease in ids) for ids in await pipeline.execute()]


def _now(now_s: float) -> str:
    return "0" if now_s == 0 else f"{now_s:.3f}"


def _seconds(seconds: float) -> str:
    return repr(float(seconds))


def _keys(advertiser: str, *names: str) -> list[str]:
    """The three keys that every script has, and those of one verb."""
    prefix = f"ml:{{{advertiser}}}:"
    return [f"{prefix}c", f"{prefix}j", f"{prefix}a", *(prefix + name for name in names)]


def _lease(advertiser: str, request: LeaseRequest, now: str) -> Call:
    check_lease(request)
    lease, worker = f"{request.lease_id:016x}", str(request.worker)
    wanted, useful, hold_s = str(request.wanted), str(request.useful), _seconds(KEEP_S + request.hold_s)
    args = [now, request.op_id, worker, lease, wanted, useful, hold_s, str(SHARES), str(LEASE_OPS)]
    for level in request.path:
        args += (level.account, "" if level.limit is None else str(level.limit))
    return "lease", _keys(advertiser, f"x:{lease}", "w", f"o:{worker}", "p"), args


def _bid_keys(prefix: str, lease: str, bid: str, lease_id: int) -> tuple[str, ...]:
    return (
        f"{prefix}c",
        f"{prefix}j",
        f"{prefix}a",
        f"{prefix}x:{lease}",
        f"{prefix}s:{bid}",
        f"{prefix}i:{worker_of(lease_id)}",
    )


def _settle(prefix: str, one: Settlement, now: str) -> Call:
    check_settlement(one)
    lease, bid, deadline = f"{one.lease_id:016x}", one.bid_id.hex(), str(one.deadline_s)
    args = (now, bid, lease, str(one.price), str(one.amount), deadline, _FATE_S, "\n".join(one.path))
    return "settle", _bid_keys(prefix, lease, bid, one.lease_id), args


def _release(prefix: str, one: Release, now: str) -> Call:
    check_release(one)
    lease, bid = f"{one.lease_id:016x}", one.bid_id.hex()
    args = (now, bid, lease, str(one.price), str(one.deadline_s), str(FREED_S))
    return "release", _bid_keys(prefix, lease, bid, one.lease_id), args


_STATUS = {status.value.encode(): status for status in Status}


def _statuses(answers: Sequence[bytes]) -> list[Status]:
    return [_STATUS[answer] for answer in answers]
