"""The token stream: histories as the encoder reads them, built by one function for training and for serving."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from recsys.clock import SECOND
from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.feature.temporal import gap_class, hour_of, local_time, weekday_of
from recsys.protocols import Target
from recsys.sequence.batch import SequenceBatch, TokenTensors, collate
from recsys.sequence.histories import Histories
from recsys.state import History, ShopperState
from recsys.target.next_moment import NextMoment


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream:
    """Tokens of S sequences laid end to end, N in all; columns as in `SequenceBatch`, [N] each.

    `moment` numbers the moments through the whole stream; `start` [S + 1] says where each sequence begins;
    `reach` is how many of the tokens after a token that asks may be its targets, 0 where nothing is asked.
    """

    item: np.ndarray
    type: np.ndarray
    time: np.ndarray
    moment: np.ndarray
    is_query: np.ndarray
    reach: np.ndarray
    features: Mapping[str, np.ndarray]
    start: np.ndarray

    def rows(self, chosen: np.ndarray, start: np.ndarray) -> "TokenStream":
        """The tokens `chosen` [n], in that order, as sequences that begin at `start`."""
        names = ("item", "type", "time", "moment", "is_query", "reach")
        return TokenStream(
            **{name: getattr(self, name)[chosen] for name in names},
            features={name: values[chosen] for name, values in self.features.items()},
            start=start,
        )


def training_stream(histories: Histories, spec: FeatureSpec, target: Target | None = None) -> TokenStream:
    """Every event of every sequence; with `QueryKind.TOKEN` a query token stands before each moment, and again after
    every `max_length` events of a longer one: the same question, so that every window holds the query of its targets.

    `target` says what is asked for; the next moment if None.
    """
    target = target or NextMoment()
    events, moments = histories.events, histories.moments()
    if spec.query is QueryKind.LAST:
        if len(moments) != len(events):
            raise ConfigError(
                f"features.query=last needs one event per instant, but {len(events) - len(moments)} of {len(events)} "
                "events share theirs with another; use features.query=token"
            )
        reach = np.zeros(len(events), np.int32)
        asking = np.setdiff1d(np.arange(len(events)), histories.start[1:] - 1)
        reach[asking] = target.ends(histories, asking + 1) - (asking + 1)
        return _stream(events, np.zeros(len(events), bool), reach, histories.start, spec)
    size = np.diff(np.append(moments, len(events)))
    within = np.arange(len(events)) - np.repeat(moments, size)
    asks = within % spec.max_length == 0
    first = np.flatnonzero(asks)
    place = np.arange(len(events)) + np.cumsum(asks)
    source = np.empty(len(events) + len(first), np.int64)
    is_query = np.ones(len(source), bool)
    is_query[place] = False
    source[place] = np.arange(len(events))
    source[is_query] = first
    reach = np.zeros(len(source), np.int32)
    reach[is_query] = _reach(histories, target, moments, first, place)
    start = np.append(np.searchsorted(first, histories.start[:-1]), len(first)) + histories.start
    return _stream(events[source], is_query, reach, start, spec)


def _reach(
    histories: Histories, target: Target, moments: np.ndarray, first: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """Tokens after each query up to its last target [Q]. A question that a long moment repeats goes on where the one
    before it was cut: every target of the moment itself is asked for once."""
    owner = moments[np.searchsorted(moments, first, side="right") - 1]
    ends = target.ends(histories, owner)
    following = np.append(first[1:], len(place))
    repeated = np.append(owner[1:] == owner[:-1], False)
    ends = np.where(repeated, np.minimum(ends, following), ends)
    again = owner != first
    moment_end = np.append(moments[1:], len(place))[np.searchsorted(moments, owner)]
    ends = np.where(again, np.minimum(ends, moment_end), ends)
    last = place[np.maximum(ends, first + 1) - 1]
    return np.where(ends > first, last - (place[first] - 1), 0)


def askable(state: ShopperState, spec: FeatureSpec) -> bool:
    """Whether the encoder has anything to read: a query token, or an event to stand in for it."""
    return spec.query is QueryKind.TOKEN or len(state.history.interactions()) > 0


def question_stream(states: "list[ShopperState]", spec: FeatureSpec) -> TokenStream:
    """The latest events of each state, then one query token at its instant (`QueryKind.TOKEN`); as long as the longest
    window of the training, so that no position is asked that was never trained.

    Features are those of the whole history that is known, as in training; only then the latest events are cut out.
    """
    with_token = spec.query is QueryKind.TOKEN
    parts, queries, kept, begin, end = [], [], [], [], 0
    for state in states:
        seen = state.history.interactions()
        count = len(latest_moments(seen, spec.max_length - with_token)) + with_token
        parts.append(seen)
        queries.append(np.zeros(len(seen), bool))
        if with_token:
            parts.append(
                History(item=np.zeros(1, np.int64), type=np.zeros(1, np.int8), time=np.array([state.context.at]))
            )
            queries.append(np.ones(1, bool))
        begin.append(end)
        end += len(seen) + with_token
        kept.append(np.arange(end - count, end))
    is_query = np.concatenate(queries)
    whole = _stream(History.joined(parts), is_query, np.zeros(end, np.int32), np.array([*begin, end]), spec)
    start = np.cumsum([0, *(len(rows) for rows in kept)])
    stream = whole.rows(np.concatenate(kept), start)
    return _at_the_shoppers_own_time(stream, states) if with_token and spec.calendar else stream


def _question_row(at: int) -> History:
    return History(item=np.zeros(1, np.int64), type=np.zeros(1, np.int8), time=np.array([at]))


def _at_the_shoppers_own_time(stream: TokenStream, states: "list[ShopperState]") -> TokenStream:
    """The query tokens' hour and weekday by the shopper's own offset, where the context tells it."""
    hour, weekday = stream.features["hour"].copy(), stream.features["weekday"].copy()
    for row, state in zip(stream.start[1:] - 1, states, strict=True):
        if state.context.utc_offset_s is not None:
            local = np.array(state.context.at + state.context.utc_offset_s * SECOND)
            hour[row], weekday[row] = hour_of(local), weekday_of(local)
    return replace(stream, features={**stream.features, "hour": hour, "weekday": weekday})


def latest_moments(history: History, count: int) -> History:
    """At most `count` latest events, without cutting a moment in two unless it alone is longer."""
    if len(history) <= count:
        return history
    recent = history[len(history) - count :]
    if history.time[-count - 1] == recent.time[0]:
        whole = recent.time > recent.time[0]
        recent = recent[whole] if whole.any() else recent
    return recent


def _stream(
    events: History, is_query: np.ndarray, reach: np.ndarray, start: np.ndarray, spec: FeatureSpec
) -> TokenStream:
    time = events.time
    fresh = np.diff(time, prepend=0) != 0
    fresh[start[:-1][np.diff(start) > 0]] = True
    moment = np.cumsum(fresh, dtype=np.int32) - 1
    first = np.zeros(len(time), bool)
    first[start[:-1][np.diff(start) > 0]] = True
    return TokenStream(
        item=np.where(is_query, 0, events.item).astype(np.int32),
        type=np.where(is_query, 0, spec.type_codes()[events.type]).astype(np.int8),
        time=time,
        moment=moment,
        is_query=is_query,
        reach=reach,
        features=_calendar(time, moment, np.flatnonzero(fresh), first, spec) if spec.calendar else {},
        start=start,
    )


def _calendar(
    time: np.ndarray, moment: np.ndarray, begins: np.ndarray, first: np.ndarray, spec: FeatureSpec
) -> dict[str, np.ndarray]:
    """Hour, weekday and the class of the gap to the moment before, [N] int8 each; first moments have gap class 0."""
    local = local_time(time[begins], spec.time_zone)
    gap = np.where(first[begins], -1, np.diff(time[begins], prepend=0))
    return {
        "gap": gap_class(gap).astype(np.int8)[moment],
        "hour": hour_of(local).astype(np.int8)[moment],
        "weekday": weekday_of(local).astype(np.int8)[moment],
    }


def question_batch(states: "list[ShopperState]", spec: FeatureSpec) -> SequenceBatch:
    """What the encoder reads to answer `states` [B]; query b belongs to state b.

    With `QueryKind.LAST`, which is trained without ties, events that share an instant online are masked by time.
    """
    stream = question_stream(states, spec)
    empty = np.diff(stream.start) == 0
    if empty.any():
        raise ConfigError("features.query=last cannot ask for a shopper without history; use features.query=token")
    ordered = spec.query is QueryKind.LAST and _distinct_instants(stream)
    return collate(TokenTensors.of(stream), stream.start[:-1], stream.start[1:], target_from=None, ordered=ordered)


def _distinct_instants(stream: TokenStream) -> bool:
    """Whether no two tokens of one sequence share an instant."""
    same = np.diff(stream.time) == 0
    same[stream.start[1:-1] - 1] = False
    return not same.any()
