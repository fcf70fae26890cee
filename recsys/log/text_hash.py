"""64-bit hashes of texts, a whole column at a time, for sorting texts into buckets.

Equal texts have equal hashes; whoever needs to know that two texts are equal compares the texts. Every text is read in
words of eight bytes, and each word is mixed in by a multiplication and a shift (the finaliser of MurmurHash3,
https://github.com/aappleby/smhasher).

Logs keep parts of these hashes (`recsys/log/erasures.py`), so they may not change from release to release.
"""

import numpy as np
import pyarrow as pa

_MULTIPLIER = np.uint64(0xFF51AFD7ED558CCD)
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(33)
_WORD = 8
_ROWS_AT_ONCE = 1 << 16
"""So many rows stay in the processor's cache from one word to the next."""


def hashes(texts: pa.StringArray, seed: int = 0) -> np.ndarray:
    """The hash of every text [N] uint64; a null counts as the empty text."""
    data, start, length = spans(texts)
    return hashes_of_spans(data, start, length, seed)


def spans(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bytes of all texts, with eight zero bytes behind them, and where each begins [N] and how long it is [N]."""
    if not pa.types.is_string(texts.type):
        raise TypeError(f"texts are of type {texts.type}; cast them to string")
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    offsets = offsets.astype(np.int64) if len(offsets) else np.zeros(1, np.int64)
    raw = texts.buffers()[2]
    used = np.frombuffer(raw, np.uint8)[offsets[0] : offsets[-1]] if raw is not None else np.empty(0, np.uint8)
    data = np.zeros(len(used) + _WORD, np.uint8)
    data[: len(used)] = used
    return data, offsets[:-1] - offsets[0], np.diff(offsets)


def hashes_of_spans(data: np.ndarray, start: np.ndarray, length: np.ndarray, seed: int = 0) -> np.ndarray:
    """The hash of every span [N] uint64 of `data` [bytes + 8] uint8."""
    out = np.empty(len(start), np.uint64)
    begin_with = _mixed(np.array([seed], np.uint64) * _MULTIPLIER + _INCREMENT)[0]
    words = np.ndarray((len(data) - _WORD + 1,), "<u8", buffer=data, strides=(1,))  # a word begins at every byte
    for begin in range(0, len(start), _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        out[rows] = _hash_some(words, start[rows], length[rows], begin_with)
    return out


def _hash_some(words: np.ndarray, start: np.ndarray, length: np.ndarray, begin_with: np.uint64) -> np.ndarray:
    value = _mixed((length.astype(np.uint64) ^ begin_with) * _MULTIPLIER)
    for position in range(0, int(length.max(initial=0)), _WORD):
        left = length - position
        rows = slice(None) if (left > 0).all() else np.flatnonzero(left > 0)
        excess = np.clip(_WORD - left[rows], 0, _WORD - 1).astype(np.uint64) * np.uint64(8)
        word = (words[start[rows] + position] << excess) >> excess  # without the bytes of the next text
        value[rows] = _mixed((value[rows] ^ word) * _MULTIPLIER)
    return _mixed(value * _MULTIPLIER)


def _mixed(value: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = value ^ (value >> _SHIFT)
    return mixed
