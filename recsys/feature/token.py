"""Every feature that a token can carry, by name. A new one is a function and an entry here.

A token is an event that is shown to the encoder or a question. Features of a moment are shown with both, features of an
event only with events (class 0 with questions), and of its own context a question knows channel and device.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.clock import DAY
from recsys.feature import item, payday, price, query, repeat, temporal
from recsys.feature.past import Past
from recsys.feature.view import View

if TYPE_CHECKING:
    from recsys.feature.spec import FeatureSpec

Values = Callable[[View], np.ndarray]
POSITION_BORDERS = np.array([1, 2, 3, 4, 5, 7, 10, 15, 20, 50])
POSITIONS = len(POSITION_BORDERS) + 2
"""Classes of the rank in a slate: 0 is "not from a slate", 1 its first place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFeature:
    """One feature: how many classes it has, and their values.

    Attributes:
        classes: number of classes under a spec.
        moment: classes of every moment [M], shown with events and questions.
        event: classes of every event that is shown [T], or [T, W] for several of one kind.
        question: classes of every moment's context [M], shown with questions.
        timed: means nothing where a log has an order but no times.
        learnt: reads statistics (`FeatureSpec.statistics`).
        columns: what it reads of events, or of a moment's context, beside item, type and time. A question is shown
            nothing else of a history: whatever is missing here is unknown online.
    """

    classes: "Callable[[FeatureSpec], int]"
    moment: Values | None = None
    event: Values | None = None
    question: Values | None = None
    timed: bool = False
    learnt: bool = False
    columns: tuple[str, ...] = ()

    def values(
        self, view: View, *, moment: np.ndarray, is_query: np.ndarray, kind: type[np.signedinteger]
    ) -> np.ndarray:
        """Classes of N tokens as numbers of a `kind` that holds them, [N] or [N, W]; `moment` [N] is each token's
        moment, events come as in the view."""
        if self.moment is not None:
            return np.asarray(self.moment(view).astype(kind)[moment])
        shown = self.event(view) if self.event is not None else np.zeros(len(view.row), kind)
        found = np.zeros((len(moment), *shown.shape[1:]), kind)
        found[~is_query] = shown
        if self.question is not None:
            found[is_query] = self.question(view)[moment[is_query]]
        return found


def narrowest(classes: int) -> type[np.signedinteger]:
    """The smallest kind of number that holds as many classes."""
    for kind in (np.int8, np.int16):
        if classes - 1 <= np.iinfo(kind).max:
            return kind
    return np.int32


def token_features(
    view: View, names: Iterable[str], *, moment: np.ndarray, is_query: np.ndarray
) -> dict[str, np.ndarray]:
    """The named features of N tokens; see `TokenFeature.values`."""
    return {
        name: TOKEN_FEATURES[name].values(view, moment=moment, is_query=is_query, kind=view.spec.kind(name))
        for name in names
    }


def _gap(view: View) -> np.ndarray:
    some = view.past.high > view.past.low
    last = view.events.time[np.maximum(view.past.high - 1, 0)] if len(view.events) else view.at
    return temporal.gap_class(np.where(some, view.at - last, -1))


def _payday(view: View) -> np.ndarray:
    bought, events = view.bought, view.events
    return payday.payday_class(
        view.past.among(bought),
        view.at_day,
        day=view.day[bought],
        amount=payday.amounts(events.price[bought], events.quantity[bought], usual=view.statistics.spending),
        start=Past(view.start, view.start).among(bought).low,
    )


def _position(view: View) -> np.ndarray:
    rank = view.events.position[view.row]
    return np.where(rank < 0, 0, 1 + np.searchsorted(POSITION_BORDERS, rank, side="right"))


def _discount(view: View) -> np.ndarray:
    return price.discount_class(view.events.price[view.row], view.events.list_price[view.row])


def _price_habit(view: View) -> np.ndarray:
    return view.price_habit[view.moment].habit_class(view.price_ratio[view.row])


def _item(view: View) -> np.ndarray:
    return np.asarray(view.events.item[view.row])


def _path(level: int) -> TokenFeature:
    return TokenFeature(
        classes=lambda spec: int(spec.learnt().items.path[:, level].max(initial=0)) + 1,
        event=lambda view: view.statistics.items.path[_item(view), level],
        learnt=True,
    )


def _of(classes: int) -> "Callable[[FeatureSpec], int]":
    return lambda spec: classes


TOKEN_FEATURES: dict[str, TokenFeature] = {
    "gap": TokenFeature(classes=_of(temporal.GAPS), moment=_gap, timed=True),
    "hour": TokenFeature(classes=_of(temporal.HOURS), moment=lambda v: temporal.hour_of(v.local), timed=True),
    "weekday": TokenFeature(classes=_of(temporal.WEEKDAYS), moment=lambda v: temporal.weekday_of(v.local), timed=True),
    "day_of_month": TokenFeature(
        classes=_of(temporal.DAYS_OF_MONTH), moment=lambda v: temporal.day_of_month(v.local // DAY), timed=True
    ),
    "payday": TokenFeature(
        classes=_of(payday.PAYDAYS), moment=_payday, timed=True, learnt=True, columns=("price", "quantity")
    ),
    "channel": TokenFeature(
        classes=lambda spec: spec.channels.size,
        event=lambda v: v.events.channel[v.row],
        question=lambda v: v.channel,
        columns=("channel",),
    ),
    "device": TokenFeature(
        classes=lambda spec: spec.devices.size,
        event=lambda v: v.events.device[v.row],
        question=lambda v: v.device,
        columns=("device",),
    ),
    "shopper_price": TokenFeature(
        classes=_of(price.SHOPPERS), moment=lambda v: v.price_habit.shopper_class(), learnt=True, columns=("price",)
    ),
    "price_category": TokenFeature(
        classes=_of(price.LEVELS),
        event=lambda v: price.level_class(v.price_ratio[v.row]),
        learnt=True,
        columns=("price",),
    ),
    "price_habit": TokenFeature(classes=_of(price.HABITS), event=_price_habit, learnt=True, columns=("price",)),
    "discount": TokenFeature(classes=_of(price.DISCOUNTS), event=_discount, columns=("price", "list_price")),
    "position": TokenFeature(classes=_of(POSITIONS), event=_position, columns=("position",)),
    "query": TokenFeature(classes=_of(query.BUCKETS), event=lambda v: v.events.query[v.row], columns=("query",)),
    "item_count": TokenFeature(classes=_of(repeat.COUNTS), event=lambda v: v.item_repeats.count_class()),
    "item_recency": TokenFeature(
        classes=_of(repeat.RECENCIES), event=lambda v: v.item_repeats.recency_class(), timed=True
    ),
    "item_interval": TokenFeature(
        classes=_of(repeat.INTERVALS), event=lambda v: v.item_repeats.interval_class(), timed=True
    ),
    "item_due": TokenFeature(classes=_of(repeat.DUES), event=lambda v: v.item_repeats.due_class(), timed=True),
    "category_count": TokenFeature(
        classes=_of(repeat.COUNTS), event=lambda v: v.category_repeats.count_class(), learnt=True
    ),
    "category_recency": TokenFeature(
        classes=_of(repeat.RECENCIES), event=lambda v: v.category_repeats.recency_class(), timed=True, learnt=True
    ),
    "category_interval": TokenFeature(
        classes=_of(repeat.INTERVALS), event=lambda v: v.category_repeats.interval_class(), timed=True, learnt=True
    ),
    "category_due": TokenFeature(
        classes=_of(repeat.DUES), event=lambda v: v.category_repeats.due_class(), timed=True, learnt=True
    ),
    "category_1": _path(0),
    "category_2": _path(1),
    "category_3": _path(2),
    "category_4": _path(3),
    "brand": TokenFeature(
        classes=lambda spec: int(spec.learnt().items.brand.max(initial=0)) + 1,
        event=lambda v: v.statistics.items.brand[_item(v)],
        learnt=True,
    ),
    "item_price": TokenFeature(
        classes=_of(item.PRICES), event=lambda v: v.statistics.items.price[_item(v)], learnt=True
    ),
    "item_age": TokenFeature(
        classes=_of(item.AGES),
        event=lambda v: v.statistics.items.age_class(_item(v), v.at[v.moment]),
        timed=True,
        learnt=True,
    ),
    "item_text": TokenFeature(
        classes=_of(query.BUCKETS), event=lambda v: v.statistics.items.text[_item(v)], learnt=True
    ),
}
"""What `features.token` can name."""
