"""The auction logs and traffic shapes of ../shared/data, read in place.

Shapes: R rows of a log in file order; hourly shares (7, 24), Monday first.
Units: prices in CPM fen (integers 0-300), predicted click rates as shares.
Raises: NoLogs where the folder is absent.
Never: copied into the project: the logs are research data without a licence of their own.
"""

import csv
import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
TOP_PRICE = 300


class NoLogs(Exception):
    """The logs are not beside the repository."""


class Log(Struct, frozen=True, eq=False):
    """One campaign's auctions, in order."""

    name: str
    click: Ints
    price: Ints
    """What had to be reached."""
    rate: Floats
    """Predicted click rate."""

    def head(self, rows: int) -> "Log":
        """The first rows."""
        return Log(self.name, self.click[:rows], self.price[:rows], self.rate[:rows])


class History(Struct, frozen=True, eq=False):
    """What was known of campaign 2997 before its test."""

    impressions: int
    clicks: int
    cost: int
    prices: Ints
    """(301,) how often each price was seen."""


@cache
def campaign_2997() -> Log:
    """The whole test set: 156,063 rows."""
    return _log("2997", "ipinyou/rlb2997/2997.test.theta.txt.gz")


@cache
def campaign_1458(part: str = "train") -> Log:
    """220,000 rows of training, or 80,000 of test."""
    return _log("1458", f"ipinyou/sam/1458.{part}.txt.gz")


@cache
def history_2997() -> History:
    """Counts of the training set."""
    told = json.loads(_path("ipinyou/rlb2997/2997.info.json").read_text())
    counter = told["price_counter_train"]
    return History(told["imp_train"], told["clk_train"], told["cost_train"], np.array(counter, np.int64))


@cache
def week_shapes() -> dict[int, Floats]:
    """Region to its (7, 24) shares of a week's ad traffic."""
    regions: dict[int, Floats] = {}
    with _path("pacing/bat_traffic_share.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            shares = regions.setdefault(int(row["region_id"]), np.zeros((7, 24)))
            shares[int(row["dow"]) - 1, int(row["hour"])] = float(row["traffic_share"])
    return regions


def mean_day() -> Floats:
    """(24,) the mean hourly shape of all regions; sums to 1."""
    hours = np.sum([shares.sum(axis=0) for shares in week_shapes().values()], axis=0)
    return np.asarray(hours / hours.sum(), np.float64)


def _log(name: str, path: str) -> Log:
    with gzip.open(_path(path), "rt") as file:
        table = np.loadtxt(file, usecols=(0, 1, 2))
    return Log(name, table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].copy())


def _path(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        raise NoLogs(
            f"../shared/data/{name} is absent: the auction logs stand beside the repository, never in it"
        )
    return path
