"""Exact de-duplication by event id with bounded memory: of all rows of one id the first in the source's order stays.

Ids are put into buckets by a hash and decided bucket by bucket; that two ids are the same is always found by comparing
the ids themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.log.spill import Runs, Spill
from recsys.log.text_hash import hashes

GROUP_ROWS = 2_000_000
"""So many ids are decided at once."""

PART_BITS = 40
"""The order of a row is the rank of its part in the source, shifted by this, plus its number within the part."""

_BUCKET_SHIFT = np.uint64(56)
_SMALLEST_SIEVE, _LARGEST_SIEVE = 1 << 16, 1 << 28


class IdSpill:
    """Takes in the ids of rows, for `repeats`; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._spill = Spill(folder)

    def __enter__(self) -> "IdSpill":
        self._spill.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._spill.__exit__(*raised)  # type: ignore[arg-type]

    def add(self, ids: pa.ChunkedArray, order: np.ndarray) -> None:
        """Rows that arrive: their ids and their order in the source [N] int64."""
        text, value = _hashed(ids)
        self._put(text, value, order, pa.nulls(len(text), pa.int64()))

    def add_known(self, ids: pa.ChunkedArray, order: np.ndarray, position: np.ndarray, sieve: np.ndarray) -> None:
        """Rows of the log that have the same id as an arriving one, as far as `sieve` can tell.

        `position` [N] numbers the rows of the log, `order` [N] is the order of their part; a row can arrive only once,
        so parts alone decide.
        """
        text, value = _hashed(ids)
        near = np.flatnonzero(sieve[value >> _sieve_shift(sieve)])
        self._put(text.take(pa.array(near)), value[near], order[near], pa.array(position[near]))

    def _put(self, text: pa.StringArray, value: np.ndarray, order: np.ndarray, position: pa.Array) -> None:
        table = pa.table({"event_id": text, "hash": value, "order": order, "position": position})
        self._spill.add(table, (value >> _BUCKET_SHIFT).astype(np.int64))


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows whose id another row has that comes first.

    Attributes:
        order: of those that arrive.
        position, part_rank: of those in the log.
    """

    order: np.ndarray
    position: np.ndarray
    part_rank: np.ndarray


def sieve_of(runs: Runs) -> np.ndarray:
    """Which upper bits of hashes arriving ids have [2^k] bool; few others have the same."""
    rows = sum(runs.counts().values())
    size = int(np.clip(1 << (rows * 8).bit_length(), _SMALLEST_SIEVE, _LARGEST_SIEVE))
    sieve = np.zeros(size, bool)
    for piece in runs.batches(0, 255, ["hash"]):
        sieve[piece["hash"].to_numpy() >> _sieve_shift(sieve)] = True
    return sieve


def repeats(runs: Runs, buckets: Iterable[int]) -> Repeats:
    """What to drop of the rows in `buckets`."""
    chosen = list(buckets)
    table = runs.table(chosen[0], chosen[-1])
    if table is None:
        return Repeats(*(np.empty(0, np.int64) for _ in range(3)))
    value = table["hash"].to_numpy()
    by_value = np.argsort(value)
    same = value[by_value][1:] == value[by_value][:-1]
    suspects = np.sort(by_value[np.append(same, False) | np.insert(same, 0, False)])
    near = table.take(pa.array(suspects))
    code = near["event_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    order = near["order"].to_numpy()
    known = "position" in near.column_names  # else no row of the log is among them
    position = pc.fill_null(near["position"], -1).to_numpy() if known else np.full(len(order), -1)
    ranked = np.lexsort((order, code))
    later = ranked[1:][code[ranked][1:] == code[ranked][:-1]]
    arriving = position[later] < 0
    return Repeats(
        order=np.sort(order[later[arriving]]),
        position=position[later[~arriving]],
        part_rank=order[later[~arriving]] >> PART_BITS,
    )


def _hashed(ids: pa.ChunkedArray) -> tuple[pa.StringArray, np.ndarray]:
    text = pc.cast(ids, pa.string()).combine_chunks()
    return text, hashes(text)


def _sieve_shift(sieve: np.ndarray) -> np.uint64:
    return np.uint64(64 - (len(sieve).bit_length() - 1))
