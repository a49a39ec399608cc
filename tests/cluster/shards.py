"""A real cluster as an operator runs it: three shards, each a primary and its replica, that fail over by themselves.

Shapes: servers are told apart by their number, 0 to 5; which of them are primaries changes.
Rule: `lose` kills a primary and waits until its replica serves; `mend` brings back who is down, as a replica.
Never: a failover on request: the cluster finds out by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from bidder.stores import keys
from bidder.stores.embedded import free_port
from tests.bidder.supervisor.serving import until
from tests.servers import RealServer

SHARDS: Final = 3
NODE_TIMEOUT_MS: Final = 1_500
SETTINGS: Final = f"""\
cluster-enabled yes
cluster-node-timeout {NODE_TIMEOUT_MS}
cluster-require-full-coverage no
cluster-allow-replica-migration no
cluster-replica-validity-factor 0
repl-diskless-sync-delay 0
repl-ping-replica-period 1
shutdown-timeout 0
"""


class Shards:
    """Six servers."""

    def __init__(self, folder: Path) -> None:
        self.buses = [free_port() for _ in range(2 * SHARDS)]
        self.servers = [
            RealServer(folder / str(i), settings=f"{SETTINGS}cluster-port {bus}\n")
            for i, bus in enumerate(self.buses)
        ]
        self.urls = ",".join(server.url for server in self.servers)
        self.down: set[int] = set()

    def start(self) -> None:
        """Start all, share out the slots, and wait until each replica follows its primary."""
        for i, server in enumerate(self.servers):
            server.start()
            if i < SHARDS:
                bounds = (keys.SLOTS * i // SHARDS, keys.SLOTS * (i + 1) // SHARDS - 1)
                self.ask(i, "CLUSTER", "ADDSLOTSRANGE", *bounds)
            if i:
                self.ask(0, "CLUSTER", "MEET", "127.0.0.1", server.port, self.buses[i])
        until(self._all_met, "a cluster of six")
        for i in range(SHARDS):
            self.ask(SHARDS + i, "CLUSTER", "REPLICATE", self.name(i))
        self.whole()

    def ask(self, node: int, *command: str | int | bytes) -> Any:
        """A command for one server."""
        with self.servers[node].client() as client:
            return client.execute_command(*command)

    def name(self, node: int) -> str:
        """A server's name in the cluster."""
        return str(self.ask(node, "CLUSTER", "MYID"), "ascii")

    def alive(self) -> list[int]:
        """Servers that run."""
        return [i for i in range(len(self.servers)) if i not in self.down]

    def primary(self, tag: str | bytes) -> int:
        """Who serves the slot of a hash tag, as those see it who run; -1: nobody."""
        slot = keys.tag_slot(tag.encode() if isinstance(tag, str) else tag)
        found = [node for node, slots in self._owners().items() if any(slot in part for part in slots)]
        return found[0] if found else -1

    def replica(self, primary: int) -> int:
        """The server that follows a primary and is in touch with it; -1: none."""
        port = self.servers[primary].port
        for node in self.alive():
            if node != primary:
                info = self._replication(node)
                if info["role"] == "slave" and info["master_port"] == port:
                    return node if info["master_link_status"] == "up" else -1
        return -1

    def kill(self, node: int) -> None:
        """kill -9."""
        self.down.add(node)
        self.servers[node].kill()

    def cut(self, tag: str | bytes) -> int:
        """From now on the replica of a hash tag's primary hears nothing; returns the replica, which stands still."""
        primary = self.primary(tag)
        replica = self.replica(primary)
        self.servers[replica].pause()
        self.ask(primary, "CLIENT", "KILL", "TYPE", "REPLICA")
        return replica

    def lose(self, tag: str | bytes, behind: int = -1) -> tuple[int, float]:
        """kill -9 of the primary of a hash tag; returns who it was and after how many seconds another served.
        `behind`: a replica that was `cut`, and goes on now."""
        node = self.primary(tag)
        self.kill(node)
        start_s = time.monotonic()
        if behind >= 0:
            self.servers[behind].resume()
        self.promoted(tag)
        return node, time.monotonic() - start_s

    def promoted(self, tag: str | bytes) -> float:
        """Wait until a hash tag has a primary; how long that took."""
        start_s = time.monotonic()
        until(lambda: self.primary(tag) >= 0, "another primary")
        return time.monotonic() - start_s

    def mend(self) -> None:
        """Start who is down, and wait until every primary has its replica."""
        for node in sorted(self.down):
            self.servers[node].restart()
        self.down.clear()
        self.whole()

    def whole(self) -> None:
        """Wait until every slot has a primary and every primary a replica that has all it wrote."""

        def all_follow() -> bool:
            owners = self._owners()
            owned = sum(len(part) for parts in owners.values() for part in parts)
            return owned == keys.SLOTS and self._agreed() and all(map(self._followed, owners))

        until(all_follow, "a replica of every primary")

    def move(self, tag: str | bytes, to: int) -> int:
        """Move a slot, key by key, as resharding tools do; returns how many keys it had."""
        raw = tag.encode() if isinstance(tag, str) else tag
        slot, old = keys.tag_slot(raw), self.primary(raw)
        self.ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.name(old))
        self.ask(old, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.name(to))
        moved, port = 0, self.servers[to].port
        while found := self.ask(old, "CLUSTER", "GETKEYSINSLOT", slot, 20):
            self.ask(old, "MIGRATE", "127.0.0.1", port, "", 0, 5_000, "KEYS", *found)
            moved += len(found)
        for node in [to, old, *(node for node in self.primaries() if node not in (to, old))]:
            self.ask(node, "CLUSTER", "SETSLOT", slot, "NODE", self.name(to))
        return moved

    def primaries(self) -> list[int]:
        """Servers that have slots."""
        return sorted(self._owners())

    def close(self) -> None:
        """Kill all: whoever follows another takes its time to stop."""
        for node, server in enumerate(self.servers):
            if node not in self.down and server.runs:
                server.kill()
            server.close()

    def _all_met(self) -> bool:
        known = {_table(self.ask(node, "CLUSTER", "INFO"))["cluster_known_nodes"] for node in self.alive()}
        return known == {str(2 * SHARDS)} and self._agreed()

    def _agreed(self) -> bool:
        """Whether everybody has heard who serves every slot, and answers for it."""
        infos = [_table(self.ask(node, "CLUSTER", "INFO")) for node in self.alive()]
        good = ("ok", str(keys.SLOTS))
        return all((info["cluster_state"], info["cluster_slots_ok"]) == good for info in infos)

    def _owners(self) -> dict[int, list[range]]:
        """The slots of each server that calls itself a primary and has some: others may not have heard of it yet."""
        found = {}
        for node in self.alive():
            try:
                lines = self.ask(node, "CLUSTER", "NODES").decode().splitlines()
            except redis.RedisError:
                continue
            (mine,) = [words for words in map(str.split, lines) if "myself" in words[2]]
            slots = [_range(word) for word in mine[8:] if not word.startswith("[")]
            if "master" in mine[2] and slots:
                found[node] = slots
        return found

    def _followed(self, node: int) -> bool:
        follower = self.replica(node)
        if follower < 0:
            return False
        told = self._replication(node)
        if not told["connected_slaves"]:
            return False
        heard = told[
            "slave0"
        ]  # online is said before it has acknowledged anything: until then WAIT counts nobody
        return bool(heard["state"] == "online" and heard["offset"] > 0)

    def _replication(self, node: int) -> dict[str, Any]:
        with self.servers[node].client() as client:
            info: dict[str, Any] = client.info("replication")
            return info


def _range(word: str) -> range:
    first, _, last = word.partition("-")
    return range(int(first), int(last or first) + 1)


def _table(text: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)


@contextmanager
def cluster(folder: Path) -> Iterator[Shards]:
    """A whole cluster, ended afterwards."""
    shards = Shards(folder)
    try:
        shards.start()
        yield shards
    finally:
        shards.close()
