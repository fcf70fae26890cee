"""The training stream in mapped files: built once for a log, a spec and a cut, piece by piece, and read from there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recsys.feature.spec import FeatureSpec
from recsys.intent.labels import Labels
from recsys.protocols import Target
from recsys.sequence.histories import Histories
from recsys.sequence.mapped import ColumnWriter, kept_folder, let_go, mapped_columns
from recsys.sequence.stream import TokenStream, training_stream

PIECE_EVENTS = 1_000_000
_COLUMNS = ("item", "type", "time", "moment", "is_query", "reach")
_FEATURE, _LABEL = "feature.", "label."


def stored_stream(
    histories: Histories,
    spec: FeatureSpec,
    target: Target,
    *,
    until: np.ndarray,
    folder: Path,
    labels: Labels = Labels(()),
) -> tuple[TokenStream, np.ndarray]:
    """The stream of the events strictly before `until` [S], and from when on each of its sequences is asked.

    Sequences of which nothing is shown are left out. The `labels` look no further than `until` either. The folder must
    be named by all that the stream follows from.
    """

    def write(partial: Path) -> None:
        with ColumnWriter(partial) as columns:
            moments = 0
            for first, last in _pieces(histories):
                piece = histories.sequences(first, last)
                owner, limit = piece.owner(), until[first:last]
                early = piece.events.time < limit[owner]
                piece = piece.where(early)
                stream = training_stream(piece, spec, target)
                labelled = labels.of_stream(stream, piece, limit[np.unique(owner[early])])
                length = np.diff(stream.start)
                if not length.any():
                    continue
                columns.append({name: getattr(stream, name) for name in _COLUMNS if name != "moment"})
                columns.append({"moment": stream.moment + np.int32(moments)})
                columns.append({f"{_FEATURE}{name}": values for name, values in stream.features.items()})
                columns.append({f"{_LABEL}{name}": values for name, values in labelled.items()})
                columns.append({"length": length[length > 0], "asked_from": piece.asked_from[length > 0]})
                moments += int(stream.moment[-1]) + 1
                let_go(histories.columns())

    columns = mapped_columns(kept_folder(folder, write))
    if not columns:
        empty = training_stream(histories.sequences(0, 0), spec, target)
        return empty, np.empty(0, np.int64)
    stream = TokenStream(
        **{name: columns[name] for name in _COLUMNS},
        features={n.removeprefix(_FEATURE): values for n, values in columns.items() if n.startswith(_FEATURE)},
        start=np.concatenate([[0], np.cumsum(columns["length"], dtype=np.int64)]),
        labels={n.removeprefix(_LABEL): values for n, values in columns.items() if n.startswith(_LABEL)},
    )
    return stream, columns["asked_from"]


def _pieces(histories: Histories) -> Iterator[tuple[int, int]]:
    """Ranges of sequences of about `PIECE_EVENTS` events."""
    first = 0
    while first < len(histories):
        reach = histories.start[first] + PIECE_EVENTS
        last = max(first + 1, int(np.searchsorted(histories.start, reach, side="right")) - 1)
        yield first, last
        first = last
