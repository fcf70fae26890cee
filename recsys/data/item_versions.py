"""What was seen of items over time -> item versions: one row for every change of what was known."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.chunk import SourceChunk
from recsys.data.raw_items import with_bare_items


def changes(seen: pa.Table, fields: Sequence[str]) -> pa.Table:
    """The rows of `seen` with which something changed, by item and time.

    `seen` has `item_id`, `valid_from` and `fields`; null in a field means that nothing was said about it, so that
    what was last said stands. Of several rows of one item and instant the last one in `seen` has the last word.
    """
    if not seen.num_rows:
        return seen
    item = seen["item_id"].combine_chunks().dictionary_encode()
    rank = np.empty(len(item.dictionary), np.int64)
    rank[pc.sort_indices(item.dictionary).to_numpy()] = np.arange(len(item.dictionary))
    code = rank[item.indices.to_numpy()]
    instant = pc.cast(seen["valid_from"], pa.int64()).to_numpy()
    order = np.lexsort((instant, code))  # stable: rows that tie stay as they came
    code, instant = code[order], instant[order]
    new_item = np.diff(code, prepend=-1) != 0
    start = np.flatnonzero(new_item)[np.cumsum(new_item) - 1]
    seen = seen.take(pa.array(order))
    for name in fields:
        seen = seen.set_column(seen.column_names.index(name), name, _last_said(seen[name].combine_chunks(), start))
    last_word = np.append(new_item[1:] | (np.diff(instant) != 0), True)
    seen, code = seen.filter(pa.array(last_word)), code[last_word]
    changed = np.diff(code, prepend=-1) != 0
    for name in fields:
        changed |= np.diff(_codes(seen[name].combine_chunks()), prepend=-2) != 0
    return seen.filter(pa.array(changed))


def with_items_of(chunks: Iterable[SourceChunk], items: pa.Table) -> pa.Table:
    """`items`, by id and time, and a bare row for each item that only occurs in events."""
    seen = pa.array([], pa.string())
    for chunk in chunks:
        seen = pc.unique(pa.concat_arrays([seen, *chunk.events["item_id"].chunks]))
    return with_bare_items(items, pc.drop_null(seen))


def _last_said(column: pa.Array, start: np.ndarray) -> pa.Array:
    """Nulls filled with the value before them, but not across `start` [R], the first row of each row's item."""
    said = np.where(np.asarray(pc.is_valid(column)), np.arange(len(column)), -1)
    said = np.maximum.accumulate(said)
    return column.take(pa.array(said, mask=said < start))


def _codes(column: pa.Array) -> np.ndarray:
    """Equal values have equal numbers, null has -1."""
    codes: np.ndarray = pc.fill_null(column.dictionary_encode().indices, -1).to_numpy()
    return codes
