"""The token stream: histories as the encoder reads them. What training is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from recsys.errors import ConfigError
from recsys.event import ACTS
from recsys.feature.past import moment_rows
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.protocols import Target
from recsys.sequence.histories import Histories
from recsys.sequence.looked_at import LookedAt
from recsys.state import History, is_one_of
from recsys.target.next_moment import NextMoment


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream:
    """Tokens of S sequences laid end to end, N in all; columns as in `SequenceBatch`, [N] each.

    `moment` numbers the moments through the whole stream; `start` [S + 1] says where each sequence begins;
    `reach` is how many of the tokens after a token that asks may be its targets, 0 where nothing is asked; `labels`,
    where there are any, say more of what came after it.
    """

    item: np.ndarray
    type: np.ndarray
    time: np.ndarray
    moment: np.ndarray
    is_query: np.ndarray
    reach: np.ndarray
    features: Mapping[str, np.ndarray]
    start: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)

    def rows(self, chosen: np.ndarray, start: np.ndarray) -> "TokenStream":
        """The tokens `chosen` [n], in that order, as sequences that begin at `start`."""
        names = ("item", "type", "time", "moment", "is_query", "reach")
        return TokenStream(
            **{name: getattr(self, name)[chosen] for name in names},
            features={name: values[chosen] for name, values in self.features.items()},
            start=start,
            labels={name: values[chosen] for name, values in self.labels.items()},
        )


def training_stream(histories: Histories, spec: FeatureSpec, target: Target | None = None) -> TokenStream:
    """Every event of every sequence that the encoder is shown; with `QueryKind.TOKEN` a query token stands before each
    moment, and again after every `max_length` events of a longer one: the same question, so that every window holds the
    query of its targets.

    `histories` hold all that shoppers did, shown or not: features look back on it. A sequence of which nothing is shown
    is empty. `target` says what is asked for; the next moment if None.
    """
    target = target or NextMoment()
    acts = _kept(histories, is_one_of(ACTS)[histories.events.type])
    row = np.flatnonzero(spec.shown(acts.events))
    shown = _kept(acts, row)
    first = moment_rows(acts.events.time, acts.start)
    tokens, source = _tokens(shown, spec, target)
    is_query = tokens.is_query
    looked_at = LookedAt(
        events=acts.events,
        start=acts.start,
        first=first,
        token_start=tokens.start,
        time=tokens.time,
        moment=tokens.moment,
        is_query=is_query,
        before=first[np.searchsorted(first, row, side="right") - 1][source],
        row=row[source[~is_query]],
        channel=np.where(is_query, 0, shown.events.channel[source]),
        device=np.where(is_query, 0, shown.events.device[source]),
    )
    return replace(tokens, features=looked_at.features(spec))


def _kept(histories: Histories, chosen: np.ndarray) -> Histories:
    """The same sequences, also those left with nothing, with the rows `chosen`: [E] bool or ascending numbers."""
    if chosen.dtype == bool:
        if chosen.all():
            return histories
        chosen = np.flatnonzero(chosen)
    start = np.searchsorted(chosen, histories.start)
    return Histories(
        histories.shopper, start, histories.events[chosen], histories.asked_from, histories.adoption[chosen]
    )


def _tokens(shown: Histories, spec: FeatureSpec, target: Target) -> tuple[TokenStream, np.ndarray]:
    """The tokens of events that are shown, without features, and the row of `shown` that each comes from [N]."""
    events, moments = shown.events, shown.moments()
    if spec.query is QueryKind.LAST:
        if len(moments) != len(events):
            raise ConfigError(
                f"features.query=last needs one event per instant, but {len(events) - len(moments)} of {len(events)} "
                "events share theirs with another; use features.query=token"
            )
        reach = np.zeros(len(events), np.int32)
        last = shown.start[1:][np.diff(shown.start) > 0] - 1
        asking = np.setdiff1d(np.arange(len(events)), last)
        reach[asking] = target.ends(shown, asking + 1) - (asking + 1)
        return stream_of(events, np.zeros(len(events), bool), reach, shown.start, spec), np.arange(len(events))
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
    reach[is_query] = _reach(shown, target, moments, first, place)
    start = np.searchsorted(first, shown.start) + shown.start
    return stream_of(events[source], is_query, reach, start, spec), source


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


def stream_of(
    events: History, is_query: np.ndarray, reach: np.ndarray, start: np.ndarray, spec: FeatureSpec
) -> TokenStream:
    """A stream without features."""
    fresh = np.zeros(len(events), bool)
    fresh[moment_rows(events.time, start)] = True
    return TokenStream(
        item=np.where(is_query, 0, events.item).astype(np.int32),
        type=np.where(is_query, 0, spec.type_codes()[events.type]).astype(np.int8),
        time=events.time,
        moment=np.cumsum(fresh, dtype=np.int32) - 1,
        is_query=is_query,
        reach=reach,
        features={},
        start=start,
    )
