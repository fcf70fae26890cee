"""The plain definition that features are compared with: "history" is a loop over what is strictly before."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from recsys.feature.past import Past, moment_rows, past_before


@dataclass(frozen=True)
class PlainEvent:
    """One event of a random log."""

    time: int
    item: int
    bought: bool
    price: float
    list_price: float


PRICES = st.sampled_from([float("nan"), 0.5, 1.0, 2.0, 3.0, 4.0, 7.5])
EVENTS = st.builds(
    PlainEvent, time=st.integers(0, 8), item=st.integers(0, 4), bought=st.booleans(), price=PRICES, list_price=PRICES
)
LOGS = st.lists(st.lists(EVENTS, max_size=8), min_size=1, max_size=4).map(
    lambda log: [sorted(shopper, key=lambda event: event.time) for shopper in log]
)
"""Shoppers' events in order of time; some shoppers have none, many events share an instant."""


@dataclass(frozen=True)
class Columns:
    """A random log as flat columns, and what every event looks back on."""

    time: np.ndarray
    item: np.ndarray
    bought: np.ndarray
    price: np.ndarray
    list_price: np.ndarray
    start: np.ndarray
    past: Past

    @classmethod
    def of(cls, log: list[list[PlainEvent]], *, unit: int, lookback: int) -> "Columns":
        events = [event for shopper in log for event in shopper]
        time = np.array([event.time * unit for event in events], np.int64)
        start = np.cumsum([0, *map(len, log)])
        first = moment_rows(time, start)
        moment = first[np.searchsorted(first, np.arange(len(time)), side="right") - 1] if len(time) else first
        return cls(
            time,
            np.array([event.item for event in events], np.int64),
            np.array([event.bought for event in events], bool),
            np.array([event.price for event in events], np.float32),
            np.array([event.list_price for event in events], np.float32),
            start,
            past_before(moment, np.repeat(start[:-1], np.diff(start)), first, lookback=lookback),
        )


def before(shopper: list[PlainEvent], time: int, *, lookback: int) -> list[PlainEvent]:
    """What happened strictly before `time`: the latest whole moments that have at most `lookback` events together."""
    earlier = [event for event in shopper if event.time < time]
    kept: list[PlainEvent] = []
    for instant in sorted({event.time for event in earlier}, reverse=True):
        moment = [event for event in earlier if event.time == instant]
        if len(kept) + len(moment) > lookback:
            break
        kept = moment + kept
    return kept
