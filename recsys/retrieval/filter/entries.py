"""A column of maps, name by name."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def map_entries(maps: pa.ChunkedArray) -> dict[str, tuple[np.ndarray, pa.Array]]:
    """Of every key in a column of `map<string, string>` [N]: the rows that have it [M] int64, ascending, and their
    values [M]. Entries whose value is null are left out."""
    keys, values, rows, begin = [], [], [], 0
    for chunk in maps.chunks:
        offsets = chunk.offsets.to_numpy()
        lengths = np.where(chunk.is_valid().to_numpy(zero_copy_only=False), np.diff(offsets), 0)
        owner = np.repeat(np.arange(len(chunk)), lengths)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        place = pa.array(offsets[owner] + within)
        keys.append(chunk.keys.take(place))
        values.append(chunk.items.take(place))
        rows.append(owner + begin)
        begin += len(chunk)
    if not keys:
        return {}
    key, value, row = pc.dictionary_encode(pa.concat_arrays(keys)), pa.concat_arrays(values), np.concatenate(rows)
    known = value.is_valid().to_numpy(zero_copy_only=False)
    found = {}
    for number, name in enumerate(key.dictionary.to_pylist()):
        at = np.flatnonzero((key.indices.to_numpy() == number) & known)
        found[name] = (row[at], value.take(pa.array(at)))
    return found
