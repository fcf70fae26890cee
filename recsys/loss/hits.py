"""Where chance made a query's own target one of its negatives."""

import torch
from torch import Tensor

from recsys.sequence.batch import SequenceBatch


def accidental_hits(batch: SequenceBatch, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Every pair of a query and a place in `negative` [N] that holds one of the query's targets: [H] and [H] int64.

    Queries ascend. An item drawn several times, or asked for by several queries, is in as many pairs.
    """
    order = torch.argsort(negative)
    ascending = negative[order]
    low = torch.searchsorted(ascending, batch.pair_target)
    count = torch.searchsorted(ascending, batch.pair_target, right=True) - low
    pair = torch.repeat_interleave(torch.arange(len(count), device=negative.device), count)
    offset = torch.arange(len(pair), device=negative.device) - (count.cumsum(0) - count)[pair]
    return batch.pair_query[pair], order[low[pair] + offset]
