"""What a person was shown, and may yet see by bids under way: the log that frequency caps are held against.

Place: stores/people brings an Exposure per person; the auction asks it before a bid, and tells it of each bid;
    stores/frequency_writer takes the bids as holds, and later makes views of them.
Shapes: a log is one field per advertiser, named as in the person's hash: a header, then records, in no order:
    header   <BxHII    version, views whose records were given up, the latest of those, the longest window asked for
    record   <IIIIIHH  at, campaign, line item, creative, bid tag, kind, count
    Of a view `at` is when it was seen, rounded up; of a hold until when the bid may become a view.
Units: seconds since the epoch by the store's clock, one for all workers; keys have 32 bits.
Limits: MAX_RECORDS per advertiser: the store's scripts merge views of the same three keys that stand close together
    (the sum of their counts at the later time), then give up the oldest to the header, where they count
    against every cap whose window reaches the latest of them. Never too few are counted.
Never: an id of a person; a view older than MAX_WINDOW_S.
"""

import struct
from binascii import unhexlify
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, IntEnum
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.campaigns.caps import Cap

VERSION: Final = 1
MAX_RECORDS: Final = 64
MAX_WINDOW_S: Final = 30 * 86_400
VISITOR_WINDOW_S: Final = 3_600
"""An address is shared and lent anew: what was counted for one tells nothing of a person after an hour."""
FREQUENCY_BIN_S: Final = 7 * 86_400
VIEW: Final = 0
HOLD: Final = 1

HEADER: Final = struct.Struct("<BxHII")
RECORD: Final = struct.Struct("<IIIIIHH")
_GIVEN_UP: Final = slice(2, 4)
"""Of a log, how many views its header counts."""
_KINDS_AT: Final = HEADER.size + 20
"""Of a log, the lower byte of its first record's kind."""
_NUMBERS: Final = [struct.Struct("<BxHII" + count * "IIIIIHH") for count in range(MAX_RECORDS + 1)]
_COLUMNS: Final = 7
_FIRST_AT, _FIRST_KIND, _FIRST_COUNT = 4, 9, 10  # after the header's four numbers
_AT, _KIND, _COUNT = 0, 5, 6  # columns 1 to 3 are the scopes CAMPAIGN, LINE and CREATIVE of a cap
_FAR_S: Final = 0xFFFFFFFF
_MANY: Final = 0xFFFF
_TAG: Final = struct.Struct("<I")

_Record = tuple[int, ...]


class Basis(Enum):
    """Whom the views are counted for."""

    PERSON = "person"
    MATCH = "match"
    """An id of the exchange that leads to nobody yet."""
    VISITOR = "visitor"
    """A truncated address and a user agent, within VISITOR_WINDOW_S."""


class Verdict(IntEnum):
    """What caps say to one more view."""

    PASSES = 0
    REACHED = 1
    """Views alone reach a cap."""
    HELD = 2
    """No cap is reached by views alone, but one with the bids under way for the same person."""


_PASSES: Final = Verdict.PASSES  # an attribute of an Enum takes 40 ns to find
_VISITOR: Final = Basis.VISITOR


class Log(Struct, gc=False):
    """One advertiser's views and holds of one person, opened: holds that have lapsed are left out."""

    records: list[_Record]
    given_up: int = 0
    given_up_s: int = 0


class BidRecord(Struct, frozen=True, gc=False):
    """What the log keeps of a bid: it is a hold from the answer to the notice, then a view."""

    field: bytes
    """The advertiser's, as `keys.field_name` spells it."""
    bid_tag: int
    """`bid_tag` of the bid's id."""
    campaign: int
    line: int
    creative: int
    """32-bit keys, as in a Cap."""
    window_s: int
    """The longest window for which the view counts: so long it is kept."""


def bid_tag(bid_id: bytes) -> int:
    """The 32 bits of a bid's id by which its hold and its view are found; one log has few."""
    tag: int = _TAG.unpack_from(bid_id)[0]
    return tag


def pack_log(log: Log, window_s: int = MAX_WINDOW_S) -> bytes:
    """A log as the value of its field; the store's scripts write the same."""
    head = HEADER.pack(VERSION, log.given_up, log.given_up_s, window_s)
    return head + b"".join([RECORD.pack(*record) for record in log.records])


def open_log(value: bytes, now_s: int) -> Log:
    """The log that a field holds; one of another version, or a damaged one, reaches every cap."""
    if _records_of(value) < 0:
        return Log([], _MANY, _FAR_S)
    _, given_up, given_up_s, _ = HEADER.unpack_from(value)
    records = [r for r in RECORD.iter_unpack(value[HEADER.size :]) if not r[_KIND] or r[_AT] >= now_s]
    return Log(records, given_up, given_up_s)


def _records_of(value: bytes) -> int:
    """How many records a log has; -1 where it is damaged or of another version."""
    size = len(value)
    count = size // RECORD.size
    if count > MAX_RECORDS or size != count * RECORD.size + HEADER.size or value[0] != VERSION:
        return -1
    return count


def most_of(value: bytes) -> int:
    """Never fewer than a log's views and holds together, whatever their time: a third of the cost of `open_log`."""
    count = _records_of(value)
    if count < 0:
        return _MANY
    numbers = _NUMBERS[count].unpack(value)
    most: int = sum(numbers[_FIRST_COUNT::_COLUMNS], numbers[1])
    return most


def verdict(
    log: Log, caps: Sequence[Cap], now_s: int, busy: int = 0, longest_s: int = MAX_WINDOW_S
) -> Verdict:
    """Whether one more view at `now_s` or later keeps within all caps; a window ends `window_s` before, itself out.

    `busy` are impressions that other requests may be bidding on: they count against every cap. No window is taken
    longer than `longest_s`.
    """
    found = _PASSES
    for cap in caps:
        since_s = now_s - (cap.window_s if cap.window_s < longest_s else longest_s)
        scope, key = cap.scope, cap.key
        views = log.given_up if log.given_up_s > since_s else 0
        held = busy
        for record in log.records:
            if record[_AT] > since_s and (not scope or record[scope] == key):
                if record[_KIND]:
                    held += record[_COUNT]
                else:
                    views += record[_COUNT]
        if views >= cap.views:
            return Verdict.REACHED
        if views + held >= cap.views:
            found = Verdict.HELD
    return found


class Exposure(Struct, gc=False):
    """What was read of one person's views; shared by the requests of a batch that are about the same person."""

    tag: bytes
    """32 hexadecimal digits that name the keys in the store."""
    basis: Basis
    views: Mapping[bytes, bytes]
    """Advertiser's field to log, as read."""
    busy: int
    """Impressions of other requests for the same person that were being decided at the time."""
    now_s: int
    """The store's clock at the time; 0 where there were no views."""
    mark: bytes
    """By which those others see us, until `finish`."""
    until_ns: int
    """Monotonic: a bid that is answered later may be one of two that do not know of each other."""
    finished: bool = False
    held: list[BidRecord] = []
    """Bids that were sent: `finish` makes them holds."""
    logs: dict[bytes, Log] | None = None

    @property
    def id(self) -> bytes:
        """The 16 bytes that a notice must bring back."""
        return unhexlify(self.tag)

    def verdict(self, field: bytes, caps: Sequence[Cap]) -> Verdict:
        """Whether one more view for an advertiser keeps within `caps`, its bids of this batch counted in."""
        log = self.logs.get(field) if self.logs is not None else None
        if log is None:
            value = self.views.get(field)
            if value is None:
                if not self.busy:
                    return _PASSES
                log = Log([])
            else:
                most = most_of(value) + self.busy
                for cap in caps:
                    if most >= cap.views:
                        break
                else:
                    return _PASSES
                log = self._keep(field, open_log(value, self.now_s))
        longest_s = VISITOR_WINDOW_S if self.basis is _VISITOR else MAX_WINDOW_S
        return verdict(log, caps, self.now_s, self.busy, longest_s)

    def chosen(self, bid: BidRecord) -> None:
        """A bid will be made: from here on it counts against the caps of the batch's other bids."""
        log = self.logs.get(bid.field) if self.logs is not None else None
        if log is None:
            value = self.views.get(bid.field)
            log = self._keep(bid.field, Log([]) if value is None else open_log(value, self.now_s))
        log.records.append((_FAR_S, bid.campaign, bid.line, bid.creative, bid.bid_tag, HOLD, 1))

    def dropped(self, bid: BidRecord) -> None:
        """A bid that was chosen is not made after all."""
        if self.logs is not None and (log := self.logs.get(bid.field)) is not None:
            log.records = [r for r in log.records if r[_AT] != _FAR_S or r[4] != bid.bid_tag]

    def _keep(self, field: bytes, log: Log) -> Log:
        if self.logs is None:
            self.logs = {}
        self.logs[field] = log
        return log


def recency_bin(seconds: int) -> int:
    """Seconds since the last view as 1 + the number of its bits: 1 within the second, 23 at 30 days. 0: no view."""
    return 1 + max(0, seconds).bit_length()


def frequency_bin(views: int) -> int:
    """Views within FREQUENCY_BIN_S as their number of bits: 0 none, 1 one, 2 two or three, ... at most 7."""
    return min(views.bit_length(), 7)


def view_bins(
    exposures: Sequence[Exposure | None],
    advertisers: Mapping[bytes, int],
    cell: NDArray[np.int64],
    width: int,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(recency bin, frequency bin) of P candidate pairs, each of shape (P,): features of a response.

    `exposures[n]` is of request n of the batch; `advertisers` gives the number, below `width`, of an advertiser's
    field; `cell` (P,) is request * width + advertiser. Who was never shown anything, or is not known, has 0 in both.
    """
    recency, frequency = np.zeros(len(cell), np.uint8), np.zeros(len(cell), np.uint8)
    seen = sorted(_seen(exposures, advertisers, width))
    if seen:
        table = np.array(seen, np.int64)
        places = table[:, 0].searchsorted(cell).clip(max=len(seen) - 1)
        known = (table[places, 0] == cell).nonzero()[0]
        recency[known] = table[places[known], 1]
        frequency[known] = table[places[known], 2]
    return recency, frequency


def _seen(
    exposures: Sequence[Exposure | None], advertisers: Mapping[bytes, int], width: int
) -> Iterator[tuple[int, int, int]]:
    """(cell, recency bin, frequency bin) of each advertiser that has shown one of the people something."""
    for number, exposure in enumerate(exposures):
        if exposure is None:
            continue
        for field, value in exposure.views.items():
            advertiser = advertisers.get(field)
            if advertiser is None:
                continue
            bins = _bins_of(value, exposure.now_s)
            if bins is not None:
                yield number * width + advertiser, *bins


def _bins_of(value: bytes, now_s: int) -> tuple[int, int] | None:
    """(recency bin, frequency bin) of a log; None where it has no view or cannot be read."""
    if VIEW not in value[_KINDS_AT :: RECORD.size] and value[_GIVEN_UP] == b"\0\0":
        return None  # holds alone: seen at a tenth of the cost of opening them
    count = _records_of(value)
    if count < 0:
        return None
    numbers = _NUMBERS[count].unpack(value)
    given_up, given_up_s = numbers[1], numbers[2]
    times: Sequence[int] = numbers[_FIRST_AT::_COLUMNS]
    counts: Sequence[int] = numbers[_FIRST_COUNT::_COLUMNS]
    kinds = numbers[_FIRST_KIND::_COLUMNS]
    if HOLD in kinds:
        seen = [place for place, kind in enumerate(kinds) if kind == VIEW]
        times, counts = [times[place] for place in seen], [counts[place] for place in seen]
    last_s = max(times, default=0)
    if given_up_s > last_s:
        last_s = given_up_s
    if not last_s or given_up == _MANY:
        return None
    since_s = now_s - FREQUENCY_BIN_S
    views = given_up if given_up_s > since_s else 0
    if times and min(times) > since_s:
        views += sum(counts)
    else:
        views += sum(n for at, n in zip(times, counts, strict=True) if at > since_s)
    return recency_bin(now_s - last_s), frequency_bin(views)
