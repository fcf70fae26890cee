"""The token stream: histories as the encoder reads them, built by one function for training and for serving."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from recsys.clock import SECOND
from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.feature.temporal import gap_class, hour_of, local_time, weekday_of
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.histories import Histories
from recsys.state import History, ShopperState


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream:
    """Tokens of S sequences laid end to end, N in all; columns as in `SequenceBatch`, [N] each.

    `moment` numbers the moments through the whole stream; `start` [S + 1] says where each sequence begins.
    """

    item: np.ndarray
    type: np.ndarray
    time: np.ndarray
    moment: np.ndarray
    gap: np.ndarray
    hour: np.ndarray
    weekday: np.ndarray
    is_query: np.ndarray
    start: np.ndarray


def training_stream(histories: Histories, spec: FeatureSpec) -> TokenStream:
    """Every event of every shopper; with `QueryKind.TOKEN` a query token stands before each moment, and again after
    every `max_length` events of a longer one: the same question, so that every window holds the query of its targets.
    """
    events, first = histories.events, histories.moments()
    if spec.query is QueryKind.LAST:
        if len(first) != len(events):
            raise ConfigError(
                f"features.query=last needs one event per instant, but {len(events) - len(first)} of {len(events)} "
                "events share theirs with another; use features.query=token"
            )
        return _stream(events, np.zeros(len(events), bool), histories.start, spec)
    size = np.diff(np.append(first, len(events)))
    within = np.arange(len(events)) - np.repeat(first, size)
    first = np.flatnonzero(within % spec.max_length == 0)
    place = np.arange(len(events)) + np.cumsum(within % spec.max_length == 0)
    source = np.empty(len(events) + len(first), np.int64)
    is_query = np.ones(len(source), bool)
    is_query[place] = False
    source[place] = np.arange(len(events))
    source[is_query] = first
    start = np.append(np.searchsorted(first, histories.start[:-1]), len(first)) + histories.start
    return _stream(events[source], is_query, start, spec)


def askable(state: ShopperState, spec: FeatureSpec) -> bool:
    """Whether the encoder has anything to read: a query token, or an event to stand in for it."""
    return spec.query is QueryKind.TOKEN or len(state.history.interactions()) > 0


def question_stream(states: "list[ShopperState]", spec: FeatureSpec) -> TokenStream:
    """The latest events of each state, then one query token at its instant (`QueryKind.TOKEN`); as long as the longest
    window of the training, so that no position is asked that was never trained."""
    parts, queries, start = [], [], [0]
    with_token = spec.query is QueryKind.TOKEN
    for state in states:
        recent = latest_moments(state.history.interactions(), spec.max_length - with_token)
        parts.append(recent)
        queries.append(np.zeros(len(recent), bool))
        if with_token:
            parts.append(_query_row(state.context.at))
            queries.append(np.ones(1, bool))
        start.append(start[-1] + len(recent) + with_token)
    stream = _stream(History.joined(parts), np.concatenate(queries), np.array(start, np.int64), spec)
    return _at_the_shoppers_own_time(stream, states) if with_token and spec.calendar else stream


def _at_the_shoppers_own_time(stream: TokenStream, states: "list[ShopperState]") -> TokenStream:
    """The query tokens' hour and weekday by the shopper's own offset, where the context tells it."""
    hour, weekday = stream.hour.copy(), stream.weekday.copy()
    for row, state in zip(stream.start[1:] - 1, states, strict=True):
        if state.context.utc_offset_s is not None:
            local = np.array(state.context.at + state.context.utc_offset_s * SECOND)
            hour[row], weekday[row] = hour_of(local), weekday_of(local)
    return replace(stream, hour=hour, weekday=weekday)


def latest_moments(history: History, count: int) -> History:
    """At most `count` latest events, without cutting a moment in two unless it alone is longer."""
    if len(history) <= count:
        return history
    recent = history[len(history) - count :]
    if history.time[-count - 1] == recent.time[0]:
        whole = recent.time > recent.time[0]
        recent = recent[whole] if whole.any() else recent
    return recent


def _query_row(at: int) -> History:
    return History(item=np.zeros(1, np.int64), type=np.zeros(1, np.int8), time=np.array([at]))


def _stream(events: History, is_query: np.ndarray, start: np.ndarray, spec: FeatureSpec) -> TokenStream:
    time = events.time
    fresh = np.diff(time, prepend=0) != 0
    fresh[start[:-1][np.diff(start) > 0]] = True
    moment = np.cumsum(fresh) - 1
    begins = np.flatnonzero(fresh)
    calendar = spec.calendar
    local = local_time(time[begins], spec.time_zone) if calendar else np.zeros(len(begins), np.int64)
    gap = np.diff(time[begins], prepend=0) if calendar else np.full(len(begins), -1)
    shown = np.where(is_query, 0, spec.type_codes()[events.type])
    return TokenStream(
        item=np.where(is_query, 0, events.item),
        type=shown,
        time=time,
        moment=moment,
        gap=gap_class(gap)[moment],
        hour=hour_of(local)[moment],
        weekday=weekday_of(local)[moment],
        is_query=is_query,
        start=start,
    )


def collate(
    stream: TokenStream,
    begin: np.ndarray,
    end: np.ndarray,
    *,
    target_from: np.ndarray | None,
    ordered: bool,
) -> SequenceBatch:
    """Cut windows [begin, end) of the stream [B] and put them side by side.

    `target_from` [B] is the first stream row of each window that counts as a target; None asks for no targets: then
    every window's last token is its query. The first moment of a window has no moment before it: its gap class is 0.
    """
    length = end - begin
    width = int(length.max(initial=1))
    column = np.arange(width)
    valid = column < length[:, None]
    row = np.where(valid, begin[:, None] + column, begin[:, None])
    position = np.where(valid, stream.moment[row] - stream.moment[begin][:, None], 0)
    is_query = stream.is_query[row] & valid
    if target_from is None:
        query = np.arange(len(begin)) * width + np.maximum(length - 1, 0)
        pair_query = pair_target = np.empty(0, np.int64)
    else:
        counts = valid & (row >= target_from[:, None])
        query, pair_query, pair_target = _pairs(stream.item[row], is_query, counts, ordered)
    columns = {
        "item": stream.item[row] * valid,
        "type": stream.type[row] * valid,
        "time": stream.time[row],
        "position": position,
        "gap": np.where(position > 0, stream.gap[row], 0),
        "hour": stream.hour[row],
        "weekday": stream.weekday[row],
        "valid": valid,
        "is_query": is_query,
        "query": query,
        "pair_query": pair_query,
        "pair_target": pair_target,
    }
    return SequenceBatch(**{n: torch.from_numpy(np.ascontiguousarray(v)) for n, v in columns.items()}, ordered=ordered)


def _pairs(
    item: np.ndarray, is_query: np.ndarray, counts: np.ndarray, ordered: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries [Q] and their targets [P]; in ordered sequences each token is the query for the one after it."""
    width = item.shape[1]
    if ordered:
        target = np.flatnonzero(counts & (np.arange(width) > 0))
        return target - 1, np.arange(len(target)), item.ravel()[target]
    query = np.flatnonzero(is_query & counts)
    target = np.flatnonzero(counts & ~is_query & (item > 0))
    owner = np.searchsorted(query, target, side="right") - 1
    return query, owner, item.ravel()[target]


def question_batch(states: "list[ShopperState]", spec: FeatureSpec) -> SequenceBatch:
    """What the encoder reads to answer `states` [B]; query b belongs to state b.

    With `QueryKind.LAST`, which is trained without ties, events that share an instant online are masked by time.
    """
    stream = question_stream(states, spec)
    empty = np.diff(stream.start) == 0
    if empty.any():
        raise ConfigError("features.query=last cannot ask for a shopper without history; use features.query=token")
    ordered = spec.query is QueryKind.LAST and bool(stream.moment[-1] + 1 == len(stream.moment))
    return collate(stream, stream.start[:-1], stream.start[1:], target_from=None, ordered=ordered)
