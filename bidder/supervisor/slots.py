"""One child's place: a process is started in it, and another when that one dies.

Place: the supervisor holds one `Slot` per worker, one for the bookkeeper and one for the caretaker.
Rule: a worker that lived at least STEADY_S is replaced at once; one that dies young is replaced at once
    the first time, then after a pause that doubles from BACKOFF_S to BACKOFF_MAX_S. After ALARM_DEATHS young
    deaths in a row the slot is `failing`, until a worker lives long enough. A worker that is ready, has beaten in its
    tally, and does not at HUNG_LOOKS looks in a row hangs: it is killed. Looks are counted, not seconds, so that a
    machine which stood still kills nobody.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bidder.config import Announcement, Config, WorkerSetup, of_children
from bidder.link import EXIT_CONFIG, Handover
from bidder.metrics import TallyReader

STEADY_S: Final = 10.0
BACKOFF_S: Final = 0.2
BACKOFF_MAX_S: Final = 10.0
ALARM_DEATHS: Final = 3
LOOK_S: Final = 1.0
HUNG_LOOKS: Final = 15

_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(Announcement).decode


class Unusable(Exception):
    """A worker refused what it was given at its first start."""


class Slot:
    """Keeps one worker running until told to stop."""

    def __init__(
        self,
        number: int,
        command: tuple[str, ...],
        config: Config,
        setup: Callable[[int, int], WorkerSetup],
        name: str = "",
    ) -> None:
        """`command` runs a worker, the link's descriptor is its last argument; `setup` makes what it is
        handed, of (slot, descriptor); `name` is for the log."""
        self.number, self.name = number, name or f"worker {number}"
        self.ready = False
        self.restarts = 0
        self.young_deaths = 0
        self.hung = 0
        """Workers that were killed because they hung."""
        self._command, self._config, self._setup = command, config, setup
        self._process: asyncio.subprocess.Process | None = None
        self._was_ready = False
        self._reload_due = False
        self._stop = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The worker's process id; None between two workers."""
        return self._process.pid if self._process else None

    @property
    def failing(self) -> bool:
        """Whether its workers die again and again."""
        return self.young_deaths >= ALARM_DEATHS

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker, if there is one."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def reload(self) -> None:
        """Make the worker load campaigns anew; one that is still starting does so when it is ready."""
        self._reload_due = not self.ready
        if self.ready:
            self.signal(signal.SIGHUP)

    def stop(self) -> None:
        """Let the worker drain and start no other."""
        self._stop.set()
        self.signal(signal.SIGTERM)

    async def keep(self) -> None:
        """Run workers until `stop`; raises Unusable where the very first refuses its configuration."""
        while not self._stop.is_set():
            started_s = time.monotonic()
            status = await self._live()
            if self._stop.is_set():
                return
            if status == EXIT_CONFIG and not self._was_ready:
                raise Unusable(f"{self.name} cannot use the configuration: its log says why")
            steady = time.monotonic() - started_s >= STEADY_S
            self.young_deaths = 0 if steady else self.young_deaths + 1
            self.restarts += 1
            pause_s = self._pause_s()
            _log.error("%s died (status %d): started again in %.1f s", self.name, status, pause_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()

    def _pause_s(self) -> float:
        if self.young_deaths < 2:
            return 0.0
        return min(BACKOFF_S * 2.0 ** min(self.young_deaths - 2, 10), BACKOFF_MAX_S)

    async def _live(self) -> int:
        """One worker from start to end; returns its exit status."""
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=of_children(),
                start_new_session=True,  # Ctrl-C is for the supervisor, which lets workers drain
            )
            descriptor = theirs.fileno()
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        steady = asyncio.get_running_loop().call_later(STEADY_S, self._steady)
        setup = self._setup(self.number, descriptor)
        watch = asyncio.create_task(self._watch(Path(setup.tally_path)))
        try:
            if self._stop.is_set():  # told between the decision and the start
                self.signal(signal.SIGTERM)
            with contextlib.suppress(ConnectionError):
                handover = Handover(self._config, setup, os.getpid())
                writer.write(msgspec.json.encode(handover) + b"\n")
                await self._listen(reader)
            return await self._process.wait()
        finally:
            steady.cancel()
            watch.cancel()
            writer.close()
            self.ready = False
            self._process = None

    async def _watch(self, tally: Path) -> None:
        """Kill the worker when it hangs; ends by being cancelled."""
        last = first = still = 0
        reader: TallyReader | None = None
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.ready:  # it starts, or drains, which has its own time
                reader = None
                continue
            if reader is None:
                with contextlib.suppress(OSError, ValueError):
                    reader = TallyReader(tally)
                    last = first = reader.beats
                still = 0
                continue
            beats = reader.beats
            still = 0 if beats != last or beats == first else still + 1
            last = beats
            if still >= HUNG_LOOKS:
                _log.error("%s hangs and is killed", self.name)
                self.hung += 1
                self.signal(signal.SIGKILL)
                still = 0

    def _steady(self) -> None:
        self.young_deaths = 0

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Hear the worker until it hangs up."""
        while line := await reader.readline():
            try:
                told = _decode(line)
            except msgspec.DecodeError:
                _log.error("%s said what is no announcement", self.name)
                continue
            if told.ready != self.ready:
                _log.info("%s is %s", self.name, "ready" if told.ready else "not ready: " + told.detail)
            self.ready = told.ready
            self._was_ready |= told.ready
            if self.ready and self._reload_due:
                self.reload()
