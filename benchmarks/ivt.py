"""Invalid traffic: precision and recall by source, on lists of crawlers and networks and on simulated bots.

Place: run by hand: `python -m benchmarks.ivt [--shared DIR]`; tests hold the figures to floors.
Shapes: a row says how many bots and people there were, and how many of each were suspected. Recall is the share of bots
    that were, precision the share of bots among whoever was.
Source: ../shared/data/ivt: crawler-user-agents (the list that is compiled, so that its row checks the compiling; the
    row below it has the own rules alone, as they would meet crawlers that no list knows) and data-centre networks of
    X4BNet; agents of people are those of real requests in ../shared/corpus and of the demo. Mixes: ivt_mix.py.
"""

import argparse
import gzip
import ipaddress
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import re2
from msgspec import Struct

from benchmarks.exchange.inventory import DEVICES
from benchmarks.ivt_mix import TOLD_BY, Count, bidding, clicking
from bidder.fraud.agents import TOOLS, reasons_of
from bidder.fraud.networks import Networks, parse

SHARED: Final = Path(__file__).resolve().parents[2] / "shared"
SEED: Final = 20_261_122
SAMPLE: Final = 20_000
HELD_OUT: Final = 0.1


class Row(Struct, frozen=True):
    """One line of the table."""

    source: str
    bots: int
    caught: int
    people: int
    blamed: int
    note: str = ""

    @property
    def recall(self) -> float | None:
        """Share of bots that were suspected."""
        return self.caught / self.bots if self.bots else None

    @property
    def precision(self) -> float | None:
        """Share of bots among whoever was suspected."""
        suspected = self.caught + self.blamed
        return self.caught / suspected if suspected else None


def agents(shared: Path) -> list[Row]:
    """The list of crawlers against the agents of people; and our own rules without the list."""
    listed = json.loads((shared / "data" / "ivt" / "crawler-user-agents.json").read_bytes())
    crawlers = sorted({agent for entry in listed for agent in entry["instances"]})
    people = sorted({*_real_agents(shared / "corpus"), *(device.ua for device in DEVICES)})
    own = [re2.compile(rule) for rule in TOOLS]

    def by_rules(agent: str) -> bool:
        return any(rule.search(agent) for rule in own)

    return [
        _row("crawlers, list and own rules", crawlers, people, lambda agent: bool(reasons_of(agent))),
        _row("crawlers, own rules alone", crawlers, people, by_rules, "as for crawlers that no list knows"),
    ]


def _row(source: str, bots: list[str], people: list[str], blames: Any, note: str = "") -> Row:
    return Row(source, len(bots), sum(map(blames, bots)), len(people), sum(map(blames, people)), note)


def _real_agents(corpus: Path) -> Iterator[str]:
    """Agents of the devices in real requests; those of browsers and apps: others in there were made up for tests."""
    for path in sorted(corpus.glob("*requests*")):
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            for line in file:
                for agent in _agents_in(json.loads(line)):
                    if agent.startswith(("Mozilla/", "Roku/", "Dalvik/", "Opera/")) and "jsdom" not in agent:
                        yield agent


def _agents_in(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            device = value.get("device")
            if isinstance(device, dict) and isinstance(device.get("ua"), str):
                yield device["ua"]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def networks(shared: Path) -> list[Row]:
    """The list of data centres, whole and with a tenth of it held out, against random public addresses."""
    rng = random.Random(SEED)
    lines = (shared / "data" / "ivt" / "datacenter_ipv4.txt").read_text(encoding="ascii").splitlines()
    listed = [network for network in parse(lines, "list").networks if network.version == 4]
    whole = Networks(listed)
    inside = [_address(rng, network) for network in rng.sample(listed, SAMPLE)]
    public = _outside(_public(rng), listed)[:SAMPLE]
    rng.shuffle(listed)
    held = int(len(listed) * HELD_OUT)
    rest, unseen = Networks(listed[held:]), [_address(rng, network) for network in listed[:held]]
    share = sum(map(whole.holds4, _public(rng))) / (2 * SAMPLE)
    return [
        Row(
            "data centres, listed",
            SAMPLE,
            sum(map(whole.holds4, inside)),
            len(public),
            0,
            f"{share:.1%} of public addresses",
        ),
        Row(
            "data centres, a tenth of the list held out",
            held,
            sum(map(rest.holds4, unseen)),
            len(public),
            sum(map(rest.holds4, public)),
            "a list knows what is on it",
        ),
    ]


def _address(rng: random.Random, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int:
    return int(network.network_address) + rng.randrange(network.num_addresses)


def _outside(addresses: list[int], listed: Sequence[ipaddress.IPv4Network]) -> list[int]:
    """Those in none of the networks, found in another way than the one that is measured."""
    spans = np.array([(int(n.network_address), int(n.broadcast_address)) for n in listed])
    return [
        address for address in addresses if not np.any((spans[:, 0] <= address) & (address <= spans[:, 1]))
    ]


def _public(rng: random.Random) -> list[int]:
    """Addresses that anybody may have."""
    found: list[int] = []
    while len(found) < 2 * SAMPLE:
        address = rng.randrange(1 << 24, 224 << 24)
        if ipaddress.IPv4Address(address).is_global:
            found.append(address)
    return found


def mixed(counts: Mapping[str, Count]) -> list[Row]:
    """A row for each kind of bot: who was told by the reason that is meant for them; and for each kind of people: who
    is recorded as suspect for whatever reason."""
    people = [count for count in counts.values() if not count.bot]
    seen = sum(count.seen for count in people)
    rows = []
    for kind, count in sorted(counts.items(), key=lambda item: item[1].bot):
        note = f"{count.filtered / count.seen:.1%} filtered" if count.actors else ""
        if count.bot:
            bit = int(TOLD_BY[kind])
            blamed = sum(each.with_reason(bit) for each in people)
            rows.append(Row(kind, count.seen, count.with_reason(bit), seen, blamed, note))
        else:
            rows.append(Row(kind, 0, 0, count.seen, count.suspect, note))
    return rows


def table(rows: list[Row]) -> str:
    """For a person."""
    lines = [
        f"{'source':<44} {'bots':>7} {'caught':>7} {'people':>7} {'blamed':>7} {'precision':>9} {'recall':>7}"
    ]
    for row in rows:
        figures = " ".join(
            f"{'-' if share is None else format(share, '.1%'):>{width}}"
            for share, width in ((row.precision, 9), (row.recall, 7))
        )
        lines.append(
            f"{row.source:<44} {row.bots:>7,} {row.caught:>7,} {row.people:>7,} {row.blamed:>7,} {figures}  {row.note}"
        )
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=SHARED, help="the folder of check data")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--people", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    if (arguments.shared / "data" / "ivt").is_dir():
        print(table([*agents(arguments.shared), *networks(arguments.shared)]))
    else:
        print(f"{arguments.shared} is absent: lists of crawlers and networks are not checked")
    print("\nRequests of a simulated mix")
    print(table(mixed(bidding(arguments.minutes, arguments.people, arguments.seed))))
    print("\nClicks of a simulated mix")
    print(table(mixed(clicking(6.0, arguments.people, arguments.seed))))


if __name__ == "__main__":
    main()
