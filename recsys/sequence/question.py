"""Questions as the encoder reads them: the latest events of a shopper, then the question with its own context."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recsys.errors import ConfigError
from recsys.feature.past import moment_rows
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.sequence.batch import SequenceBatch, TokenTensors, collate
from recsys.sequence.looked_at import LookedAt
from recsys.sequence.stream import TokenStream, stream_of
from recsys.state import Context, History, ShopperState


def askable(state: ShopperState, spec: FeatureSpec) -> bool:
    """Whether the encoder has anything to read: a query token, or an event to stand in for it."""
    return spec.query is QueryKind.TOKEN or bool(spec.shown(state.history).any())


def shown_rows(acts: History, spec: FeatureSpec) -> np.ndarray:
    """The rows of what a shopper did that the encoder is shown: the latest, as many as the longest window of the
    training holds beside a question, so that no position is asked that was never trained."""
    room = spec.max_length - (spec.query is QueryKind.TOKEN)
    return latest_rows(acts.time, spec.shown(acts).nonzero()[0], room)


def question_stream(
    states: Sequence[ShopperState], spec: FeatureSpec, *, shown: Sequence[np.ndarray] | None = None
) -> TokenStream:
    """The latest events of each state, then one query token at its instant (`QueryKind.TOKEN`). `shown` are the rows of
    each state's acts that are shown, `shown_rows` if None.

    Features are those of the whole history that is known, as in training; only the latest events are shown.
    """
    with_token = spec.query is QueryKind.TOKEN
    acts = [state.history.acts() for state in states]
    events, start = History.joined(acts), np.cumsum([0, *(len(known) for known in acts)])
    first = moment_rows(events.time, start)
    chosen = [shown_rows(known, spec) for known in acts] if shown is None else shown
    rows = [begin + rows for begin, rows in zip(start[:-1].tolist(), chosen, strict=True)]
    row, token_start = np.concatenate(rows), np.cumsum([0, *(len(chosen) + with_token for chosen in rows)])
    is_query, before = np.zeros(int(token_start[-1]), bool), np.empty(int(token_start[-1]), np.int64)
    contexts = [state.context for state in states] if with_token else []
    if with_token:
        is_query[token_start[1:] - 1] = True
        before[is_query] = start[1:]
    before[~is_query] = first[np.searchsorted(first, row, side="right") - 1]
    tokens = _in_order(events[row], _questions(contexts, spec), is_query)
    stream = stream_of(tokens, is_query, np.zeros(len(is_query), np.int32), token_start, spec)
    looked_at = LookedAt(
        events=events,
        start=start,
        first=first,
        token_start=token_start,
        time=stream.time,
        moment=stream.moment,
        is_query=is_query,
        before=before,
        row=row,
        channel=tokens.channel,
        device=tokens.device,
        offset_s=np.array([np.nan if c.utc_offset_s is None else c.utc_offset_s for c in contexts]),
    )
    return replace(stream, features=looked_at.features(spec))


def _questions(contexts: Sequence[Context], spec: FeatureSpec) -> History:
    """What is known of the questions themselves, as if they were events."""
    return History(
        item=np.zeros(len(contexts), np.int64),
        type=np.zeros(len(contexts), np.int8),
        time=np.array([context.at for context in contexts], np.int64),
        channel=np.array([spec.channels.code(context.channel) for context in contexts], np.int8),
        device=np.array([spec.devices.code(context.device) for context in contexts], np.int8),
    )


def _in_order(events: History, questions: History, is_query: np.ndarray) -> History:
    """Events and questions in the order of the tokens."""
    place = np.empty(len(is_query), np.int64)
    place[~is_query] = np.arange(len(events))
    place[is_query] = len(events) + np.arange(len(questions))
    return History.joined([events, questions])[place]


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
