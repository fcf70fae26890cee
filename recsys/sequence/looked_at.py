"""From the tokens of a log laid end to end to their features: what each looks back on."""

from dataclasses import dataclass

import numpy as np

from recsys.clock import DAY
from recsys.feature.past import past_before
from recsys.feature.spec import FeatureSpec
from recsys.feature.temporal import local_time
from recsys.feature.token import token_features
from recsys.feature.view import View
from recsys.state import History


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """N tokens of S sequences, of which T are events that are shown, and the E events that they look back on.

    Attributes:
        events: everything the shoppers did, flat [E].
        start: where each sequence's events begin, and the end of the last [S + 1].
        first: rows of events at which moments begin.
        token_start: where each sequence's tokens begin, and the end of the last [S + 1].
        time: instant of each token [N].
        moment: number of each token's moment through all sequences [N].
        is_query: which tokens are questions [N] bool.
        before: row of events at which each token's moment begins, or the end of the sequence for a question that comes
            after everything [N].
        row: rows of the events that are shown [T].
        channel, device: of every token, 0 for a question that does not know [N]. Where a moment has events and a
            question, as in training, the question's context is that of the events: the largest code if they differ.
    """

    events: History
    start: np.ndarray
    first: np.ndarray
    token_start: np.ndarray
    time: np.ndarray
    moment: np.ndarray
    is_query: np.ndarray
    before: np.ndarray
    row: np.ndarray
    channel: np.ndarray
    device: np.ndarray

    def features(self, spec: FeatureSpec) -> dict[str, np.ndarray]:
        """The features that the spec has on, by name, [N] or [N, W] each."""
        if not spec.names:
            return {}
        begins = np.flatnonzero(np.diff(self.moment, prepend=-1))
        owner = np.searchsorted(self.token_start, begins, side="right") - 1
        at = self.time[begins]
        local = at if spec.order_only else local_time(at, spec.time_zone)
        view = View(
            events=self.events,
            start=self.start,
            past=past_before(self.before[begins], self.start[owner], self.first, lookback=spec.lookback),
            at=at,
            local=local,
            channel=np.maximum.reduceat(self.channel, begins),
            device=np.maximum.reduceat(self.device, begins),
            row=self.row,
            moment=self.moment[~self.is_query],
            at_day=local // DAY,
            spec=spec,
        )
        return token_features(view, spec.names, moment=self.moment, is_query=self.is_query)
