"""What FAISS's files look like inside, walked from end to end before FAISS may read one.

FAISS takes a file at its word: a damaged length asks for any amount of memory, and a damaged link or id sends a later
search beyond what there is. So every length has to fit the file, every link and id what it points into, and the vectors
those of the encoder, lifted (`lifted.py`) where a graph or lists hold them; the file has to end where the last of them
does. The layouts are those that FAISS writes for the kinds of index that Attune makes (faiss/impl/index_write.cpp,
https://github.com/facebookresearch/faiss).
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recsys.errors import BundleError
from recsys.retrieval.index.lifted import longest, width

Layout = Callable[["Walk"], None]
"""Walks one kind of index, and raises BundleError where it does not hold what it must."""

PRODUCT_STEP = 4
"""Dimensions for which a product code has a byte; vectors are filled up with zeros to a multiple of it."""
BYTES_STEP = 16
"""The same for codes of a byte a dimension: FAISS reads those that fill no whole registers five times as slowly."""
_INNER_PRODUCT = 0
_NO_DIRECT_MAP = 0
_ONE_BYTE_EACH = 0
_BITS = 8
_MOST_LEVELS = 64
_SAME = 1e-3
"""Of the largest number in the encoder's vectors: machines differ by less, damage that matters by more."""
_LONGEST = 1 + _SAME
_ROWS = 1 << 16
_WORDS = {
    b"IxFI": "a flat inner-product index",
    b"IHNf": "a graph of near neighbours",
    b"IwFl": "inverted lists of whole vectors",
    b"IwSq": "inverted lists of a byte for each dimension",
    b"IwPQ": "inverted lists of product codes",
}


class Walk:
    """A file that is read from front to back, never further than it is long.

    Args:
        path: the file.
        vectors: those that the index was built of [V, D], row 0 left out; None where they are not known.
    """

    def __init__(self, path: Path, vectors: np.ndarray | None) -> None:
        self._path, self._at = path, 0
        try:
            self._size = path.stat().st_size
            self._content = np.memmap(path, np.uint8, "r") if self._size else np.empty(0, np.uint8)
        except OSError as error:
            raise BundleError(f"{path} cannot be read ({error.strerror}); fetch the bundle again") from error
        self.vectors = vectors
        self._tolerance = self._length = 0.0
        if vectors is not None:
            self._tolerance = _SAME * float(max(vectors.max(initial=0), -vectors.min(initial=0)))
            self._length = longest(vectors[1:])

    def insist(self, holds: bool | np.bool_, words: str) -> None:
        """Refuse the file where something does not hold."""
        if not holds:
            raise BundleError(f"{self._path} is damaged: {words}; fetch the bundle again")

    def begin(self, magic: bytes) -> tuple[int, int]:
        """Read how an index begins: its kind, and that it is for inner products; items N and dimensions D."""
        found = self._take(4).tobytes() if self._size - self._at >= 4 else b""
        if found != magic:
            known = f"holds {_WORDS[found]}" if found in _WORDS else f"is not a FAISS index (it begins with {found!r})"
            raise BundleError(f"{self._path} {known}; {_WORDS[magic]} was expected: fetch the bundle again")
        dim, items, _, _, trained, metric = self.plain("<iqqqBi")
        self.insist(trained == 1 and metric == _INNER_PRODUCT, "it is not made for inner products")
        self.insist(dim > 0 and items >= 0, f"it says that it holds {items} vectors of {dim}")
        return items, dim

    def begin_as_built(self, magic: bytes, step: int = 0) -> tuple[int, int]:
        """The same of a whole index, which has to hold as many items as there are vectors: these as they are, or with a
        `step` lifted and filled up to whole steps."""
        items, dim = self.begin(magic)
        if self.vectors is not None:
            rows, given = self.vectors.shape
            held = width(given, step) if step else given
            if (items + 1, dim) != (rows, held):
                how = f", lifted {held}" if step else ""
                raise BundleError(
                    f"{self._path} holds {items} vectors of {dim}, and the encoder gives {rows - 1} of {given}{how}; "
                    "fetch the bundle again, or train again"
                )
        return items, dim

    def plain(self, form: str) -> tuple[Any, ...]:
        """Single values, as `struct` names them."""
        return struct.unpack(form, self._take(struct.calcsize(form)).tobytes())

    def array(self, kind: str, count: int) -> np.ndarray:
        """So many numbers of one kind [count], not copied."""
        kept = self._take(count * np.dtype(kind).itemsize)
        return np.frombuffer(kept, np.dtype(kind))

    def counted(self, kind: str) -> np.ndarray:
        """Numbers of one kind, their count before them."""
        return self.array(kind, int(self.plain("<Q")[0]))

    def insist_same(self, rows: np.ndarray, items: np.ndarray) -> None:
        """Refuse `rows` [N, D] that are not the vectors of `items` [N], or [N, D + 1] that are not these lifted."""
        if self.vectors is None:
            return
        for start in range(0, len(rows), _ROWS):
            held, given = rows[start : start + _ROWS], self.vectors[items[start : start + _ROWS]]
            with np.errstate(all="ignore"):
                same = (np.abs(held[:, : given.shape[1]] - given) <= self._tolerance).all()
                same = same and self._lifts(held[:, given.shape[1] :], given)
            self.insist(same, "its vectors are not those of weights.safetensors")

    def end(self) -> None:
        """Refuse a file that goes on."""
        self.insist(self._at == self._size, f"{self._size - self._at} bytes follow its end")

    def insist_within(self, least: np.ndarray, most: np.ndarray) -> None:
        """Refuse a span [D] that goes beyond that of the lifted vectors, or is any where zeros fill them up."""
        if self.vectors is None:
            return
        low, high, apart = np.zeros((3, len(least)))
        given = self.vectors.shape[1]
        low[:given], high[:given] = self.vectors[1:].min(0, initial=0), self.vectors[1:].max(0, initial=0)
        high[given], apart[:given], apart[given] = self._length, self._tolerance, _SAME * self._length
        within = ((low - apart <= least) & (least <= most) & (most <= high + apart)).all()
        self.insist(within, "its codes span more than the vectors of weights.safetensors")

    def insist_filled(self, rows: np.ndarray) -> None:
        """Refuse `rows` [N, dim] that are not zeros where lifted vectors are filled up."""
        filled = self.vectors is None or not rows[:, self.vectors.shape[1] + 1 :].any()
        self.insist(filled, "its lists are of longer vectors than those of weights.safetensors")

    def _lifts(self, added: np.ndarray, given: np.ndarray) -> bool:
        """Whether what was `added` [N, 1 or 0] is what those `given` [N, D] lack in length. Squares are compared:
        another machine's rounding moves the root of next to nothing by much more than its square."""
        lacking = np.maximum(self._length**2 - np.einsum("nd,nd->n", given, given), 0)[:, np.newaxis]
        return bool(((added >= 0) & (np.abs(added**2 - lacking) <= _SAME * self._length**2)).all())

    def _take(self, size: int) -> np.ndarray:
        self.insist(0 <= size <= self._size - self._at, f"{size} bytes are missing after byte {self._at}")
        self._at += size
        return self._content[self._at - size : self._at]


def flat(walk: Walk) -> None:
    """All vectors, one after the other."""
    items, dim = walk.begin_as_built(b"IxFI")
    walk.insist_same(_rows(walk, items, dim), np.arange(1, items + 1))
    walk.end()


def graph(walk: Walk) -> None:
    """Links of every item on every level that it stands on, then all vectors, lifted."""
    items, dim = walk.begin_as_built(b"IHNf", 1)
    _links(walk, items)
    storage = walk.begin(b"IxFI")
    walk.insist(storage == (items, dim), f"a graph of {items} items keeps {storage[0]} vectors of {storage[1]}")
    walk.insist_same(_rows(walk, items, dim), np.arange(1, items + 1))
    walk.end()


def lists_of_vectors(walk: Walk) -> None:
    """Centres, then the lifted vectors and the ids of each list."""
    _lists(walk, b"IwFl", lambda dim: 4 * dim, 1)


def lists_of_bytes(walk: Walk) -> None:
    """Centres, the span of every dimension, then a byte for each dimension and the ids of each list."""

    def code_size(dim: int) -> int:
        kind, _, _, size, code, *_ = walk.plain("<iifQQ")
        spans = walk.counted("<f4")
        again, residual = walk.plain("<QB")
        sound = kind == _ONE_BYTE_EACH and size == code == again == dim and residual in (0, 1)
        walk.insist(
            sound and len(spans) == 2 * dim and np.isfinite(spans).all(), "its codes are not a byte for each dimension"
        )
        least, extent = spans.reshape(2, dim).astype(np.float64)
        walk.insist_within(least, least + extent)
        return dim

    _lists(walk, b"IwSq", code_size, BYTES_STEP)


def lists_of_products(walk: Walk) -> None:
    """Centres, the codebooks, then the codes and ids of each list."""

    def code_size(dim: int) -> int:
        residual, code, size, parts, bits = walk.plain("<BQQQQ")
        books = walk.counted("<f4")
        sound = residual in (0, 1) and size == dim == parts * PRODUCT_STEP and bits == _BITS and parts == code
        walk.insist(
            sound and len(books) == dim << _BITS and np.isfinite(books).all(), "its codebooks do not fit its vectors"
        )
        return int(code)

    _lists(walk, b"IwPQ", code_size, PRODUCT_STEP)


def _rows(walk: Walk, items: int, dim: int) -> np.ndarray:
    rows = walk.counted("<f4")
    walk.insist(len(rows) == items * dim, f"it keeps {len(rows)} numbers for {items} vectors of {dim}")
    return rows.reshape(items, dim)


def _lists(walk: Walk, magic: bytes, code_size: Callable[[int], int], step: int) -> None:
    items, dim = walk.begin_as_built(magic, step)
    lists, probes = walk.plain("<QQ")
    centres = walk.begin(b"IxFI")
    walk.insist(centres == (lists, dim), f"{lists} lists have {centres[0]} centres of {centres[1]}")
    walk.insist(1 <= probes <= lists, f"{probes} of {lists} lists are to be read")
    directions = _rows(walk, *centres)
    walk.insist((np.abs(directions) <= _LONGEST).all(), "a list's centre is no unit vector")
    walk.insist_filled(directions)
    mapped, entries = *walk.plain("<B"), walk.counted("<i8")
    walk.insist(mapped == _NO_DIRECT_MAP and not len(entries), "it keeps a map of its items, and shall not")
    size = code_size(dim)
    kind, again, code = walk.plain("<4sQQ")
    walk.insist((kind, again, code) == (b"ilar", lists, size), f"its {lists} lists are kept as {again} of {code} bytes")
    found = []
    for held in _sizes(walk, lists, items).tolist():
        codes, ids = walk.array("u1", held * size), walk.array("<i8", held)
        walk.insist(((ids >= 1) & (ids <= items)).all(), f"a list holds an item beyond the {items} that there are")
        if magic == b"IwFl":
            walk.insist_same(codes.view("<f4").reshape(held, dim), ids)
        found.append(ids)
    held_once = np.bincount(np.concatenate(found), minlength=items + 1)[1:]
    walk.insist((held_once == 1).all(), "its lists do not hold every item once")
    walk.end()


def _sizes(walk: Walk, lists: int, items: int) -> np.ndarray:
    """How many items each list holds [lists]; written for all, or for those that hold any."""
    (written,) = walk.plain("<4s")
    numbers = walk.counted("<u8")
    sizes = numbers
    if written == b"sprs" and len(numbers) % 2 == 0 and (numbers[::2] < lists).all():
        sizes = np.zeros(lists, np.uint64)
        sizes[numbers[::2].astype(np.int64)] = numbers[1::2]
    walk.insist(
        written in (b"full", b"sprs") and len(sizes) == lists, f"it does not tell the sizes of its {lists} lists"
    )
    walk.insist((sizes <= items).all() and int(sizes.sum()) == items, f"its lists do not hold {items} items")
    return sizes


def _links(walk: Walk, items: int) -> None:
    """Each item's links are where the levels say, and lead to items that stand on the same level."""
    walk.counted("<f8")
    ends, levels = walk.counted("<i4").astype(np.int64), walk.counted("<i4")
    walk.insist(
        1 < len(ends) <= _MOST_LEVELS and ends[0] == 0 and (np.diff(ends) >= 0).all(), "its levels do not add up"
    )
    walk.insist(len(levels) == items, f"it tells the levels of {len(levels)} items, and has {items}")
    walk.insist(((levels >= 1) & (levels < len(ends))).all(), "an item stands on a level that there is not")
    offsets, links = walk.counted("<u8"), walk.counted("<i4")
    starts = np.concatenate([[0], np.cumsum(ends[levels])])
    walk.insist(np.array_equal(offsets, starts) and starts[-1] == len(links), "its links are not where they belong")
    walk.insist(((links >= -1) & (links < items)).all(), f"a link leads beyond the {items} items")
    for level in range(1, levels.max(initial=0)):
        here = np.flatnonzero(levels > level)
        to = links[(starts[here] + ends[level])[:, None] + np.arange(ends[level + 1] - ends[level])]
        walk.insist((levels[np.maximum(to, 0)][to >= 0] > level).all(), f"a link on level {level} leads below it")
    entry, highest, *_ = walk.plain("<iiiii")
    top = int(levels.max(initial=0)) - 1
    sound = 0 <= entry < items and levels[entry] == top + 1 if items else entry == -1
    walk.insist(sound and highest == top, "its way in does not lead to the top")
