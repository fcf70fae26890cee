"""Which columns are filled, by type of event."""

from dataclasses import dataclass

import numpy as np

from recsys.card.piece import Piece
from recsys.event import EVENT_SCHEMA, EVENT_TYPE_OF_CODE

_CODES = max(EVENT_TYPE_OF_CODE) + 1
FIELDS = tuple(name for name in EVENT_SCHEMA.names if name not in ("event_id", "type", "occurred_at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What `CoverageMeasure` found.

    Attributes:
        events: events by type.
        filled: events by type and column that have a value there.
    """

    events: dict[str, int]
    filled: dict[str, dict[str, int]]

    def share(self, field: str, *types: str) -> float:
        """Share of the events of `types` (all if none is named) that have a value in `field`; 0 without events."""
        chosen = types or tuple(self.events)
        total = sum(self.events.get(name, 0) for name in chosen)
        return sum(self.filled[name][field] for name in chosen if name in self.filled) / total if total else 0.0


class CoverageMeasure:
    """Adds up pieces; a column that a piece does not hold counts as empty."""

    def __init__(self) -> None:
        self._events = np.zeros(_CODES, np.int64)
        self._filled = {field: np.zeros(_CODES, np.int64) for field in FIELDS}

    def add(self, piece: Piece) -> None:
        """Count a whole piece."""
        events = np.bincount(piece.type, minlength=_CODES)
        self._events += events
        for field in set(FIELDS) & set(piece.table.column_names):
            column = piece.column(field)
            if column.null_count == 0:
                self._filled[field] += events
            elif column.null_count < len(column):
                filled = column.is_valid().to_numpy(zero_copy_only=False)
                self._filled[field] += np.bincount(piece.type[filled], minlength=_CODES)

    def result(self) -> Coverage:
        """What was found so far."""
        codes = [code for code in EVENT_TYPE_OF_CODE if self._events[code]]
        return Coverage(
            events={EVENT_TYPE_OF_CODE[code].value: int(self._events[code]) for code in codes},
            filled={
                EVENT_TYPE_OF_CODE[code].value: {field: int(self._filled[field][code]) for field in FIELDS}
                for code in codes
            },
        )
