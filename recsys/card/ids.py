"""Numbers for ids: each text is told apart by a 64-bit hash, so that millions of ids fit into a few bytes each."""

import numpy as np
import pyarrow as pa

from recsys.card.arrays import grown

NONE = -1
_BLOCK = 1 << 14
_LONGEST_WORDS = 64
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def mixed(number: np.ndarray) -> np.ndarray:
    """Scatter 64-bit numbers [N] evenly: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    out = (number ^ (number >> np.uint64(30))) * _MIX[0]
    out = (out ^ (out >> np.uint64(27))) * _MIX[1]
    return np.asarray(out ^ (out >> np.uint64(31)))


def hashes_of(texts: pa.Array) -> np.ndarray:
    """A 64-bit hash of every text, [N] uint64; no nulls. Among ten million, two collide once in 370,000 logs.

    The same text has the same hash on every machine and in every run, so a sample chosen by it can be repeated.
    """
    if not len(texts):
        return np.zeros(0, np.uint64)
    wide = texts.cast(pa.large_string())
    _, offsets, data = wide.buffers()
    begin = np.frombuffer(offsets, np.int64)[wide.offset : wide.offset + len(wide) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    out = np.empty(len(wide), np.uint64)
    length = np.diff(begin)
    order = np.argsort(length, kind="stable")  # texts of like length share a block, so that one long text pads no other
    for low in range(0, len(order), _BLOCK):
        some = order[low : low + _BLOCK]
        out[some] = _hashed(raw, begin[some], length[some])
    return out


def _hashed(raw: np.ndarray, begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Fold texts of ascending length into 64 bits, eight bytes at a time; beyond 512 bytes only the length counts."""
    shown = np.minimum(length, 8 * _LONGEST_WORDS)
    words = max(int(-(-shown.max() // 8)), 1)
    inside = np.arange(8 * words) < shown[:, None]
    padded = np.zeros(inside.shape, np.uint8)
    where = (begin[:, None] + np.arange(8 * words))[inside]
    padded[inside] = raw[where]
    folded = mixed(length.astype(np.uint64) + _STEP)
    for place, word in enumerate(padded.view("<u8").T):
        reach = int(np.searchsorted(shown, 8 * place, side="right"))  # shorter texts are not touched by the padding
        folded[reach:] = mixed((folded[reach:] ^ word[reach:]) + _STEP)
    return folded


def coded(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The different texts of a column [N], and which of them each row holds, int64, -1 for null."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
        return column.dictionary, _codes(column)
    code = _codes(column)
    used = np.flatnonzero(np.bincount(code + 1, minlength=len(column.dictionary) + 1)[1:])
    place = np.full(len(column.dictionary) + 1, NONE, np.int64)
    place[used] = np.arange(len(used))
    return column.dictionary.take(pa.array(used)), place[code]  # a filtered column keeps texts that no row holds


def _codes(column: pa.DictionaryArray) -> np.ndarray:
    return np.asarray(column.indices.fill_null(NONE).to_numpy(zero_copy_only=False).astype(np.int64))


class Numbering:
    """Gives every id a number, from 0 in the order in which ids first come; about 20 bytes for each."""

    def __init__(self) -> None:
        self._sorted = np.zeros(0, np.uint64)
        self._number = np.zeros(0, np.int32)
        self._hash = np.zeros(0, np.uint64)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def hash(self) -> np.ndarray:
        """The hash of every number, [len] uint64."""
        return self._hash[: self._size]

    def numbers(self, column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, pa.Array]:
        """Number of every id, [N] int64, -1 for null; and the ids among them that are new: numbers and texts."""
        texts, place = coded(column.combine_chunks())
        number, fresh = self._known_or_new(hashes_of(texts))
        return np.append(number, NONE)[place], number[fresh], texts.take(pa.array(fresh))

    def find(self, texts: pa.Array) -> np.ndarray:
        """Number of each of `texts` [N], -1 for one never met; int64."""
        hashed = hashes_of(texts)
        if not self._size:
            return np.full(len(hashed), NONE)
        place = np.minimum(np.searchsorted(self._sorted, hashed), self._size - 1)
        return np.where(self._sorted[place] == hashed, self._number[place].astype(np.int64), NONE)

    def _known_or_new(self, hashed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of hashes [N], new ones taken up; and the places among them of the first of each new one."""
        place = np.searchsorted(self._sorted, hashed)
        known = np.zeros(len(hashed), bool)
        inside = place < len(self._sorted)
        known[inside] = self._sorted[place[inside]] == hashed[inside]
        unseen = np.flatnonzero(~known)
        _, first, again = np.unique(hashed[unseen], return_index=True, return_inverse=True)
        fresh = unseen[np.sort(first)]
        if len(fresh):
            self._take_up(hashed[fresh])
            rank = np.empty(len(first), np.int64)
            rank[np.argsort(first)] = np.arange(len(first))
        number = np.empty(len(hashed), np.int64)
        number[known] = self._number[np.searchsorted(self._sorted, hashed[known])]
        if len(fresh):
            number[unseen] = self._size - len(fresh) + rank[again]
        return number, fresh

    def _take_up(self, hashed: np.ndarray) -> None:
        number = np.arange(self._size, self._size + len(hashed), dtype=np.int32)
        order = np.argsort(hashed)
        place = np.searchsorted(self._sorted, hashed[order])
        self._sorted = np.insert(self._sorted, place, hashed[order])
        self._number = np.insert(self._number, place, number[order])
        self._hash = grown(self._hash, self._size + len(hashed))
        self._hash[self._size : self._size + len(hashed)] = hashed
        self._size += len(hashed)
