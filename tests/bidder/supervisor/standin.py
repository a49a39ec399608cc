"""A worker that bids nothing: it listens, announces, obeys signals, and counts one `paceline_notices_total`.

Place: run as a process by the supervisor's tests. A reload counts as a `test` notice, a start without haste as a loss.
    What the variable STANDIN asks for: `exit:N` ends at once with status N, `stubborn` never drains, `hung` beats for
    seconds and then no more, `alive` goes on beating, `mute` never listens and is never ready.
"""

import os
import signal
import socket
import sys
import threading
from pathlib import Path

from bidder.config import Announcement
from bidder.link import announce, die_with, receive_handover
from bidder.metrics import Tally
from bidder.web.sockets import inherited_socket, shared_socket


def main() -> int:
    handover = receive_handover(int(sys.argv[1]))
    die_with(handover.parent_pid)
    setup = handover.setup
    mode = os.environ.get("STANDIN", "")
    if mode.startswith("exit:"):
        return int(mode.partition(":")[2])
    tally = Tally(Path(setup.tally_path))
    tally.count("paceline_notices_total", "win", "accepted")
    tally.count("paceline_notices_total", "loss", "accepted", by=setup.unhurried)
    stop = threading.Event()
    if mode != "stubborn":
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, lambda *_: tally.count("paceline_notices_total", "win", "test"))
    signal.signal(signal.SIGUSR2, lambda *_: stop.set())
    ports = ((setup.exchange_fd, setup.exchange_port), (setup.public_fd, setup.public_port))
    listening = [
        inherited_socket(bound) if bound >= 0 else shared_socket("127.0.0.1", port) for bound, port in ports
    ]
    tally.set("paceline_line_items", value=7)
    if mode != "mute":
        for bound in listening:
            bound.listen(socket.SOMAXCONN)
        announce(setup.announce_fd, Announcement(ready=True))
    turns = 0
    while not stop.wait(0.05):
        turns += 1
        if mode == "alive" or (mode == "hung" and turns <= 60):
            tally.beat()
    announce(setup.announce_fd, Announcement(ready=False, detail="draining"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
