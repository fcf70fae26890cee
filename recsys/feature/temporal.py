"""Features of time: pure functions of instants, the same offline and online."""

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY, HOUR, SECOND
from recsys.errors import ConfigError

HOURS = 24
WEEKDAYS = 7
DAYS_OF_MONTH = 32
"""Classes of the day of the month; class 0 is never used, so that a class is the day as people say it."""
GAPS = 32
"""Number of gap classes: class 0 is "no moment before", class g holds gaps of [2**(g-1), 2**g) seconds."""

_GAP_BORDERS = SECOND * 2 ** np.arange(1, GAPS - 1, dtype=np.int64)


_FIRST, _LAST = 0, 140 * 365 * DAY
"""Between these instants, 1970 to about 2110, a zone's changes of clock are looked up once."""


def local_time(time: np.ndarray, time_zone: str) -> np.ndarray:
    """Wall-clock microseconds [N] of instants [N] in an IANA zone, daylight saving included."""
    change, offset = _clock_changes(time_zone)
    place = change.searchsorted(time, side="right")
    if len(place) and (place.min() == 0 or place.max() == len(change)):
        return _local_time(time, time_zone)
    return np.asarray(time + offset[place])


@lru_cache(maxsize=64)
def _clock_changes(time_zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Instants at which a zone's clock changes [K], with `_FIRST` and `_LAST` around them, and its distance from UTC
    before each [K].

    To look an instant up takes a tenth of what a cast takes, which counts where a question reads two of them. Hours
    with a change are found first, then its microsecond by halving; no clock was ever changed and changed back within
    an hour.
    """
    hours = np.arange(_FIRST, _LAST + 1, HOUR)
    offset = _local_time(hours, time_zone) - hours
    changed = np.flatnonzero(np.diff(offset))
    low, high, before = hours[changed], hours[changed + 1], offset[changed]
    while (high - low > 1).any():
        middle = (low + high) // 2
        same = _local_time(middle, time_zone) - middle == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.concatenate([[_FIRST], high, [_LAST]]), np.concatenate([[0], before, offset[-1:]])


def _local_time(time: np.ndarray, time_zone: str) -> np.ndarray:
    """The same, worked out for each instant."""
    try:
        aware = pa.array(time, pa.int64()).cast(pa.timestamp("us", tz=time_zone))
        return np.asarray(pc.local_timestamp(aware).cast(pa.int64()))
    except (pa.ArrowInvalid, pa.ArrowException) as error:
        raise ConfigError(f"the time zone {time_zone!r} is not known here ({error}); use an IANA name") from error


def hour_of(local: np.ndarray) -> np.ndarray:
    """Hour of the day 0..23 of wall-clock microseconds [N]."""
    return local // HOUR % HOURS


def weekday_of(local: np.ndarray) -> np.ndarray:
    """Weekday 0..6 (Monday is 0) of wall-clock microseconds [N]; 1970-01-01 was a Thursday."""
    return (local // DAY + 3) % WEEKDAYS


def day_of_month(day: np.ndarray) -> np.ndarray:
    """Day of the month 1..31 of local days [N], counted from 1970-01-01."""
    date = day.astype("datetime64[D]")
    return np.asarray((date - date.astype("datetime64[M]")).astype(np.int64) + 1)


def month_length(day: np.ndarray) -> np.ndarray:
    """Number of days, 28..31, of the months in which local days [N] lie."""
    month = day.astype("datetime64[D]").astype("datetime64[M]")
    days = (month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")
    return np.asarray(days.astype(np.int64))


def gap_class(gap: np.ndarray) -> np.ndarray:
    """Class 0..GAPS-1 of gaps in microseconds [N]; negative gaps mean "no moment before" and give 0."""
    return np.where(gap < 0, 0, 1 + np.searchsorted(_GAP_BORDERS, gap, side="right"))
