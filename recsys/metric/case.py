"""The questions of an evaluation: what will this shopper take next, asked the instant before.

A query is the instant before a moment of the test window; its history is strictly earlier; its targets are all distinct
items of the moment (or what else `recsys/target` can ask for). Items unknown before the cut-off cannot be ranked and
count as misses.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from recsys.catalogue import UNKNOWN
from recsys.event import EventType
from recsys.protocols import Target
from recsys.sequence.histories import Histories
from recsys.sequence.question import remembered
from recsys.state import Context, ShopperState, is_one_of
from recsys.target.next_moment import NextMoment

_UNTOLD = np.empty(0, np.int8)


def _untold() -> np.ndarray:
    return _UNTOLD


@dataclass(frozen=True, slots=True)
class Case:
    """One query of the evaluation.

    Attributes:
        state: the shopper the instant before.
        shopper: number of the shopper.
        target: distinct known items of the moment [T].
        is_repeat: whether the shopper took each target before [T].
        size: number of distinct items of the moment, unknown ones included.
        type: `EventType.code` of the event that took each target, the gravest of several [T] int8; 0 where not told.
    """

    state: ShopperState
    shopper: int
    target: np.ndarray
    is_repeat: np.ndarray
    size: int
    type: np.ndarray = field(default_factory=_untold)

    def __post_init__(self) -> None:
        if self.type is _UNTOLD:
            object.__setattr__(self, "type", np.zeros(len(self.target), np.int8))

    @property
    def excluded(self) -> np.ndarray:
        """Items [H] that are taken out of the ranking, for every way of ranking alike."""
        return np.fromiter(self.state.exclude, np.int64, len(self.state.exclude))


def cases_between(
    histories: Histories,
    *,
    since: int | np.ndarray,
    until: int | np.ndarray,
    target: Target | None = None,
    wanted: Collection[EventType] = (EventType.PURCHASE,),
    memory: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    exclude_seen: bool = False,
) -> list[Case]:
    """The cases of all moments in [since, until) that hold a `wanted` event; `limit` samples that many of them.

    `since` and `until` are instants for all, or one for each sequence [S]. `target` says which of the wanted events
    from the moment on are asked for; those of the moment if None. What reaches beyond `until` is not asked. States hold
    the latest `memory` events, as they do online (None: all); whether a target is a repeat is asked of all. `histories`
    must hold every event, those of unknown items too.

    `exclude_seen` takes the items that the shopper interacted with at any earlier instant out of the ranking; a target
    among them is a miss. It is what evaluations of data without repeats do: S3-Rec's code (https://github.com/RUCAIBox/
    CIKM2020-S3Rec, Amazon), Meta's of HSTU (https://github.com/facebookresearch/generative-recommenders, ML-1M and
    Amazon). Those of sessions (SR-GNN's, Diginetica) do not: clicks come back.
    """
    target = target or NextMoment()
    first = histories.moments()
    owner = histories.owner()[first]
    instant = histories.events.time[first]
    is_wanted = is_one_of(tuple(wanted))[histories.events.type]
    begins = np.maximum(since, histories.asked_from)[owner]
    within = instant + target.span < np.broadcast_to(until, len(histories))[owner]
    inside = (instant >= begins) & within
    chosen = np.flatnonzero(inside & (np.add.reduceat(is_wanted, first) > 0)) if len(first) else first
    if limit is not None and limit < len(chosen):
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, limit, replace=False))
    rows = np.flatnonzero(is_wanted)
    asked = rows[np.searchsorted(rows, first[chosen])] if len(chosen) else first[chosen]
    ends = target.ends(histories, asked)
    number = histories.shopper_number()
    return [
        _case(
            histories,
            int(owner[m]),
            int(number[owner[m]]),
            int(first[m]),
            slice(start, end),
            is_wanted,
            memory,
            exclude_seen,
        )
        for m, start, end in zip(chosen.tolist(), asked.tolist(), ends.tolist(), strict=True)
    ]


def _case(
    histories: Histories,
    sequence: int,
    shopper: int,
    first: int,
    asked: slice,
    is_wanted: np.ndarray,
    memory: int | None,
    exclude_seen: bool,
) -> Case:
    begin = int(histories.start[sequence])
    history = histories.events[begin:first]
    wanted = is_wanted[asked]
    taken, type_code = histories.events.item[asked][wanted], histories.events.type[asked][wanted]
    known = taken != UNKNOWN
    target, kind = _gravest(taken[known], type_code[known])
    context = Context(at=int(histories.events.time[asked.start]))
    seen = frozenset(history.interactions().item.tolist()) if exclude_seen else frozenset()
    state = ShopperState(remembered(history, memory) if memory else history, context, seen)
    size = len(target) + int(np.count_nonzero(~known))
    is_repeat = np.isin(target, history.item[is_wanted[begin:first]])
    return Case(state, shopper, target, is_repeat, size, kind)


def _gravest(item: np.ndarray, type_code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct items [T], ascending, and of each the type that says most about wanting it [T]."""
    order = np.lexsort((-_GRAVITY[type_code], item))
    item, type_code = item[order], type_code[order]
    first = np.diff(item, prepend=-1) != 0
    return item[first], type_code[first]


_GRAVE = (
    EventType.VIEW,
    EventType.CLICK,
    EventType.WISHLIST,
    EventType.ADD_TO_CART,
    EventType.RATING,
    EventType.PURCHASE,
)
_GRAVITY = np.zeros(max(t.code for t in EventType) + 1, np.int8)
_GRAVITY[[t.code for t in _GRAVE]] = np.arange(1, len(_GRAVE) + 1)
