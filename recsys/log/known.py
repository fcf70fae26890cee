"""Steps over the files that a log already has: whose ids come again, and which shoppers and items they name."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.log.dates import ITEMS, SHOPPERS
from recsys.log.distinct import note
from recsys.log.event_files import PART, pieces
from recsys.log.event_ids import PART_BITS, IdSpill, Repeats, repeats
from recsys.log.order import shopper_of
from recsys.log.spill import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIdsTask:
    """Files in which ids that arrive are looked for.

    Attributes:
        log: the log's folder.
        files: paths in it, and the position of each one's first row.
        rank_of: the rank of a part in the source, by the number that the log gave it [numbers].
        sieve: file of `sieve_of`.
        folder: where what was found is put aside.
    """

    log: Path
    files: tuple[tuple[str, int], ...]
    rank_of: np.ndarray
    sieve: Path
    folder: Path


def known_ids(task: KnownIdsTask) -> None:
    """Put the files' ids aside that seem to arrive again."""
    sieve = np.load(task.sieve, mmap_mode="r")
    with IdSpill(task.folder) as spill:
        for path, position in task.files:
            for piece in pieces(task.log / path, ["event_id", PART]):
                order = task.rank_of[piece[PART].to_numpy()] << PART_BITS
                places = position + np.arange(piece.num_rows)
                spill.add_known(piece["event_id"], order, places, sieve)
                position += piece.num_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsTask:
    """Buckets of ids to decide, and where the ids were put aside."""

    folders: tuple[Path, ...]
    buckets: tuple[int, ...]


def find_repeats(task: RepeatsTask) -> Repeats:
    """What to drop of the rows in the task's buckets."""
    return repeats(Runs.below(*task.folders), task.buckets)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesTask:
    """Files of a log (paths in it) whose shoppers and items are noted in `folder`."""

    log: Path
    files: tuple[str, ...]
    folder: Path


def note_names(task: NotesTask) -> None:
    """Note which shoppers and items the files name."""
    shoppers, items = [], []
    for path in task.files:
        for piece in pieces(task.log / path, ["user_id", "anonymous_id", "item_id"], coded=True):
            user, visitor, item = (piece[name].combine_chunks() for name in piece.column_names)
            alone = pc.unique(visitor.indices.filter(pc.is_null(user))).drop_null()
            visitors = pa.table(
                {"user_id": pa.nulls(len(alone), pa.string()), "anonymous_id": visitor.dictionary.take(alone)}
            )
            shoppers += [user.dictionary, *shopper_of(visitors).chunks]
            items.append(item.dictionary)
    note(task.folder / SHOPPERS, pa.chunked_array(shoppers, pa.string()).combine_chunks())
    note(task.folder / ITEMS, pc.unique(pa.chunked_array(items, pa.string())))
