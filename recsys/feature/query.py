"""Search texts as a few hashed tokens: the same text gives the same numbers on every machine and in every process."""

import re
import unicodedata
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TOKENS = 4
"""Q: how many tokens of a text are kept."""
BUCKETS = 8_192
"""How many token classes there are, 0 ("no token") among them."""

_WORD = re.compile(r"[^\W_]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def words(text: str) -> list[str]:
    """The words of a text, in its order: compatibility forms made one (NFKC), case folded, cut where no letter or
    digit stands. Marks belong to the letter before them, so that scripts that write vowels as marks stay whole.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if not _NOT_ASCII.search(folded):
        return _WORD.findall(folded)
    return "".join(c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in folded).split()


def tokens(text: str | None, *, count: int = TOKENS, buckets: int = BUCKETS) -> tuple[int, ...]:
    """Classes 1..buckets-1 of the first `count` distinct words of a text, then 0 for none; always `count` of them."""
    distinct = list(dict.fromkeys(words(text)))[:count] if text else []
    hashed = [1 + zlib.crc32(word.encode()) % (buckets - 1) for word in distinct]
    return (*hashed, *(0 for _ in range(count - len(hashed))))


def token_columns(texts: pa.Array | pa.ChunkedArray, *, count: int = TOKENS, buckets: int = BUCKETS) -> np.ndarray:
    """Tokens [N, Q] int16 of a column of texts [N]; every distinct text is cut once."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    distinct = [*(tokens(text, count=count, buckets=buckets) for text in coded.dictionary.to_pylist()), (0,) * count]
    table = np.array(distinct, np.int16)
    place: np.ndarray = pc.fill_null(coded.indices.cast(pa.int64()), len(table) - 1).to_numpy()
    return np.asarray(table[place])
