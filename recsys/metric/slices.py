"""The same figures for parts of the questions: where a way of ranking wins, and where it loses.

| cut | parts | of |
|---|---|---|
| warmth | warm, cold (no event of it was learnt from), unknown (not in the catalogue, so never found) | targets |
| kind | repeat (wanted before by this shopper), new | targets |
| popularity | by the target's training events: 0, 1-9, 10-99, ... | targets |
| event | type of the event that took the target | targets |
| history | interactions of the shopper that were known: 0, 1-4, 5-9, ... | questions |
| hour | hour of the question on the shop's clock, where there are times | questions |

A part of the targets asks each question for those of its targets that are in the part, and leaves out questions with
none. Figures are keyed `cut/part/measure`; `cut/part/queries` says how many questions there were.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recsys.event import EVENT_TYPE_OF_CODE
from recsys.feature.temporal import HOURS, hour_of, local_time
from recsys.metric.case import Case
from recsys.metric.crowd import Crowd
from recsys.metric.measures import measured

SHOWN = ("hr10", "recall10", "ndcg10", "recall20", "mrr20")
"""The measures that are kept of every part."""

_LENGTHS = (0, 1, 5, 10, 20, 50, 100, 200, 500)
_COUNTS = (0, 1, 10, 100, 1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of the questions, or of the targets, that belong together.

    Attributes:
        cut, label: its name.
        known: which known targets are in it [P] bool.
        wanted: how many targets each question has in it, unknown ones included [Q].
    """

    cut: str
    label: str
    known: np.ndarray
    wanted: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The targets of Q questions, P known ones in all, question after question.

    Attributes:
        owner: number of the question of each [P].
        item: catalogue indices [P].
        is_repeat: whether the shopper wanted it before [P].
        wanted: number of targets of each question, unknown ones included [Q].
    """

    owner: np.ndarray
    item: np.ndarray
    is_repeat: np.ndarray
    wanted: np.ndarray

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "Targets":
        """Those of `cases`; at least one."""
        return cls(
            owner=np.repeat(np.arange(len(cases)), [len(case.target) for case in cases]),
            item=np.concatenate([case.target for case in cases]).astype(np.int64),
            is_repeat=np.concatenate([case.is_repeat for case in cases]).astype(bool),
            wanted=np.array([case.size for case in cases], np.int64),
        )

    @property
    def unknown(self) -> np.ndarray:
        """How many targets of each question are not in the catalogue [Q]."""
        return np.asarray(self.wanted - np.bincount(self.owner, minlength=len(self.wanted)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What else the parts are cut by.

    Attributes:
        history: interactions known at each question [Q].
        at: instants of the questions [Q].
        type: event type code of each target [P]; 0 where it was not told.
    """

    history: np.ndarray
    at: np.ndarray
    type: np.ndarray


def kinds(targets: Targets) -> Sequence[Part]:
    """Repeat and new targets; unknown ones count as new. Only those that hold anything."""
    repeat = _of_targets("kind", "repeat", targets.is_repeat, targets)
    new = _of_targets("kind", "new", ~targets.is_repeat, targets)
    new = Part(cut="kind", label="new", known=new.known, wanted=new.wanted + targets.unknown)
    return [part for part in (repeat, new) if part.wanted.any()]


def parts(targets: Targets, asked: Asked, crowd: Crowd, *, time_zone: str | None) -> Sequence[Part]:
    """All other parts that hold anything; `time_zone` is the shop's, None where there are no times."""
    found = (*_of_crowd(targets, crowd), *_of_events(targets, asked), *_of_shoppers(targets, asked, time_zone))
    return [part for part in found if part.wanted.any()]


def sliced(parts: Sequence[Part], rank: np.ndarray, owner: np.ndarray) -> dict[str, float]:
    """Figures of every part by `cut/part/measure`, of the `rank`s [P] of the targets of the questions `owner` [P]."""
    found: dict[str, float] = {}
    for part in parts:
        asked = part.wanted > 0
        number = np.cumsum(asked) - 1
        each = measured(rank[part.known], number[owner[part.known]], part.wanted[asked])
        found[f"{part.cut}/{part.label}/queries"] = float(np.count_nonzero(asked))
        found |= {f"{part.cut}/{part.label}/{name}": float(each[name].mean()) for name in SHOWN}
    return found


def nested(slices: Mapping[str, float]) -> dict[str, dict[str, dict[str, float]]]:
    """The flat figures as cut -> part -> measure -> value, parts in their order."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for key, value in slices.items():
        cut, label, measure = key.split("/")
        found.setdefault(cut, {}).setdefault(label, {})[measure] = value
    return found


def _of_crowd(targets: Targets, crowd: Crowd) -> Iterator[Part]:
    taken = crowd.taken[targets.item]
    yield _of_targets("warmth", "warm", taken > 0, targets)
    yield _of_targets("warmth", "cold", taken == 0, targets)
    yield Part(cut="warmth", label="unknown", known=np.zeros(len(taken), bool), wanted=targets.unknown)
    for place, label in enumerate(_labels(_COUNTS)):
        yield _of_targets("popularity", label, _bucket(taken, _COUNTS) == place, targets)


def _of_events(targets: Targets, asked: Asked) -> Iterator[Part]:
    for code in np.unique(asked.type[asked.type > 0]).tolist():
        yield _of_targets("event", EVENT_TYPE_OF_CODE[code].value, asked.type == code, targets)


def _of_shoppers(targets: Targets, asked: Asked, time_zone: str | None) -> Iterator[Part]:
    for place, label in enumerate(_labels(_LENGTHS)):
        yield _of_questions("history", label, _bucket(asked.history, _LENGTHS) == place, targets)
    if time_zone is not None:
        hour = hour_of(local_time(asked.at, time_zone))
        for clock in range(HOURS):
            yield _of_questions("hour", f"{clock:02d}", hour == clock, targets)


def _of_targets(cut: str, label: str, known: np.ndarray, targets: Targets) -> Part:
    wanted = np.bincount(targets.owner[known], minlength=len(targets.wanted))
    return Part(cut=cut, label=label, known=known, wanted=wanted)


def _of_questions(cut: str, label: str, chosen: np.ndarray, targets: Targets) -> Part:
    return Part(cut=cut, label=label, known=chosen[targets.owner], wanted=np.where(chosen, targets.wanted, 0))


def _bucket(count: np.ndarray, borders: Sequence[int]) -> np.ndarray:
    return np.searchsorted(borders, count, side="right") - 1


def _labels(borders: Sequence[int]) -> list[str]:
    """Names of the buckets that begin at `borders`, the last without an end."""
    closed = [str(low) if high == low + 1 else f"{low}-{high - 1}" for low, high in pairwise(borders)]
    return [*closed, f"{borders[-1]}+"]
