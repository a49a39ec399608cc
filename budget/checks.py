"""What a verb may be asked at all: beyond it is a bug of ours, not a state of the books.

Place: both stores check here before they decide.
Units: Micros.
Raises: ValueError.
"""

from collections.abc import Iterable

from budget.accounts import WALLET
from budget.store import MAX_AMOUNT, LeaseRequest, Release, Settlement

INCARNATION_BITS = 32
_SEPARATORS = frozenset("\n|")  # between the accounts of a path, and between an account and what is counted


def worker_of(lease_id: int) -> int:
    """The incarnation that owns a lease."""
    return lease_id >> INCARNATION_BITS


def is_period(account: str) -> bool:
    """Whether an account counts a day or an hour, and can be over."""
    return "/day/" in account or "/hour/" in account


def check_amount(amount: int, least: int = 0) -> None:
    """An amount of one verb."""
    if not least <= amount <= MAX_AMOUNT:
        raise ValueError(f"an amount of {amount} micros")


def check_path(path: Iterable[str]) -> tuple[str, ...]:
    """A path's accounts: the wallet first, none twice, none with a separator in its name."""
    names = tuple(path)
    if names[:1] != (WALLET,) or len(set(names)) != len(names):
        raise ValueError(f"a path of {names}")
    if any(not name or not _SEPARATORS.isdisjoint(name) for name in names):
        raise ValueError(f"an account's name among {names}")
    return names


def check_lease(request: LeaseRequest) -> tuple[str, ...]:
    """A request for a lease; returns the accounts of its path."""
    check_amount(request.wanted, least=1)
    check_amount(request.useful)
    for level in request.path:
        check_amount(level.limit or 0)
    if worker_of(request.lease_id) != request.worker or not request.worker:
        raise ValueError(f"lease {request.lease_id:x} is not of worker {request.worker}")
    if request.op_id.split() != [request.op_id]:
        raise ValueError(f"an op_id of {request.op_id!r}")
    return check_path(level.account for level in request.path)


def check_settlement(settlement: Settlement) -> None:
    """A settlement: never more than was reserved."""
    check_amount(settlement.price)
    if not 0 <= settlement.amount <= settlement.price:
        raise ValueError(f"{settlement.amount} micros for a bid of {settlement.price}")
    check_path(settlement.path)


def check_release(release: Release) -> None:
    """A release."""
    check_amount(release.price)
