"""How fast this machine runs code like ours, right now: the CPU of one fixed piece of work.

Place: `paceline capacity --here`, and benchmarks/capacity.py before and after each part that it measures.
Shapes: a turn decodes one of BODIES requests, looks people up, intersects bitsets, multiplies small matrices, signs a
    token and encodes an answer: the same kinds of work as a bid, whatever the code of the bidder becomes.
Units: microseconds of CPU of this thread per turn.
Limits: PAUSE_TURNS turns are one reading; the median of readings is told, since neighbours of a shared machine come
    and go.
Never: imports the path of a bid: were a bid to become cheaper, machines would seem to have changed.
"""

import hashlib
import random
import time
from statistics import median
from typing import Final

import msgspec
import numpy as np

from openrtb.codec import decode_request

BODIES: Final = 64
PEOPLE: Final = 20_000
LOOKS: Final = 8
LINES: Final = 10_000
CANDIDATES: Final = 48
DIMENSIONS: Final = 32
PAUSE_TURNS: Final = 200
_SEED: Final = 5


class Yardstick:
    """The work, made ready once: some 20 ms."""

    def __init__(self) -> None:
        rng = random.Random(_SEED)
        self._bodies = [_body(rng, number) for number in range(BODIES)]
        self._people = {rng.randbytes(16): number for number in range(PEOPLE)}
        self._ids = rng.sample(list(self._people), LOOKS * BODIES)
        self._bits = [rng.getrandbits(LINES) for _ in range(BODIES)]
        generator = np.random.default_rng(_SEED)
        self._vectors = generator.standard_normal((CANDIDATES, DIMENSIONS), np.float32)
        self._tastes = generator.standard_normal((BODIES, DIMENSIONS), np.float32)

    def turn(self, number: int) -> bytes:
        """One piece of work; `number` picks what it is done on."""
        at = number % BODIES
        request = decode_request(self._bodies[at])
        found = [self._people[own] for own in self._ids[at * LOOKS : at * LOOKS + LOOKS]]
        bits = self._bits[at] & self._bits[at - 1] & self._bits[at - 2] & self._bits[at - 3]
        scores = self._vectors @ self._tastes[at]
        order = np.argsort(scores)[-4:].tolist()
        token = hashlib.blake2b(self._bodies[at][:256], key=b"yardstick", digest_size=16).hexdigest()
        bids = [
            {"id": token, "impid": imp.id, "price": float(scores[place]), "adid": str(found[place % LOOKS])}
            for imp in request.imp
            for place in order
        ]
        return msgspec.json.encode({"id": request.id, "n": bits.bit_count(), "seatbid": [{"bid": bids}]})

    def read(self, turns: int = PAUSE_TURNS) -> float:
        """CPU per turn, over so many turns."""
        turn = self.turn
        began_ns = time.thread_time_ns()
        for number in range(turns):
            turn(number)
        return (time.thread_time_ns() - began_ns) / turns / 1e3

    def measure(self, seconds: float = 1.0) -> float:
        """The median of readings over some time."""
        self.read(BODIES)
        end_s = time.monotonic() + seconds
        readings: list[float] = []
        while not readings or time.monotonic() < end_s:
            readings.append(self.read())
        return median(readings)


def _body(rng: random.Random, number: int) -> bytes:
    """A request as a large exchange writes it, of some 1.5 KB."""
    words = ["news", "sport", "shop", "travel", "garden", "music", "cars", "food"]
    request = {
        "id": rng.randbytes(16).hex(),
        "imp": [
            {
                "id": "1",
                "banner": {"format": [{"w": 300, "h": 250}, {"w": 728, "h": 90}], "pos": 1, "api": [5, 7]},
                "bidfloor": round(rng.uniform(0.1, 2.0), 2),
                "bidfloorcur": "USD",
                "secure": 1,
                "ext": {"gpid": f"/1234/{rng.choice(words)}/{number}", "data": {"pbadslot": rng.randbytes(8).hex()}},
            }
        ],
        "site": {
            "id": str(number),
            "domain": f"site{number}.example",
            "page": f"https://site{number}.example/{rng.choice(words)}/{rng.randbytes(12).hex()}.html",
            "cat": ["IAB1", "IAB9", "IAB17"],
            "publisher": {"id": rng.randbytes(4).hex(), "domain": f"publisher{number % 9}.example"},
            "content": {"keywords": ",".join(rng.choices(words, k=5)), "language": "en"},
        },
        "device": {
            "ua": "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0",
            "ip": f"192.0.2.{number}",
            "language": "en",
            "devicetype": 4,
            "geo": {"country": "DEU", "region": "BE", "lat": 52.5, "lon": 13.4, "type": 2},
        },
        "user": {
            "id": rng.randbytes(16).hex(),
            "consent": rng.randbytes(90).hex(),
            "eids": [{"source": f"id{n}.example", "uids": [{"id": rng.randbytes(16).hex()}]} for n in range(3)],
        },
        "regs": {"gdpr": 1},
        "at": 1,
        "tmax": 120,
        "cur": ["USD", "EUR"],
        "bcat": ["IAB24", "IAB25", "IAB26"],
    }  # fmt: skip
    return msgspec.json.encode(request)
