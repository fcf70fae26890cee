"""From a log in order of dates to histories in order of shoppers, in bounded memory.

Events are coded and spilled into ranges of shoppers that fit into memory one at a time; each range is sorted and
appended to mapped columns.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.log.reader import EventLog
from recsys.sequence.blocks import HISTORY, READ, Block, coded, sequences
from recsys.sequence.coding import Coding
from recsys.sequence.histories import Histories
from recsys.sequence.mapped import ColumnWriter, kept_folder, mapped_columns
from recsys.sequence.survey import Survey
from recsys.state import History

RANGE_EVENTS = 2_000_000
"""About how many events are sorted at once."""

Ranges = Callable[[EventLog, Survey, Coding, Path], Iterator[Histories]]
"""Builds the sequences range by range, in order of shoppers; may use the folder (it exists) until it is exhausted."""

_SHOPPERS = "shoppers.arrow"
_IDS = pa.schema([("shopper", pa.string())])


def gather(log: EventLog, survey: Survey, coding: Coding, folder: Path, *, ranges: Ranges | None = None) -> Histories:
    """The histories of all shoppers of a log, kept in `folder` as mapped columns and read from there.

    `ranges` may do the work elsewhere, with the same result; `local_ranges` does it here.
    """

    def write(partial: Path) -> None:
        with (
            ColumnWriter(partial) as columns,
            pa.OSFile(str(partial / _SHOPPERS), "wb") as file,
            pa.ipc.new_file(file, _IDS) as ids,
        ):
            for found in (ranges or local_ranges)(log, survey, coding, partial):
                ids.write_batch(pa.record_batch([found.shopper], schema=_IDS))
                columns.append({name: getattr(found.events, name) for name in HISTORY})
                columns.append({"adopted_at": found.adopted_at, "asked_from": found.asked_from})
                columns.append({"length": np.diff(found.start)})

    return read_histories(kept_folder(folder, write))


def read_histories(folder: Path) -> Histories:
    """What `gather` wrote; columns are read from the files as they are touched."""
    columns = mapped_columns(folder)
    with pa.memory_map(str(folder / _SHOPPERS)) as file:
        ids = pa.ipc.open_file(file).read_all()["shopper"]
    if not columns:
        return Histories(pa.array([], pa.string()), np.zeros(1, np.int64), History.empty())
    return Histories(
        ids.combine_chunks(),
        np.concatenate([[0], np.cumsum(columns["length"], dtype=np.int64)]),
        History(**{name: columns[name] for name in HISTORY}),
        columns["asked_from"],
        columns["adopted_at"],
    )


def local_ranges(
    log: EventLog, survey: Survey, coding: Coding, folder: Path, *, range_events: int = RANGE_EVENTS
) -> Iterator[Histories]:
    """In this process, with one range in memory at a time."""
    spill = _Spill(folder / "spill", borders_of(survey, range_events))
    try:
        for block in coded(log.days(READ), survey.identity, coding):
            spill.add(block)
        yield from map(sequences, spill.ranges())
    finally:
        spill.remove()


def borders_of(survey: Survey, range_events: int) -> list[str]:
    """The first shopper of each range but the first, for ranges of about so many events."""
    ranges = min(-(-survey.events // range_events), len(survey.sample))
    places = np.linspace(0, len(survey.sample), ranges + 1)[1:-1].astype(np.int64)
    return sorted(set(survey.sample.take(pa.array(places)).to_pylist()))


def range_of(owner: pa.Array, borders: list[str]) -> np.ndarray:
    """Number of the range of shoppers that each owner [E] falls into, [E] int64."""
    number = np.zeros(len(owner), np.int64)
    for border in borders:
        number += pc.greater_equal(owner, border).to_numpy(zero_copy_only=False)
    return number


class _Spill:
    """Blocks on disk, one stream for each range of shoppers."""

    def __init__(self, folder: Path, borders: list[str]) -> None:
        self._folder = folder
        self._borders = borders
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        folder.mkdir()

    def add(self, block: Block) -> None:
        """Cut a block at the borders."""
        table, number = block.table(), range_of(block.owner, self._borders)
        if (np.diff(number) < 0).any():
            order = np.argsort(number, kind="stable")
            table, number = table.take(pa.array(order)), number[order]
        cuts = np.searchsorted(number, np.arange(len(self._borders) + 2))
        for place in np.flatnonzero(np.diff(cuts)).tolist():
            self._write(place, table.slice(int(cuts[place]), int(cuts[place + 1] - cuts[place])))

    def _write(self, place: int, table: pa.Table) -> None:
        if place not in self._writers:
            self._writers[place] = pa.ipc.new_stream(str(self._folder / f"{place}.arrow"), table.schema)
        self._writers[place].write_table(table)

    def ranges(self) -> Iterator[Block]:
        """The ranges in order of their shoppers."""
        for place, writer in sorted(self._writers.items()):
            writer.close()
            path = self._folder / f"{place}.arrow"
            with pa.OSFile(str(path)) as file:
                table = pa.ipc.open_stream(file).read_all()
            path.unlink()
            yield Block.of_table(table)

    def remove(self) -> None:
        """Let go of the files."""
        for place, writer in self._writers.items():
            writer.close()
            (self._folder / f"{place}.arrow").unlink(missing_ok=True)
        self._folder.rmdir()
