"""The hour of the week where the viewer is.

Place: intake, for line items with hours.
Limits: without `geo.utcoffset` only a country that lies in one time zone gives an hour; elsewhere it is unknown
    and a line item with hours does not bid.
Source: IANA time zone database through zoneinfo; countries with a single zone.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

UNKNOWN = -1
MAX_OFFSET_MINUTES = 14 * 60
_HOUR_S = 3_600
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday

_ZONES = {
    "AUT": "Europe/Vienna",
    "BEL": "Europe/Brussels",
    "BGR": "Europe/Sofia",
    "CHE": "Europe/Zurich",
    "CZE": "Europe/Prague",
    "DEU": "Europe/Berlin",
    "DNK": "Europe/Copenhagen",
    "EST": "Europe/Tallinn",
    "FIN": "Europe/Helsinki",
    "FRA": "Europe/Paris",
    "GBR": "Europe/London",
    "GRC": "Europe/Athens",
    "HRV": "Europe/Zagreb",
    "HUN": "Europe/Budapest",
    "IND": "Asia/Kolkata",
    "IRL": "Europe/Dublin",
    "ISR": "Asia/Jerusalem",
    "ITA": "Europe/Rome",
    "JPN": "Asia/Tokyo",
    "KOR": "Asia/Seoul",
    "LTU": "Europe/Vilnius",
    "LVA": "Europe/Riga",
    "NLD": "Europe/Amsterdam",
    "NOR": "Europe/Oslo",
    "POL": "Europe/Warsaw",
    "ROU": "Europe/Bucharest",
    "SGP": "Asia/Singapore",
    "SVK": "Europe/Bratislava",
    "SVN": "Europe/Ljubljana",
    "SWE": "Europe/Stockholm",
    "TUR": "Europe/Istanbul",
    "ZAF": "Africa/Johannesburg",
}


def hour_of_week(now_s: float, utcoffset_minutes: int | None, country: str) -> int:
    """0 (Monday 00-01) to 167 in the viewer's time, or UNKNOWN."""
    if utcoffset_minutes is not None and -MAX_OFFSET_MINUTES <= utcoffset_minutes <= MAX_OFFSET_MINUTES:
        offset_s = utcoffset_minutes * 60
    elif country in _ZONES:
        offset_s = _offset_s(country, int(now_s) // _HOUR_S)
    else:
        return UNKNOWN
    hours = int(now_s + offset_s) // _HOUR_S
    return (hours + 24 * _EPOCH_WEEKDAY) % 168


@lru_cache(1_024)
def _offset_s(country: str, hour: int) -> int:
    moment = datetime.fromtimestamp(hour * _HOUR_S, UTC).astimezone(ZoneInfo(_ZONES[country]))
    offset = moment.utcoffset()
    return int(offset.total_seconds()) if offset else 0
