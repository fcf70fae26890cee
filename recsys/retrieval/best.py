"""The best of many scored items, and sums over few of many indices: what every source's compiled loop ends with."""

import threading

import numpy as np

from recsys.compiled import compiled


@compiled
def is_behind(score: float, item: int, other_score: float, other_item: int) -> bool:
    """Whether an item comes after another: by a lower score, of equal ones by the larger index."""
    return score < other_score or (score == other_score and item > other_item)


@compiled
def offer(items: np.ndarray, scores: np.ndarray, size: int, most: int, item: int, score: float) -> int:
    """Put an item among the best `most`, of which the first `size` places of `items` and `scores` hold a heap with the
    last of them on top; the new size."""
    if size < most:
        place = size
        while place > 0:
            above = (place - 1) >> 1
            if not is_behind(score, item, scores[above], items[above]):
                break
            items[place], scores[place] = items[above], scores[above]
            place = above
        items[place], scores[place] = item, score
        return size + 1
    if is_behind(scores[0], items[0], score, item):
        _sink(items, scores, size, item, score)
    return size


@compiled
def _sink(items: np.ndarray, scores: np.ndarray, size: int, item: int, score: float) -> None:
    """Put an item in place of the one on top of the heap."""
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and is_behind(scores[below + 1], items[below + 1], scores[below], items[below]):
            below += 1
        if not is_behind(scores[below], items[below], score, item):
            break
        items[place], scores[place] = items[below], scores[below]
        place = below
    items[place], scores[place] = item, score


@compiled
def settle(items: np.ndarray, scores: np.ndarray, size: int) -> None:
    """Turn the heap in the first `size` places into a list, best first."""
    for last in range(size - 1, 0, -1):
        item, score = items[last], scores[last]
        items[last], scores[last] = items[0], scores[0]
        _sink(items, scores, last, item, score)


@compiled
def ascend(items: np.ndarray, first: int, end: int) -> None:
    """Sort the places [first, end) by merging, in room of its own (NumPy's own sort takes seconds to compile)."""
    spare = np.empty(end - first, np.int64)
    for begin in range(first, end, 16):
        for place in range(begin + 1, min(begin + 16, end)):
            item, to = items[place], place
            while to > begin and items[to - 1] > item:
                items[to] = items[to - 1]
                to -= 1
            items[to] = item
    size = 16
    while size < end - first:
        for low in range(first, end - size, 2 * size):
            middle, high = low + size, min(low + 2 * size, end)
            for place in range(low, middle):
                spare[place - low] = items[place]
            left, right, to = 0, middle, low
            while left < size:
                if right < high and items[right] < spare[left]:
                    items[to] = items[right]
                    right += 1
                else:
                    items[to] = spare[left]
                    left += 1
                to += 1
        size *= 2


@compiled
def best_into(
    items: np.ndarray, scores: np.ndarray, begin: int, most: int, total: np.ndarray, touched: np.ndarray, count: int
) -> int:
    """Write the best `most` of the first `count` indices that were `touched`, by their `total`, to `items` and `scores`
    from `begin` on, best first; where they end."""
    heap_items, heap_scores = items[begin:], scores[begin:]
    size = 0
    for place in range(count):
        size = offer(heap_items, heap_scores, size, most, touched[place], total[touched[place]])
    settle(heap_items, heap_scores, size)
    return begin + size


@compiled
def best_of_each(
    start: np.ndarray, item: np.ndarray, score: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best `most` of the items of each list, best first: where each list begins, items and scores float32."""
    begin = np.zeros(len(start), np.int64)
    items, scores = np.empty(len(item), np.int64), np.empty(len(item), np.float64)
    end = 0
    for one in range(len(start) - 1):
        heap_items, heap_scores, size = items[end:], scores[end:], 0
        for place in range(start[one], start[one + 1]):
            size = offer(heap_items, heap_scores, size, most, item[place], score[place])
        settle(heap_items, heap_scores, size)
        end = begin[one + 1] = end + size
    return begin, items[:end].copy(), scores[:end].astype(np.float32)


class Sums:
    """Room to add up over few of many indices without clearing it every time, one per thread.

    An index belongs to the present sum where `stamp` equals the `tick`; whoever begins a sum raises the tick.

    Attributes:
        total: of each index [N] float64.
        place: whatever else is to be known of an index [N] int64.
        stamp: the tick at which each index was last touched [N] int64.
        tick: [1] int64.
        touched: room for the indices of the present sum [N] int64.
    """

    def __init__(self, size: int) -> None:
        self.total, self.place = np.zeros(size), np.zeros(size, np.int64)
        self.stamp, self.tick = np.zeros(size, np.int64), np.zeros(1, np.int64)
        self.touched = np.zeros(size, np.int64)


_OWN = threading.local()


def sums(size: int) -> Sums:
    """This thread's room for indices below `size`; it grows and is never given back."""
    known: Sums | None = getattr(_OWN, "sums", None)
    if known is None or len(known.total) < size:
        known = _OWN.sums = Sums(size)
    return known
