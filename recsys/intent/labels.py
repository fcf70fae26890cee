"""What is learnt about a question from what came after it. Nothing is read beyond what may be learnt from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys.clock import DAY
from recsys.event import EventType
from recsys.intent.ahead import Ahead
from recsys.sequence.histories import Histories
from recsys.sequence.sessions import sessions
from recsys.sequence.stream import TokenStream

UNKNOWN = -1
"""What a label says where the future is not known, or where it says nothing about the question."""
WISHES = (EventType.ADD_TO_CART, EventType.WISHLIST)
"""Events that show that an item is considered."""


class Label(Protocol):
    """Reads columns of labels, [M] each, from what lies ahead."""

    def columns(self, ahead: Ahead) -> Mapping[str, np.ndarray]:
        """The columns by name; where nothing is known they say `UNKNOWN`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLabel:
    """How the session that runs at the question ends; what happened in it before the question counts for nothing.

    `purchase` [M] int8: whether a `goal` is still to come in it, the question's own moment included. `considering` [M]
    int8, where none is: whether an item will be put into the cart or on the wish list, or looked at again that was
    looked at earlier in the session. Both are unknown where the session is not known to be over.
    """

    goal: EventType = EventType.PURCHASE

    def columns(self, ahead: Ahead) -> Mapping[str, np.ndarray]:
        """`purchase` and `considering`."""
        ends, over = ahead.session()
        bought = _any(ahead.of_type(self.goal), ahead.row, ends)
        considered = _any(ahead.of_type(*WISHES) | _again(ahead.histories), ahead.row, ends)
        return {
            "purchase": np.where(over, bought, UNKNOWN).astype(np.int8),
            "considering": np.where(over & ~bought, considered, UNKNOWN).astype(np.int8),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitLabel:
    """How long after the question's moment the next `goal` comes, the moment itself left out.

    `wait_days` [M] float32: until it comes or, where it is not seen, until nothing is known any more (censored).
    `wait_seen` [M] int8: 1 where it is seen, 0 where it is censored.
    """

    goal: EventType = EventType.PURCHASE

    def columns(self, ahead: Ahead) -> Mapping[str, np.ndarray]:
        """`wait_days` and `wait_seen`."""
        goals = np.flatnonzero(ahead.of_type(self.goal))
        time = ahead.histories.events.time
        following = np.append(goals, len(time))[np.searchsorted(goals, ahead.moment_end)]
        seen = following < ahead.sequence_end
        until = np.where(seen, time[np.minimum(following, len(time) - 1)], ahead.known_until)
        return {
            "wait_days": (np.maximum(until - ahead.at, 0) / DAY).astype(np.float32),
            "wait_seen": seen.astype(np.int8),
        }


@dataclass(frozen=True, slots=True)
class Labels:
    """All that a set of heads learns from what lies ahead; none of it for logs of bare order."""

    parts: tuple[Label, ...]

    def of(
        self, histories: Histories, *, sequence: np.ndarray, at: np.ndarray, until: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Columns [M] by name; arguments as in `Ahead.of`."""
        ahead = Ahead.of(histories, sequence=sequence, at=at, until=until)
        return {name: values for part in self.parts for name, values in part.columns(ahead).items()}

    def of_stream(self, stream: TokenStream, histories: Histories, until: np.ndarray) -> dict[str, np.ndarray]:
        """Columns [N] for the tokens of the training stream of `histories`; they speak at query tokens only."""
        if not self.parts:
            return {}
        asks = np.flatnonzero(stream.is_query)
        sequence = np.searchsorted(stream.start, asks, side="right") - 1
        columns = {}
        for name, values in self.of(histories, sequence=sequence, at=stream.time[asks], until=until).items():
            columns[name] = np.full(len(stream.item), UNKNOWN, values.dtype)
            columns[name][asks] = values
        return columns


def _any(flag: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Whether any of the rows [begin, end) is flagged, [M] bool."""
    count = np.concatenate([[0], np.cumsum(flag)])
    found: np.ndarray = count[np.maximum(end, begin)] > count[begin]
    return found


def _again(histories: Histories) -> np.ndarray:
    """Which events are about an item that the same session was about at an earlier instant, [E] bool."""
    rows = np.flatnonzero(histories.is_interaction())
    session = sessions(histories.events.time, histories.start).number[rows]
    order = np.lexsort((histories.events.item[rows], session))  # stable: in order of time within
    rows, session = rows[order], session[order]
    time, item = histories.events.time[rows], histories.events.item[rows]
    first = np.ones(len(rows), bool)
    first[1:] = (session[1:] != session[:-1]) | (item[1:] != item[:-1])
    began = time[np.flatnonzero(first)][np.cumsum(first) - 1]
    again = np.zeros(len(histories.events), bool)
    again[rows[time > began]] = True
    return again
