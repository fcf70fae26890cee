"""Questions as the encoder reads them: the latest events of a shopper, then the question with its own context."""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate

import numpy as np

from recsys.clock import DAY, SECOND
from recsys.errors import ConfigError
from recsys.feature.coding import Vocabulary
from recsys.feature.past import Past
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.feature.temporal import local_time
from recsys.feature.token import token_features
from recsys.feature.view import View
from recsys.sequence.batch import SequenceBatch, TokenTensors, collate
from recsys.sequence.stream import TokenStream
from recsys.sequence.token_rows import token_rows
from recsys.state import Context, History, ShopperState


def askable(state: ShopperState, spec: FeatureSpec) -> bool:
    """Whether the encoder has anything to read: a query token, or an event to stand in for it."""
    return spec.query is QueryKind.TOKEN or bool(spec.shown(state.history).any())


def most_shown(spec: FeatureSpec) -> int:
    """How many events the encoder is shown: as many as the longest window of the training holds beside a question, so
    that no position is asked that was never trained."""
    return spec.max_length - (spec.query is QueryKind.TOKEN)


def shown_rows(acts: History, spec: FeatureSpec) -> np.ndarray:
    """The rows of what a shopper did that the encoder is shown: the latest `most_shown`."""
    return latest_rows(acts.time, spec.shown(acts).nonzero()[0], most_shown(spec))


def question_stream(
    states: Sequence[ShopperState], spec: FeatureSpec, *, shown: Sequence[np.ndarray] | None = None
) -> TokenStream:
    """The latest events of each state, then one query token at its instant (`QueryKind.TOKEN`). `shown` are the rows of
    each state's acts that are shown, `shown_rows` if None.

    Features are those of the whole history that is known, as in training; only the latest events are shown.
    """
    with_token = spec.query is QueryKind.TOKEN
    acts = [state.history.acts() for state in states]
    chosen = [shown_rows(known, spec) for known in acts] if shown is None else shown
    events, start = _joined(acts, spec), np.array([0, *accumulate(map(len, acts))])
    token_start = np.array([0, *accumulate(len(rows) + with_token for rows in chosen)])
    row = (
        chosen[0] if len(states) == 1 else np.concatenate([r + b for r, b in zip(chosen, start.tolist(), strict=False)])
    )
    at = np.array([state.context.at for state in states] if with_token else (), np.int64)
    time, moment, is_query, begins, low, high = token_rows(
        _plain(events.time), start, _plain(row), token_start, at, spec.lookback
    )
    event = np.flatnonzero(~is_query) if with_token else slice(None)
    item, kind = np.zeros(len(time), np.int32), np.zeros(len(time), np.int8)
    item[event], kind[event] = events.item[row], spec.type_codes()[events.type[row]]
    stream = partial(TokenStream, item=item, type=kind, time=time, moment=moment, is_query=is_query, start=token_start)
    reach = np.zeros(len(time), np.int32)
    if not spec.names:
        return stream(reach=reach, features={})
    local = time[begins] if spec.order_only else local_time(time[begins], spec.time_zone)
    contexts = [state.context for state in states] if with_token else []
    codes = partial(_codes, spec=spec, events=events, row=row, contexts=contexts, is_query=is_query, begins=begins)
    view = View(
        events=events,
        start=start,
        past=Past(low, high),
        at=time[begins],
        local=_own_time(local, time[begins], contexts, moment[is_query]),
        channel=codes("channel", spec.channels),
        device=codes("device", spec.devices),
        row=row,
        moment=moment[event],
        at_day=local // DAY,
        spec=spec,
    )
    return stream(reach=reach, features=token_features(view, spec.names, moment=moment, is_query=is_query))


def _joined(acts: Sequence[History], spec: FeatureSpec) -> History:
    """What shoppers did, end to end, with the columns that anything reads."""
    if len(acts) == 1:
        return acts[0]
    read = ("item", "type", "time", *spec.columns)
    return History(**{name: np.concatenate([getattr(known, name) for known in acts]) for name in read})


def _plain(column: np.ndarray) -> np.ndarray:
    """The same numbers as compiled loops take them: side by side, and in memory that may be written to."""
    return column if column.flags.c_contiguous and column.flags.writeable else column.copy()


def _codes(
    name: str,
    names: Vocabulary,
    *,
    spec: FeatureSpec,
    events: History,
    row: np.ndarray,
    contexts: Sequence[Context],
    is_query: np.ndarray,
    begins: np.ndarray,
) -> np.ndarray:
    """Codes of the channel or device of each moment [M]; a question knows its own, several events have the largest.
    Where no feature says that it reads them there are none to be read."""
    if name not in spec.columns:
        return np.empty(0, np.int8)
    found = np.empty(len(is_query), np.int8)
    found[~is_query] = getattr(events, name)[row]
    found[is_query] = [names.code(getattr(context, name)) for context in contexts]
    return np.maximum.reduceat(found, begins) if len(begins) else found


def _own_time(local: np.ndarray, at: np.ndarray, contexts: Sequence[Context], asked: np.ndarray) -> np.ndarray:
    """The wall-clock of each moment [M]: by the shopper's own offset where a question, one of the moments `asked`,
    knows it."""
    if all(context.utc_offset_s is None for context in contexts):
        return local
    found = local.copy()
    for moment, context in zip(asked.tolist(), contexts, strict=True):
        if context.utc_offset_s is not None:
            found[moment] = at[moment] + context.utc_offset_s * SECOND
    return found


def latest_rows(time: np.ndarray, row: np.ndarray, count: int) -> np.ndarray:
    """At most `count` latest of `row` [N] ascending, without cutting a moment in two unless it alone is longer."""
    if len(row) <= count:
        return row
    recent = row[len(row) - count :]
    if time[row[-count - 1]] == time[recent[0]]:
        whole = time[recent] > time[recent[0]]
        recent = recent[whole] if whole.any() else recent
    return recent


def latest_moments(history: History, count: int) -> History:
    """At most `count` latest events, without cutting a moment in two unless it alone is longer."""
    if len(history) <= count:
        return history
    return history[int(latest_rows(history.time, np.arange(len(history)), count)[0]) :]


def remembered(history: History, count: int) -> History:
    """At most `count` latest of the things that the shopper did, as `latest_moments` counts them."""
    return latest_moments(history.acts(), count)


def question_batch(states: Sequence[ShopperState], spec: FeatureSpec) -> SequenceBatch:
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
