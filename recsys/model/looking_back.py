"""Attention of a shopper's new tokens among themselves and to those read before, as compiled loops.

A token looks at every event at a strictly earlier instant and at itself. Instants ascend, and the question is the last
and at the latest of them: what a token sees of those read before are the first, and so of the new ones.

Arguments that the functions share (P tokens read before; N new ones, of all shoppers, laid end to end; heads of E
components, D = heads * E):

    query: [N, C] float32, of which the D columns from `place` on are queries.
    kept, added: what is kept of the tokens read before [P or more, K, D] and of the new ones [N, K, D], float32; of the
        K vectors of a token number `key` is its key and `value` its value.
    known: P.
    begin, end: the new tokens that are the shopper's.
    time, new_time: their instants [P or more], [N] int64.
    is_query: which of the new ones are questions [N] bool.
    only_queries: whether nothing is asked of the other new tokens; their rows of `out` are left as they are.
    out: what the new tokens take from those they look at [N, D] float32, written here.
"""

import math

import numpy as np

from recsys.compiled import compiled


@compiled
def softmax_attention(
    query: np.ndarray,
    place: int,
    kept: np.ndarray,
    added: np.ndarray,
    key: int,
    value: int,
    heads: int,
    known: int,
    begin: int,
    end: int,
    time: np.ndarray,
    new_time: np.ndarray,
    is_query: np.ndarray,
    only_queries: bool,
    out: np.ndarray,
) -> None:
    """Values weighed by the softmax of query . key / sqrt(E)."""
    size = out.shape[1] // heads
    scale = np.float32(1.0 / math.sqrt(size))
    weight = np.empty(known + end - begin, np.float32)
    for token in range(begin, end):
        if only_queries and not is_query[token]:
            continue
        seen = seen_before(time, known, new_time[token])
        new_seen = seen_before(new_time[begin:], token - begin, new_time[token])
        count = seen + new_seen + 1
        for head in range(heads):
            at = head * size
            asking = query[token, place + at : place + at + size]
            scores(asking, kept, seen, key, at, weight)
            scores(asking, added[begin:], new_seen, key, at, weight[seen:])
            weight[count - 1] = dot(asking, added[token, key, at : at + size])
            most, total = weight[:count].max(), np.float32(0.0)
            for number in range(count):
                weight[number] = math.exp(scale * (weight[number] - most))
                total += weight[number]
            for number in range(count):
                weight[number] /= total
            taken = out[token, at : at + size]
            taken[:] = np.float32(0.0)
            mix(taken, weight, kept, seen, value, at)
            mix(taken, weight[seen:], added[begin:], new_seen, value, at)
            add(taken, weight[count - 1], added[token, value, at : at + size])


@compiled
def silu_attention(
    query: np.ndarray,
    place: int,
    kept: np.ndarray,
    added: np.ndarray,
    key: int,
    value: int,
    heads: int,
    known: int,
    begin: int,
    end: int,
    time: np.ndarray,
    new_time: np.ndarray,
    is_query: np.ndarray,
    only_queries: bool,
    position: np.ndarray,
    new_position: np.ndarray,
    by_moments: np.ndarray,
    by_time: np.ndarray,
    borders: np.ndarray,
    out: np.ndarray,
) -> None:
    """Values weighed by the SiLU of query . key and a bias of the distance.

    `position` [P] and `new_position` [N] number the tokens' moments. The bias is that of the moments between, of which
    `by_moments` has the last for all that are further, plus `by_time` of the bucket of the time between, which begins
    at each of the ascending `borders`.
    """
    size = out.shape[1] // heads
    weight, bias = np.empty((2, known + end - begin), np.float32)
    for token in range(begin, end):
        if only_queries and not is_query[token]:
            continue
        when, here = new_time[token], new_position[token]
        seen = seen_before(time, known, when)
        new_seen = seen_before(new_time[begin:], token - begin, when)
        count = seen + new_seen + 1
        for other in range(seen):
            moments = min(max(here - position[other], 0), len(by_moments) - 1)
            bias[other] = by_moments[moments] + by_time[bucket(when - time[other], borders)]
        for other in range(new_seen):
            moments = min(max(here - new_position[begin + other], 0), len(by_moments) - 1)
            bias[seen + other] = by_moments[moments] + by_time[bucket(when - new_time[begin + other], borders)]
        bias[count - 1] = by_moments[0] + by_time[bucket(0, borders)]
        for head in range(heads):
            at = head * size
            asking = query[token, place + at : place + at + size]
            scores(asking, kept, seen, key, at, weight)
            scores(asking, added[begin:], new_seen, key, at, weight[seen:])
            weight[count - 1] = dot(asking, added[token, key, at : at + size])
            for number in range(count):
                weight[number] = silu(weight[number] + bias[number])
            taken = out[token, at : at + size]
            taken[:] = np.float32(0.0)
            mix(taken, weight, kept, seen, value, at)
            mix(taken, weight[seen:], added[begin:], new_seen, value, at)
            add(taken, weight[count - 1], added[token, value, at : at + size])


@compiled
def seen_before(time: np.ndarray, known: int, when: int) -> int:
    """How many of the `known` ascending instants lie strictly before one."""
    while known > 0 and time[known - 1] >= when:
        known -= 1
    return known


@compiled
def bucket(between: int, borders: np.ndarray) -> int:
    """How many of the ascending borders are not beyond."""
    low, high = 0, len(borders)
    while low < high:
        middle = (low + high) // 2
        if borders[middle] <= between:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def silu(score: np.float32) -> np.float32:
    """score * sigmoid(score)."""
    return np.float32(score / (np.float32(1.0) + np.float32(math.exp(-score))))


@compiled
def scores(query: np.ndarray, kept: np.ndarray, count: int, key: int, at: int, score: np.ndarray) -> None:
    """Write to `score` the inner products of the first `count` keys, their components from `at` on, with a query [E].
    Four at a time need not wait for each other."""
    to, done = at + len(query), count - count % 4
    for row in range(0, done, 4):
        one, two = kept[row, key, at:to], kept[row + 1, key, at:to]
        three, four = kept[row + 2, key, at:to], kept[row + 3, key, at:to]
        a = b = c = d = np.float32(0.0)
        for place in range(len(query)):
            a += query[place] * one[place]
            b += query[place] * two[place]
            c += query[place] * three[place]
            d += query[place] * four[place]
        score[row], score[row + 1], score[row + 2], score[row + 3] = a, b, c, d
    for row in range(done, count):
        score[row] = dot(query, kept[row, key, at:to])


@compiled
def mix(taken: np.ndarray, weight: np.ndarray, kept: np.ndarray, count: int, value: int, at: int) -> None:
    """Add the first `count` values, their components from `at` on, times their weights to `taken` [E]."""
    to, done = at + len(taken), count - count % 4
    for row in range(0, done, 4):
        one, two = kept[row, value, at:to], kept[row + 1, value, at:to]
        three, four = kept[row + 2, value, at:to], kept[row + 3, value, at:to]
        a, b, c, d = weight[row], weight[row + 1], weight[row + 2], weight[row + 3]
        for place in range(len(taken)):
            taken[place] += (a * one[place] + b * two[place]) + (c * three[place] + d * four[place])
    for row in range(done, count):
        add(taken, weight[row], kept[row, value, at:to])


@compiled
def dot(query: np.ndarray, key: np.ndarray) -> np.float32:
    """The inner product of two vectors [E]."""
    total = np.float32(0.0)
    for at in range(len(query)):
        total += query[at] * key[at]
    return total


@compiled
def add(taken: np.ndarray, weight: np.float32, value: np.ndarray) -> None:
    """Add a value [E] times its weight."""
    for at in range(len(taken)):
        taken[at] += weight * value[at]
