"""When the events happened: by type and day, by hour of the week, and how fine and how even the stamps are."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from recsys.card.arrays import distinct
from recsys.card.piece import Piece, run_lengths
from recsys.clock import DAY, HOUR, MINUTE, SECOND
from recsys.event import EVENT_TYPE_OF_CODE
from recsys.feature.temporal import HOURS, WEEKDAYS, hour_of, weekday_of

_CODES = max(EVENT_TYPE_OF_CODE) + 1
_MOST_CHANNELS = 20
_TOP_INSTANTS = 5
_CANDIDATES = 100
_ITEM_BITS = np.uint64(32)
_NO_CHANNEL = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What `TrafficMeasure` found.

    Attributes:
        events: all of them, by type, most frequent first.
        days: events by local date (days since 1970-01-01) and type; only dates with events.
        week: shoppers active by weekday (from Monday) and local hour, each counted once an hour, [7][24].
        channels: the same by channel and hour, [24] each; at most 20 channels.
        first, last: instants of the first and the last event.
        moments: moments of acts, all shoppers together.
        on_second, on_minute, on_hour, on_midnight: moments whose stamp is whole in that unit (midnight: UTC or local).
        instants: distinct instants of acts.
        repeats: acts on an item that repeat another of the same shopper, instant and type.
        crowded: the instants with the most moments (different shoppers), and how many; most crowded first.
    """

    events: dict[str, int]
    days: dict[int, dict[str, int]]
    week: tuple[tuple[int, ...], ...]
    channels: dict[str, tuple[int, ...]]
    first: int
    last: int
    moments: int
    on_second: int
    on_minute: int
    on_hour: int
    on_midnight: int
    instants: int
    repeats: int
    crowded: tuple[tuple[int, int], ...]

    @property
    def hours(self) -> tuple[int, ...]:
        """Shoppers active by local hour of the day, [24]."""
        return tuple(sum(day[hour] for day in self.week) for hour in range(HOURS))


class TrafficMeasure:
    """Adds up pieces of a log."""

    def __init__(self) -> None:
        self._days: dict[int, np.ndarray] = {}
        self._week = np.zeros(WEEKDAYS * HOURS, np.int64)
        self._channels: dict[str, np.ndarray] = {}
        self._first, self._last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        self._whole: Counter[str] = Counter()
        self._moments = 0
        self._instants = 0
        self._repeats = 0
        self._crowded: Counter[int] = Counter()

    def add(self, piece: Piece, acts: Piece) -> None:
        """Count a piece and what in it was done by shoppers."""
        if not len(piece):
            return
        self._first = min(self._first, int(piece.time.min()))
        self._last = max(self._last, int(piece.time.max()))
        days, place = np.unique(piece.local // DAY, return_inverse=True)
        counts = np.bincount(place * _CODES + piece.type, minlength=len(days) * _CODES).reshape(len(days), _CODES)
        for day, types in zip(days.tolist(), counts, strict=True):
            self._days[day] = self._days.get(day, 0) + types
        self._add_hours(acts)
        self._add_stamps(acts)
        self._repeats += _repeats(acts)

    def _add_hours(self, acts: Piece) -> None:
        rows = acts.heads(acts.time // HOUR)
        hour = hour_of(acts.local[rows])
        self._week += np.bincount(weekday_of(acts.local[rows]) * HOURS + hour, minlength=WEEKDAYS * HOURS)
        channel = acts.column("channel").take(rows).fill_null(_NO_CHANNEL).dictionary_encode()
        names = channel.dictionary.to_pylist()
        by_channel = np.bincount(channel.indices.to_numpy() * HOURS + hour, minlength=len(names) * HOURS)
        for name, counts in zip(names, by_channel.reshape(-1, HOURS), strict=True):
            if name in self._channels or len(self._channels) < _MOST_CHANNELS:
                self._channels[name] = self._channels.get(name, 0) + counts

    def _add_stamps(self, acts: Piece) -> None:
        rows = acts.moments()
        time, local = acts.time[rows], acts.local[rows]
        self._moments += len(rows)
        for name, unit in (("second", SECOND), ("minute", MINUTE), ("hour", HOUR)):
            self._whole[name] += int((time % unit == 0).sum())
        self._whole["midnight"] += int(((time % DAY == 0) | (local % DAY == 0)).sum())
        instant, count = np.unique(time, return_counts=True)
        self._instants += len(instant)
        top = np.lexsort((instant, -count))[:_CANDIDATES]
        self._crowded.update(dict(zip(instant[top].tolist(), count[top].tolist(), strict=True)))
        self._crowded = Counter(dict(_ranked(self._crowded)[:_CANDIDATES]))

    def result(self) -> Traffic:
        """What was found so far."""
        totals = sum(self._days.values(), np.zeros(_CODES, np.int64))
        empty = not self._days
        return Traffic(
            events=dict(sorted(_named(totals).items(), key=lambda pair: -pair[1])),
            days={day: _named(self._days[day]) for day in sorted(self._days)},
            week=tuple(tuple(day) for day in self._week.reshape(WEEKDAYS, HOURS).tolist()),
            channels={name: tuple(self._channels[name].tolist()) for name in sorted(self._channels)},
            first=0 if empty else self._first,
            last=0 if empty else self._last,
            moments=self._moments,
            on_second=self._whole["second"],
            on_minute=self._whole["minute"],
            on_hour=self._whole["hour"],
            on_midnight=self._whole["midnight"],
            instants=self._instants,
            repeats=self._repeats,
            crowded=tuple(_ranked(self._crowded)[:_TOP_INSTANTS]),
        )


def _repeats(acts: Piece) -> int:
    """Acts on an item that say again what another act of the same moment says."""
    heads = acts.moments()
    size = run_lengths(heads, len(acts))
    moment = np.repeat(np.arange(len(heads)), size)
    rows = np.flatnonzero((size[moment] > 1) & (acts.item >= 0))
    kind = (moment[rows] * _CODES + acts.type[rows]).astype(np.uint64)
    return len(rows) - len(distinct((kind << _ITEM_BITS) | acts.item[rows].astype(np.uint64)))


def _ranked(counts: Counter[int]) -> list[tuple[int, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _named(counts: np.ndarray) -> dict[str, int]:
    return {EVENT_TYPE_OF_CODE[code].value: int(counts[code]) for code in np.flatnonzero(counts).tolist()}
