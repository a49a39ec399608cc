"""Commands on their way to the server that has their key: the one there is, or the cluster's node of that slot.

Place: scripts sends through it. A group of commands goes over one connection in order, so that a WAIT behind them
    speaks of them; redis-py's pipelines on a cluster give no such promise, repeat each redirected command alone and,
    where a slot is moving, for up to a second.
Limits: a cluster's map, 5 ms of CPU, is read anew at most every REFRESH_S; a node that cannot be reached fails its own
    group alone.
Raises: nothing from `send`: a place that has no answer has the error. `group` raises what redis-py raises where no
    node can be asked for the map.
Never: repeats a command: what was sent and not answered may have been applied.
"""

import time
from collections.abc import Sequence
from typing import Any, Final, cast

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import PipelineCommand
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import MovedError, RedisError
from redis.exceptions import TimeoutError as TooLate

Client = Redis | RedisCluster
Command = Sequence[str | int]

REFRESH_S: Final = 0.5


class Nodes:
    """Knows which node has a key. Nodes are what redis-py takes them for; a single server is None."""

    def __init__(self, client: Client) -> None:
        """The client stays its owner's to close."""
        self._client: Any = client
        self._cluster = isinstance(client, RedisCluster)
        self._stale = False
        self._refreshed_s = 0.0

    async def group(self, keys: Sequence[str]) -> list[tuple[Any, list[int]]]:
        """Each node with the places of the keys that it has."""
        if not self._cluster:
            return [(None, list(range(len(keys))))]
        await self._client.initialize()
        await self._refresh()
        nodes: dict[str, tuple[Any, list[int]]] = {}
        for place, key in enumerate(keys):
            node = self._client.get_node_from_key(key)
            nodes.setdefault(node.name, (node, []))[1].append(place)
        return list(nodes.values())

    async def send(self, node: Any, commands: Sequence[Command]) -> list[Any]:
        """Commands over one connection to one node; an answer, or the error in its place, for each."""
        try:
            if node is None:
                pipeline = self._client.pipeline(transaction=False)
                for command in commands:
                    pipeline.execute_command(*command)
                return cast("list[Any]", await pipeline.execute(raise_on_error=False))
            sent = [PipelineCommand(place, *command) for place, command in enumerate(commands)]
            await node.execute_pipeline(sent)
            answers = [one.result for one in sent]
        except (RedisError, OSError) as error:
            answers = [error] * len(commands)
        if any(isinstance(answer, LostConnection | TooLate | OSError) for answer in answers):
            self._stale = True
        return answers

    async def moved(self, error: MovedError) -> None:
        """A slot is elsewhere, says a node; the others of its range probably too."""
        self._stale = True
        await self._client.nodes_manager.move_slot(error)

    async def _refresh(self) -> None:
        """Read the map anew where something was not as it says."""
        now_s = time.monotonic()
        if self._stale and now_s >= self._refreshed_s + REFRESH_S:
            self._stale, self._refreshed_s = False, now_s
            await self._client.nodes_manager.initialize()
