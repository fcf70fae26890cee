"""The parts into which the evaluation cuts its questions, as the bundle's metrics hold them.

A row's `slices` are flat: `cut/part/measure` and `cut/part/queries`, see `recsys/metric/slices.py`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CUTS = {
    "popularity": "by how often the target had been taken",
    "history": "by the shopper's known interactions",
    "hour": "by hour of the question",
    "kind": "of what the shopper took before and what is new to them",
    "warmth": "of items that were learnt from, that were not, and that the catalogue does not hold",
    "event": "by the event that took the target",
}
"""Names of the cuts, and how a title goes on."""

_NUMBER = re.compile(r"\d+")
_COUNT = "queries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One way of answering on one part of the questions.

    Attributes:
        row: the name of the way of answering.
        label: the part.
        value: mean NDCG@10 over the part.
        count: how many questions it is the mean of.
    """

    row: str
    label: str
    value: float
    count: int


def slices_of(metrics: Mapping[str, Any], *, measure: str = "ndcg10") -> dict[str, Sequence[Slice]]:
    """Every part that the metrics hold, by the name of the cut; parts that begin with a number in that order."""
    found: dict[str, list[Slice]] = {}
    for name, row in metrics["rows"].items():
        slices = row.get("slices") or {}
        for key, value in slices.items():
            cut, label, what = key.split("/")
            if what == measure:
                count = int(slices[f"{cut}/{label}/{_COUNT}"])
                found.setdefault(cut, []).append(Slice(row=name, label=label, value=float(value), count=count))
    return {cut: sorted(parts, key=lambda part: _place(part.label)) for cut, parts in found.items()}


def _place(label: str) -> int:
    """Where a part belongs; sorting keeps the order of those without a number."""
    number = _NUMBER.match(label)
    return int(number.group()) if number else 0
