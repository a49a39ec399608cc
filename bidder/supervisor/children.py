"""One process of a slot, from its start to its end: what it says, whether it hangs.

Place: slots.py starts them; of a worker that is replaced two live side by side for a moment.
Rule: a worker that is ready, has beaten in its tally, and does not at HUNG_LOOKS looks in a row hangs: it is killed.
    Looks are counted, not seconds, so that a machine which stood still kills nobody.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bidder.config import SUCCEEDED, Announcement, of_children
from bidder.link import Handover
from bidder.metrics import TallyReader

LOOK_S: Final = 1.0
HUNG_LOOKS: Final = 15

_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(Announcement).decode


class Child:
    """One process; `start` it once."""

    ended: asyncio.Task[int]
    """Its exit status."""

    def __init__(self, name: str, tally: Path, hung: Callable[[], None]) -> None:
        """`name` is for the log; `hung` is called when it hangs and is killed."""
        self.name, self.tally = name, tally
        self.ready = False
        self.was_ready = False
        self.settled = asyncio.Event()
        """It was ready, or ended."""
        self.pid: int | None = None
        self.started_s = time.monotonic()
        self._hung = hung
        self._reload_due = False
        self._process: asyncio.subprocess.Process

    async def start(
        self, command: tuple[str, ...], descriptors: tuple[int, ...], handover: Callable[[int], Handover]
    ) -> None:
        """Run a command with the link as its last argument; it inherits the descriptors under their numbers.

        `handover` makes what it is told, of the link's number. Raises OSError.
        """
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(), *descriptors),
                stdin=asyncio.subprocess.DEVNULL,
                env=of_children(),
                start_new_session=True,  # Ctrl-C is for the supervisor, which lets workers drain
            )
            told = msgspec.json.encode(handover(theirs.fileno())) + b"\n"
        except RuntimeError as error:  # of the thread that is to wait for it: a machine without any left
            ours.close()  # a process that did start hears that nobody is there, and ends
            raise OSError(str(error)) from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self.ended = asyncio.create_task(self._live(ours, told))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def reload(self) -> None:
        """Make it load campaigns anew; while it still starts, once it is ready."""
        self._reload_due = not self.ready
        if self.ready:
            self.signal(signal.SIGHUP)

    async def leave(self, within_s: float) -> bool:
        """Wait for its end; past `within_s` it is killed. Whether it ended by itself."""
        await asyncio.wait({self.ended}, timeout=within_s)
        in_time = self.ended.done()
        if not in_time:
            _log.error("%s did not drain in %.0f s and is killed", self.name, within_s)
            self.signal(signal.SIGKILL)
            await asyncio.wait({self.ended})
        return in_time

    async def _live(self, ours: socket.socket, told: bytes) -> int:
        watch = asyncio.create_task(self._watch())
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(told)
                await self._listen(reader)
            return await self._process.wait()
        finally:
            watch.cancel()
            writer.close()
            self.ready, self.pid = False, None
            self.settled.set()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Hear it until it hangs up."""
        while line := await reader.readline():
            try:
                told = _decode(line)
            except msgspec.DecodeError:
                _log.error("%s said what is no announcement", self.name)
                continue
            if told.ready != self.ready:
                _log.info("%s", self._sentence(told))
            self.ready = told.ready
            if told.ready:
                self.was_ready = True
                self.settled.set()
                if self._reload_due:
                    self.reload()

    def _sentence(self, told: Announcement) -> str:
        if told.ready:
            return f"{self.name} is ready"
        if told.detail == SUCCEEDED:  # the one of the same name is ready, and goes on
            return f"the old {self.name} is taken out of service"
        return f"{self.name} is not ready: {told.detail}"

    async def _watch(self) -> None:
        """Kill it when it hangs; ends by being cancelled."""
        last = first = still = 0
        reader: TallyReader | None = None
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.ready:  # it starts, or drains, which has its own time
                reader = None
                continue
            if reader is None:
                with contextlib.suppress(OSError, ValueError):
                    reader = TallyReader(self.tally)
                    last = first = reader.beats
                still = 0
                continue
            beats = reader.beats
            still = 0 if beats != last or beats == first else still + 1
            last = beats
            if still >= HUNG_LOOKS:
                _log.error("%s hangs and is killed", self.name)
                self._hung()
                self.signal(signal.SIGKILL)
                still = 0
