"""A slot's worker makes room for a successor, or does not; stand-ins listen and accept nobody."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from bidder.config import Config, WorkerSetup
from bidder.metrics import Cell, Tally, TallyReader
from bidder.settings import ExchangePort
from bidder.supervisor.folder import second_tally
from bidder.supervisor.gauges import forget_gauges
from bidder.supervisor.rolling import DONE, FAILED, REFUSED, RUNNING, RollingRestart
from bidder.supervisor.slots import Slot
from bidder.web.sockets import SlotSockets, claim_port
from tests.servers import eventually

STANDIN = (sys.executable, "-m", "tests.bidder.supervisor.standin")
WINS = Cell("paceline_notices_total", ("win", "accepted"))
UNHURRIED = Cell("paceline_notices_total", ("loss", "accepted"))
LINE_ITEMS = Cell("paceline_line_items")
pytestmark = pytest.mark.process


class Place:
    """A slot with stand-ins, its sockets and its tally."""

    def __init__(self, folder: Path) -> None:
        self.tally = folder / "worker-0.tally"
        self._claims = [claim_port("127.0.0.1", 0, purpose) for purpose in ("exchange", "public")]
        self.exchange, self.public = ports = [claim.getsockname()[1] for claim in self._claims]
        config = Config(exchange=ExchangePort(drain_timeout_s=60))
        self.slot = Slot(0, STANDIN, config, self._setup)
        self.slot.sockets = SlotSockets(("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]))

    def _setup(self, number: int, descriptor: int) -> WorkerSetup:
        return WorkerSetup(
            slot=number,
            redis_url="",
            tally_path=str(self.tally),
            token_keys=(),
            exchange_port=self.exchange,
            public_port=self.public,
            base_url="http://127.0.0.1",
            announce_fd=descriptor,
        )

    def counted(self, cell: Cell) -> list[int]:
        """What either tally says."""
        files = [path for path in (self.tally, second_tally(self.tally)) if path.exists()]
        return [dict(TallyReader(path).samples())[cell] for path in files]

    def connect(self) -> socket.socket:
        """A client whose connection waits to be accepted."""
        return socket.create_connection(("127.0.0.1", self.exchange), 30)

    def close(self) -> None:
        """Let the ports go."""
        for claim in self._claims:
            claim.close()


@asynccontextmanager
async def placed(folder: Path) -> AsyncIterator[Place]:
    """A slot whose worker is ready; it ends with the block."""
    with closing(Place(folder)) as place:
        keeping = asyncio.create_task(place.slot.keep())
        try:
            await eventually(lambda: place.slot.ready)
            yield place
        finally:
            place.slot.stop()
            await keeping


def waits(client: socket.socket) -> bool:
    """Whether a connection is open and nothing was heard on it."""
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        pass
    return False


async def test_a_successor_takes_over_the_sockets_and_counts_beside(tmp_path: Path) -> None:
    """Who waits to be accepted waits on; the counts of all processes add up, and gauges of the ended are gone.

    Two files are enough for any number of successors.
    """
    async with placed(tmp_path) as place:
        first = place.slot.pid
        with place.connect() as client:
            assert await place.slot.replace(60) == ""
            assert place.slot.ready
            assert place.slot.pid not in (None, first)
            assert waits(client)
            assert place.counted(LINE_ITEMS) == [0, 7]
            assert await place.slot.replace(60) == ""
            assert waits(client)
        assert place.slot.beside is None
        assert sum(place.counted(WINS)) == 3
        assert sum(place.counted(UNHURRIED)) == 2, "the first is awaited"
        assert place.counted(LINE_ITEMS) == [7, 0]
        assert place.slot.restarts == 0


@pytest.mark.parametrize(
    ("mode", "within_s", "reason"),
    [
        ("mute", 0.2, "its successor was not ready in 0.2 s"),
        ("exit:78", 60, "its successor ended with status 78"),
        ("exit:3", 60, "its successor ended with status 3"),
    ],
)
async def test_a_successor_that_is_not_ready_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, within_s: float, reason: str
) -> None:
    """The worker stays, ready, on its sockets; so does who waits there. The next successor may be better."""
    async with placed(tmp_path) as place:
        first = place.slot.pid
        monkeypatch.setenv("STANDIN", mode)
        with place.connect() as client:
            assert await place.slot.replace(within_s) == reason
            assert (place.slot.ready, place.slot.pid, place.slot.beside) == (True, first, None)
            assert waits(client)
            monkeypatch.setenv("STANDIN", "")
            assert await place.slot.replace(60) == ""
        assert place.slot.young_deaths == place.slot.restarts == 0


async def test_a_successor_that_cannot_be_started_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replacement ends, counted, with the reason; the worker stays. The next one may have more luck."""
    tally = Tally()
    async with placed(tmp_path) as place:
        first, command = place.slot.pid, place.slot._command
        monkeypatch.setattr(place.slot, "_command", (str(tmp_path / "none"),))
        reason = await place.slot.replace(60)
        assert reason.startswith("its successor cannot be started: [Errno 2]")
        rolling = RollingRestart([place.slot], 60, tally)
        assert rolling.begin()
        await rolling.end()
        assert (place.slot.ready, place.slot.pid, place.slot.beside) == (True, first, None)
        monkeypatch.setattr(place.slot, "_command", command)
        assert await place.slot.replace(60) == ""
    counted = dict(tally.samples())
    assert [counted[Cell(name)] for name in (DONE, FAILED, RUNNING)] == [0, 1, 0]


async def test_a_death_resets_who_waits_and_refuses_who_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left waiting for a worker that is gone; the next one listens on the same ports."""
    async with placed(tmp_path) as place:
        with place.connect() as client:
            monkeypatch.setenv("STANDIN", "mute")
            place.slot.signal(signal.SIGKILL)
            await eventually(lambda: place.slot.restarts)
            assert not waits(client)
            with pytest.raises(ConnectionRefusedError):
                place.connect()
        monkeypatch.setenv("STANDIN", "")
        await eventually(lambda: place.slot.pid)
        place.slot.signal(signal.SIGKILL)
        await eventually(lambda: place.slot.ready)
        place.connect().close()


async def test_a_death_takes_the_successor_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A successor that was handed the sockets of the dead would leave its clients waiting: another one starts."""
    async with placed(tmp_path) as place:
        monkeypatch.setenv("STANDIN", "mute")
        replacing = asyncio.create_task(place.slot.replace(600))
        await eventually(lambda: place.slot.beside)
        with place.connect() as client:
            monkeypatch.setenv("STANDIN", "")
            assert place.slot._worker is not None
            place.slot._worker.signal(signal.SIGKILL)
            assert await replacing == "the worker died meanwhile"
            await eventually(lambda: place.slot.ready)
            assert not waits(client)
        assert place.slot.restarts == 1


async def test_the_end_ends_a_replacement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to stop while a successor starts, the slot ends both."""
    async with placed(tmp_path) as place:
        monkeypatch.setenv("STANDIN", "mute")
        replacing = asyncio.create_task(place.slot.replace(600))
        await eventually(lambda: place.slot.beside)
        place.slot.stop()
        assert await replacing == "the service stops"
    assert await place.slot.replace(1) == "it has no worker that is ready"


async def test_one_replacement_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked again meanwhile it refuses and counts; the first failure ends it, and is counted and told."""
    tally = Tally()
    with caplog.at_level(logging.INFO):
        async with placed(tmp_path) as place:
            rolling = RollingRestart([place.slot], 60, tally)
            assert rolling.begin()
            assert not rolling.begin()
            assert dict(tally.samples())[Cell(RUNNING)] == 1
            await rolling.end()
            monkeypatch.setenv("STANDIN", "exit:3")
            assert rolling.begin()
            await rolling.end()
    counted = dict(tally.samples())
    assert [counted[Cell(name)] for name in (DONE, FAILED, REFUSED, RUNNING)] == [1, 1, 1, 0]
    assert "worker 0 is not replaced, the rest stays as it is: its successor ended" in caplog.text


def test_what_ended_keeps_its_counts_and_no_gauge(tmp_path: Path) -> None:
    """Counters and histograms stay; a file that is not there is none of our business."""
    tally = Tally(tmp_path / "x.tally")
    tally.count("paceline_notices_total", "win", "accepted", by=5)
    tally.set("paceline_line_items", value=7)
    forget_gauges(tmp_path / "x.tally")
    counted = dict(tally.samples())
    assert (counted[WINS], counted[LINE_ITEMS]) == (5, 0)
    forget_gauges(tmp_path / "none" / "x.tally")


def test_the_tallies_of_a_slot_are_two(tmp_path: Path) -> None:
    """The second one of the second is the first."""
    first = tmp_path / "worker-12.tally"
    assert second_tally(first).name == "worker-12.b.tally"
    assert second_tally(second_tally(first)) == first
