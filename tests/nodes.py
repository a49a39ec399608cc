"""A real cluster of three masters for tests: started, resharded and broken by them.

Shapes: the fixture `nodes` is one cluster for the tests of a module; whoever breaks it mends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder.stores import keys
from bidder.stores.embedded import free_port
from tests.servers import RealServer

NODES = 3
SETTINGS = "cluster-enabled yes\ncluster-node-timeout 500\ncluster-require-full-coverage no\n"


class Nodes:
    """Three masters that share the slots in thirds."""

    def __init__(self, folder: Path) -> None:
        self.buses = [free_port() for _ in range(NODES)]
        self.servers = [
            RealServer(folder / str(i), settings=f"{SETTINGS}cluster-port {bus}\n")
            for i, bus in enumerate(self.buses)
        ]
        self.urls = ",".join(server.url for server in self.servers)

    def start(self) -> None:
        bounds = [keys.SLOTS * i // NODES for i in range(NODES + 1)]
        for i, server in enumerate(self.servers):
            server.start()
            self.ask(i, "CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
            if i:
                self.ask(0, "CLUSTER", "MEET", "127.0.0.1", server.port, self.buses[i])
        self.agree()

    def ask(self, node: int, *command: str | int | bytes) -> object:
        with self.servers[node].client() as client:
            return client.execute_command(*command)

    def migrate(self, slot: int, key: bytes, old: int, new: int) -> None:
        """Begin to move a slot, and move its only key."""
        names = [str(self.ask(node, "CLUSTER", "MYID"), "ascii") for node in (old, new)]  # type: ignore[call-overload]  # bytes
        self.ask(new, "CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
        self.ask(old, "CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
        target = self.servers[new].port
        self.ask(old, "MIGRATE", "127.0.0.1", target, "", 0, 5_000, "KEYS", key)

    def give(self, slot: int, old: int, new: int) -> None:
        """End the move: the slot is the new node's."""
        name = str(self.ask(new, "CLUSTER", "MYID"), "ascii")  # type: ignore[call-overload]  # bytes
        for node in (new, old):
            self.ask(node, "CLUSTER", "SETSLOT", slot, "NODE", name)

    def agree(self) -> None:
        """Wait until every node calls the cluster complete."""
        for node in range(NODES):
            while not self._sees_all(node):
                pass

    def _sees_all(self, node: int) -> bool:
        with self.servers[node].client() as client:
            info = client.execute_command("CLUSTER INFO")
        return info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(keys.SLOTS)

    def close(self) -> None:
        for server in self.servers:
            server.close()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster of three masters."""
    nodes = Nodes(tmp_path_factory.mktemp("cluster"))
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.close()
