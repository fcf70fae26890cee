"""What token features read: flat events, what each moment looks back on, and what several features share."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.clock import DAY
from recsys.event import EventType
from recsys.feature.past import Past, moment_rows
from recsys.feature.price import PriceHabit
from recsys.feature.repeat import Repeats, repeats
from recsys.feature.statistics import Statistics
from recsys.feature.temporal import local_time
from recsys.state import History

if TYPE_CHECKING:
    from recsys.feature.spec import FeatureSpec


@dataclass(frozen=True)
class View:
    """E events of S sequences, M moments at which something is asked or shown, and T events that are shown.

    A feature may read rows [past.low, past.high) of the events for a moment, the moment's own context (`at`, `local`,
    `channel`, `device`), and for an event that is shown its own row as well. Nothing else.

    Attributes:
        events: flat columns [E]; everything shoppers did, shown or not.
        start: where the sequences begin, and the end of the last [S + 1].
        past: what each moment looks back on [M].
        at: instant of each moment [M] microseconds.
        local: wall-clock of each moment [M] microseconds: the shop's or, where the context tells it, the shopper's own.
        channel, device: codes of the context of each moment [M].
        row: row of each event that is shown [T].
        moment: moment of each event that is shown [T].
        at_day: local day of each moment [M], by the shop's clock.
        spec: vocabularies and statistics.
    """

    events: History
    start: np.ndarray
    past: Past
    at: np.ndarray
    local: np.ndarray
    channel: np.ndarray
    device: np.ndarray
    row: np.ndarray
    moment: np.ndarray
    at_day: np.ndarray
    spec: "FeatureSpec"

    @cached_property
    def statistics(self) -> Statistics:
        """What was learnt before the cut-off."""
        return self.spec.learnt()

    @cached_property
    def day(self) -> np.ndarray:
        """Local day of every event [E], by the shop's clock."""
        first = moment_rows(self.events.time, self.start)
        day = local_time(self.events.time[first], self.spec.time_zone) // DAY
        return np.repeat(day, np.diff(np.append(first, len(self.events))))

    @cached_property
    def bought(self) -> np.ndarray:
        """Which events are purchases [E] bool."""
        return np.asarray(self.events.type == EventType.PURCHASE.code)

    @cached_property
    def price_ratio(self) -> np.ndarray:
        """Price of every event over the median of its category [E], NaN where unknown."""
        return self.statistics.prices.ratio(self.events.item, self.events.price)

    @cached_property
    def price_habit(self) -> PriceHabit:
        """At what price level the shopper bought before each moment [M]."""
        return PriceHabit.of(self.past, ratio=self.price_ratio, bought=self.bought)

    @cached_property
    def item_repeats(self) -> Repeats:
        """Earlier purchases of the item of each event that is shown [T]."""
        return self._repeats(self.events.item)

    @cached_property
    def category_repeats(self) -> Repeats:
        """Earlier purchases of the category of each event that is shown [T]."""
        return self._repeats(self.statistics.prices.category[self.events.item])

    def _repeats(self, keys: np.ndarray) -> Repeats:
        return repeats(
            self.past[self.moment],
            self.at[self.moment],
            keys[self.row],
            bought=self.bought,
            keys=keys,
            time=self.events.time,
            start=self.start,
        )
