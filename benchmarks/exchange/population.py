"""The simulated people: who they are to whom, what they agreed to, what they like.

Place: requests.py draws who sees a page; the demo writes the same people into the store; market.py says what
    they do with an ad. All follows from (seed, number), so that two processes agree without talking.
Shapes: a person's id is 32 hexadecimal digits, as our sync would have stored it at an exchange.
Units: interest is 0 (never visited the shop) to 1.
"""

from __future__ import annotations

import bisect
import hashlib
import random
import uuid
from itertools import accumulate
from typing import Final, NamedTuple

from benchmarks.exchange import consent
from benchmarks.exchange.inventory import DEVICE_WEIGHTS, DEVICES, PLACE_WEIGHTS, PLACES, Device, Place

_ZIPF_EXPONENT: Final = 0.9
_ZIPF_SHIFT: Final = 20  # the busiest person is not half of the traffic
_VISITOR_SHARE: Final = 0.45
_MATCHED_SHARE: Final = 0.75
_LIMITED_SHARE: Final = 0.05
_EEA_NO_CONSENT: Final = 0.10
_EEA_CONTEXTUAL: Final = 0.08
_US_OPTED_OUT: Final = 0.08
_ANONYMOUS_SHARE: Final = 0.06


class Human(NamedTuple):
    """One simulated person."""

    number: int
    id: str
    ifa: str
    place: Place
    device: Device
    matched: bool
    """Exchanges know our id of the person; otherwise only their own."""
    limited: bool
    """The device says: do not track."""
    consent: str | None
    """A TC string; None outside its regime, and where the person gave none."""
    us_privacy: str | None
    anonymous: bool = False
    """The browser keeps no third-party cookies: no exchange has an id of the person."""
    agrees: bool = True
    """What is done in shops may be kept, told to exchanges, and used for ads."""

    def id_at(self, source: str) -> str:
        """The person's id at an exchange or an id provider."""
        return _digest(f"{source}:{self.id}", 12)


class Population:
    """Seeded people whose activity follows Zipf's law; `now_s` dates their consent."""

    def __init__(self, seed: int, size: int, now_s: float) -> None:
        self._seed, self._now_s = seed, now_s
        self._people: dict[int, Human] = {}
        weights = (1 / (rank + _ZIPF_SHIFT) ** _ZIPF_EXPONENT for rank in range(1, size + 1))
        self._cumulative = list(accumulate(weights))
        self._consents = {
            "all": consent.tc_string(consent.ALL_PURPOSES, now_s),
            "contextual": consent.tc_string(consent.CONTEXTUAL_PURPOSES, now_s),
            "none": consent.tc_string((), now_s, vendors=False),
        }

    def __len__(self) -> int:
        return len(self._cumulative)

    @property
    def busiest(self) -> float:
        """The share of the most active person."""
        return float(self._cumulative[0] / self._cumulative[-1])

    def draw(self, rng: random.Random) -> Human:
        """Someone: the active ones more often."""
        return self[bisect.bisect_left(self._cumulative, rng.random() * self._cumulative[-1])]

    def __getitem__(self, number: int) -> Human:
        if not 0 <= number < len(self):
            raise IndexError(number)
        human = self._people.get(number)
        if human is None:
            human = self._people[number] = self._make(number)
        return human

    def _make(self, number: int) -> Human:
        rng = random.Random(f"{self._seed}:{number}")
        place = rng.choices(PLACES, PLACE_WEIGHTS)[0]
        tc, usp = self._choose_consent(rng, place)
        human = Human(
            number,
            f"{rng.getrandbits(128):032x}",
            str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            place,
            rng.choices(DEVICES, DEVICE_WEIGHTS)[0],
            rng.random() < _MATCHED_SHARE,
            rng.random() < _LIMITED_SHARE,
            tc,
            usp,
        )
        hidden = human.device.kind == "web" and rng.random() < _ANONYMOUS_SHARE
        return human._replace(anonymous=hidden, agrees=self._agrees(human))

    def _agrees(self, human: Human) -> bool:
        if human.limited or human.us_privacy == consent.us_privacy(True):
            return False
        return not human.place.gdpr or human.consent == self._consents["all"]

    def _choose_consent(self, rng: random.Random, place: Place) -> tuple[str | None, str | None]:
        u = rng.random()
        if place.gdpr:
            if u < _EEA_NO_CONSENT:
                return (None if u < _EEA_NO_CONSENT / 2 else self._consents["none"]), None
            return self._consents["contextual" if u < _EEA_NO_CONSENT + _EEA_CONTEXTUAL else "all"], None
        return None, consent.us_privacy(u < _US_OPTED_OUT) if place.country == "USA" else None


def interest(person_id: str, shop_domain: str) -> float:
    """How much a person likes a shop: 0 where they never visited it, else up to 1 and seldom high."""
    u = int(_digest(f"{person_id}@{shop_domain}", 6), 16) / float(1 << 48)
    return 0.0 if u >= _VISITOR_SHARE else (1 - u / _VISITOR_SHARE) ** 2 * 0.95 + 0.05


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
