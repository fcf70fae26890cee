"""Ranks in a catalogue of any size without its scores: item vectors come in blocks, what scores as high is counted.

Same ranks as `recsys/metric/ranking.py: dense_ranks` on the scores of the same product, to the last one. The pass over
the blocks needs every target's own score first. It is taken from a product with the targets' vectors alone, and then
compared with what the pass itself gave: a matrix product may round otherwise in another shape, so that tied items count
wrongly. Where they differ, the pass is made once more with the scores it gave.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.metric.measures import Ragged
from recsys.metric.ranking import MISS, settled

ITEMS_AT_ONCE = 8_192
SCORES_AT_ONCE = 1_048_576
_GROUP = 64
_INDEX_BITS = 32
_LAST_INDEX = 2**_INDEX_BITS - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some questions with their targets side by side.

    Attributes:
        query: [C, D].
        target: indices [C, T], 0 where a question has fewer targets.
        exclude_row, exclude_item: pairs of a question and an item that is not ranked for it [H], by item.
        excluded: how many items are not ranked for each [C].
        top: how many items to list.
    """

    query: Tensor
    target: Tensor
    exclude_row: Tensor
    exclude_item: Tensor
    excluded: Tensor
    top: int


def catalogue_ranks(
    query: Tensor,
    items: Tensor,
    target: Ragged,
    *,
    exclude: Ragged | None = None,
    top: int = 10,
    items_at_once: int = ITEMS_AT_ONCE,
    scores_at_once: int = SCORES_AT_ONCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of targets among all items, and the first items of each list.

    Args:
        query: vectors [Q, D].
        items: vectors [V, D] on the same device; row 0 never takes part.
        target: distinct indices of each question, P in all.
        exclude: indices that are not ranked for a question; a target among them is missed. None: all are ranked.
        top: K, how many items to list; ties go to the smaller index.
        items_at_once: size of a block of items.
        scores_at_once: how many scores are held at any time.

    Returns:
        Ranks [P] int64, `MISS` for excluded targets; lists [Q, K] int64, 0 where a list is shorter.
    """
    query, items = query.float(), items.float()
    ranks = np.empty(len(target.value), np.int64)
    lists = np.zeros((len(query), top), np.int64)
    order = np.argsort(-target.size, kind="stable")
    width = max(1, min(items_at_once, len(items) - 1))
    step = max(1, scores_at_once // width)
    nothing = Ragged(np.empty(0, np.int64), np.zeros(len(query) + 1, np.int64))
    for begin in range(0, len(order), step):
        chosen = order[begin : begin + step]
        asked, hidden = target.take(chosen), (exclude or nothing).take(chosen)
        chunk = _chunk(query, chosen, asked, hidden, top)
        own, at_least, found = _ranked(chunk, items, width)
        place = np.repeat(target.start[:-1][chosen] - asked.start[:-1], asked.size) + np.arange(len(asked.value))
        inside = (np.arange(chunk.target.shape[1]) < asked.size[:, np.newaxis]).nonzero()
        ranks[place] = _settled(own[inside], at_least[inside], asked, hidden)
        lists[chosen, : found.shape[1]] = found
    return ranks, lists


def _chunk(query: Tensor, chosen: np.ndarray, asked: Ragged, hidden: Ragged, top: int) -> Chunk:
    size = asked.size
    target = np.zeros((len(chosen), max(int(size.max(initial=0)), 1)), np.int64)
    target[np.arange(target.shape[1]) < size[:, np.newaxis]] = asked.value
    by_item = np.argsort(hidden.value, kind="stable")
    given = (target, hidden.owner[by_item], hidden.value[by_item], hidden.size)
    on_device = [torch.from_numpy(np.ascontiguousarray(one)).to(query.device) for one in given]
    rows = torch.from_numpy(chosen).to(query.device)
    return Chunk(
        query=query[rows],
        target=on_device[0],
        exclude_row=on_device[1],
        exclude_item=on_device[2],
        excluded=on_device[3],
        top=top,
    )


def _ranked(chunk: Chunk, items: Tensor, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Own scores [C, T] and how many ranked items score at least as high [C, T]; lists [C, K]."""
    distinct, place = torch.unique(chunk.target, return_inverse=True)
    own = _numbers(chunk.query @ items[distinct].T).gather(1, place)
    for _ in range(2):
        seen, at_least, best = _pass(chunk, items, own, width)
        if torch.equal(seen, own):
            break
        own = seen
    at_least -= torch.where(own == -torch.inf, chunk.excluded[:, None], 0)
    return own.cpu().numpy(), at_least.cpu().numpy(), _listed(best).cpu().numpy()


def _pass(chunk: Chunk, items: Tensor, own: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of the targets as the blocks gave them [C, T], how many ranked items score at least `own` [C, T], and the
    keys of the first ones [C, K]."""
    seen, at_least = own.clone(), torch.zeros_like(chunk.target)
    best = torch.zeros((len(own), 0), dtype=torch.int64, device=own.device)
    buffer, told = (torch.empty(len(own) * width, device=own.device) for _ in range(2))
    borders = torch.arange(1, len(items) + width, width, device=own.device)
    hidden = torch.searchsorted(chunk.exclude_item, borders).tolist()
    asked = (chunk.target > 0).sum(0).tolist()
    for number, begin in enumerate(range(1, len(items), width)):
        block = items[begin : begin + width]
        space = len(own) * len(block)
        scores = torch.mm(chunk.query, block.T, out=buffer[:space].view(len(own), -1))
        scores = _numbers(scores)
        row, column = ((chunk.target >= begin) & (chunk.target < begin + len(block))).nonzero(as_tuple=True)
        seen[row, column] = scores[row, chunk.target[row, column] - begin]
        here = slice(hidden[number], hidden[number + 1])
        scores[chunk.exclude_row[here], chunk.exclude_item[here] - begin] = -torch.inf
        for place, rows in enumerate(asked):
            least = told[: rows * len(block)].view(rows, len(block))
            at_least[:rows, place] += torch.ge(scores[:rows], own[:rows, place, None], out=least).sum(1).long()
        if chunk.top:
            best = torch.cat([best, _first(scores, chunk.top, begin)], dim=1)
            best = best.topk(min(chunk.top, best.shape[1]), dim=1).values
    return seen, at_least, best


def _numbers(scores: Tensor) -> Tensor:
    """In place: a score that is no number is the lowest of all."""
    return scores.nan_to_num_(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)


def _first(scores: Tensor, top: int, begin: int) -> Tensor:
    """Keys of (at least) the `top` first of the scores [C, W] of the items from `begin` on.

    They all lie in the `top` groups of items with the highest maxima, because each of those holds one that goes first.
    """
    count = scores.shape[1] // _GROUP
    group = torch.arange(count, device=scores.device)
    grouped = scores[:, : count * _GROUP].view(len(scores), count, _GROUP)
    if count > top:
        chosen = _keys(grouped.amax(2), group).topk(top, dim=1).values
        group = _LAST_INDEX - (chosen & _LAST_INDEX)
        grouped = grouped.gather(1, group[:, :, None].expand(-1, -1, _GROUP))
    item = begin + group[..., None] * _GROUP + torch.arange(_GROUP, device=scores.device)
    rest = torch.arange(begin + count * _GROUP, begin + scores.shape[1], device=scores.device)
    keys = _keys(grouped, item).flatten(1)
    return torch.cat([keys, _keys(scores[:, count * _GROUP :], rest)], dim=1)


def _keys(score: Tensor, index: Tensor) -> Tensor:
    """Integers that are greater for the higher score and, among equal ones, for the smaller index."""
    bits = (score + 0.0).view(torch.int32)  # -0.0 becomes 0.0
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    keys: Tensor = (ascending.long() << _INDEX_BITS) | (_LAST_INDEX - index)
    return keys


def _listed(best: Tensor) -> Tensor:
    """Items [C, K] of keys; 0 for those that are not ranked."""
    nothing = _keys(best.new_tensor(-torch.inf, dtype=torch.float32), best.new_tensor(0)) >> _INDEX_BITS
    return torch.where(best >> _INDEX_BITS > nothing, _LAST_INDEX - (best & _LAST_INDEX), 0)


def _settled(own: np.ndarray, at_least: np.ndarray, asked: Ragged, hidden: Ragged) -> np.ndarray:
    """Ranks [P] of the targets, question by question; excluded ones are missed and push nobody down."""
    owner = asked.owner
    span = int(max(asked.value.max(initial=0), hidden.value.max(initial=0))) + 1
    ranked = ~np.isin(owner * span + asked.value, hidden.owner * span + hidden.value)
    ranks = np.full(len(own), MISS, np.int64)
    ranks[ranked] = settled(own[ranked], at_least[ranked], owner[ranked])
    return ranks
