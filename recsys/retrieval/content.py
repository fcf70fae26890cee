"""Which items are alike by what the catalogue says of them: category path, brand, price and words.

Every item is a few tokens, weighted by how rare they are (Salton & Buckley, "Term-weighting approaches in automatic
text retrieval", 1988); items are as alike as the cosine between them. All pairs would be far too many, so an item is
compared only with those that stand near it in the lists of its rarest tokens, each list ordered by category, brand and
price: work and memory grow with the number of items alone.
"""

from dataclasses import dataclass

import numpy as np

from recsys.feature.item import ItemFacts

_AT_ONCE = 2_048
_LISTS = 8
"""In how many of its tokens' lists an item looks around."""
_REACH = 12
"""How far it looks to either side."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Tokens of every catalogue index, V in all.

    Attributes:
        token: [V, K] int32; 0 for none. The last `words` columns are an unordered set, the others are fields.
        weight: of every token [T] float32; 0 for token 0.
        words: how many columns are words.
    """

    token: np.ndarray
    weight: np.ndarray
    words: int

    @classmethod
    def of(cls, category: np.ndarray, facts: ItemFacts | None, known: np.ndarray) -> "Contents":
        """From `facts`, or from the `category` [V] alone where there are none; items that are not `known` [V] bool have
        no tokens."""
        if facts is None:
            parts, words = [category], 0
        else:
            text = np.sort(facts.text, axis=1)
            text[:, 1:][text[:, 1:] == text[:, :-1]] = 0
            parts, words = [*facts.path.T, facts.brand, facts.price, text], text.shape[1]
        columns, begin = [], 0
        for part in parts:
            code = part.astype(np.int64).reshape(len(category), -1)
            columns.append(np.where((code > 0) & known[:, np.newaxis], code + begin, 0))
            begin += int(code.max(initial=0))
        token = np.concatenate(columns, axis=1).astype(np.int32)
        holders = np.bincount(token.ravel(), minlength=begin + 1)
        weight = np.log(max(int(known.sum()), 1) / np.maximum(holders, 1)).astype(np.float32)
        weight[0] = 0
        return cls(token, weight, words)


@dataclass(frozen=True, slots=True)
class _Lists:
    """The items that hold each token, in order of their content.

    Attributes:
        start: where each token's list begins, and the end of the last [T + 1] int64.
        item: the lists, end to end [P] int32.
        place: where each item stands in the list of each of its tokens [V, K] int64.
    """

    start: np.ndarray
    item: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, contents: Contents) -> "_Lists":
        token = contents.token
        order = np.lexsort(token.T[: token.shape[1] - contents.words][::-1])
        flat = token[order].ravel()
        rows = np.argsort(flat, kind="stable")
        rank = np.empty(len(rows), np.int64)
        rank[rows] = np.arange(len(rows))
        place = np.empty(token.shape, np.int64)
        place[order] = rank.reshape(token.shape)
        start = np.searchsorted(flat[rows], np.arange(len(contents.weight) + 1))
        return cls(start, order[rows // token.shape[1]].astype(np.int32), place)


def alike(contents: Contents, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` items most like each catalogue index [V, count] int32, best first and 0 where there are fewer, and
    the cosines [V, count] float32."""
    items = len(contents.token)
    found, cosine = np.zeros((items, count), np.int32), np.zeros((items, count), np.float32)
    lists = _Lists.of(contents)
    length = np.sqrt((contents.weight[contents.token] ** 2).sum(1))
    for first in range(0, items, _AT_ONCE):
        item = np.arange(first, min(first + _AT_ONCE, items))
        near = _near(contents, lists, item)
        score = _shared(contents, item, near) / np.maximum(length[item][:, np.newaxis] * length[near], 1e-9)
        score[near == 0] = 0
        kept = min(count, near.shape[1])
        best = np.argpartition(-score, kept - 1, axis=1)[:, :kept]
        near, score = np.take_along_axis(near, best, 1), np.take_along_axis(score, best, 1)
        order = np.lexsort((near, -score), axis=1)
        near, score = np.take_along_axis(near, order, 1), np.take_along_axis(score, order, 1)
        found[item, :kept] = np.where(score > 0, near, 0)
        cosine[item, :kept] = np.minimum(score, 1)
    return found, cosine


def _near(contents: Contents, lists: _Lists, item: np.ndarray) -> np.ndarray:
    """Those around each of `item` [N] in the lists of its rarest tokens [N, C] int32; 0 for none, itself or again."""
    token = contents.token[item]
    slot = np.argsort(-contents.weight[token], axis=1, kind="stable")[:, :_LISTS]
    token, place = np.take_along_axis(token, slot, 1), np.take_along_axis(lists.place[item], slot, 1)
    rows = place[:, :, np.newaxis] + np.arange(-_REACH, _REACH + 1)
    low, high = lists.start[token][:, :, np.newaxis], lists.start[token + 1][:, :, np.newaxis]
    inside = (rows >= low) & (rows < high) & (token > 0)[:, :, np.newaxis]
    near = np.where(inside, lists.item[np.clip(rows, 0, len(lists.item) - 1)], 0).reshape(len(item), -1)
    near[near == item[:, np.newaxis]] = 0
    near.sort(axis=1)
    near[:, 1:][near[:, 1:] == near[:, :-1]] = 0
    return near


def _shared(contents: Contents, item: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Sum of the squared weights of the tokens that each of `item` [N] has in common with each of `near` [N, C]."""
    total = np.zeros(near.shape, np.float32)
    count = contents.token.shape[1]
    fields, square = count - contents.words, contents.weight**2
    others = [column[near] for column in contents.token.T]
    for column, other in enumerate(others):
        own = contents.token[item, column][:, np.newaxis]
        same = other == own
        for word in range(fields, count if column >= fields else 0):
            same |= others[word] == own
        total += same * square[own]
    return total
