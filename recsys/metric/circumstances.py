"""What lies around the questions of an evaluation, found once for all ways of ranking them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.event import INTERACTIONS
from recsys.metric.beyond import Mix
from recsys.metric.case import Case
from recsys.metric.crowd import Crowd
from recsys.metric.slices import Asked, Part, Targets, parts
from recsys.state import is_one_of

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """The crowd, the parts that the questions fall into, and what their shoppers did before.

    Attributes:
        crowd: what was learnt of the items.
        parts: of the questions and their targets.
        past: categories of what each question's shopper had taken before.
    """

    crowd: Crowd
    parts: Sequence[Part]
    past: Mix

    @classmethod
    def of(cls, cases: Sequence[Case], crowd: Crowd, *, time_zone: str | None) -> "Circumstances":
        """`time_zone` is the shop's; None where the log has no times."""
        length, mixes = np.zeros(len(cases), np.int64), []
        for begin in range(0, len(cases), _AT_ONCE):
            histories = [case.state.history for case in cases[begin : begin + _AT_ONCE]]
            owner = np.repeat(begin + np.arange(len(histories)), [len(history) for history in histories])
            item = np.concatenate([history.item for history in histories])
            acted = is_one_of(INTERACTIONS)[np.concatenate([history.type for history in histories])] & (item > 0)
            length += np.bincount(owner[acted], minlength=len(cases))
            mixes.append(Mix.of(item[acted], owner[acted], crowd))
        asked = Asked(
            history=length,
            at=np.array([case.state.context.at for case in cases], np.int64),
            type=np.concatenate([case.type for case in cases]),
        )
        found = parts(Targets.of(cases), asked, crowd, time_zone=time_zone)
        return cls(crowd=crowd, parts=found, past=Mix.joined(mixes))
