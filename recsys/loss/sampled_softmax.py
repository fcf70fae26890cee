"""Sampled softmax with negatives shared by the batch and the logQ correction.

Bengio & Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic language model"
(2008); Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations" (RecSys 2019).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.protocols import VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch


@dataclass(frozen=True, slots=True)
class SampledSoftmax:
    """Cross-entropy of each target against the batch's `negatives`, one matrix product for all queries."""

    negatives: int = 1024

    def __call__(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        """Mean over the P pairs; `query` [Q, D], `vectors_of` items [N] -> [N, D]; a scalar.

        A negative that is a target of the same query is masked for that query. Every logit is corrected by
        -log(N q), so that the negatives' sum estimates the sum over the catalogue.
        """
        owner, target = batch.pair_query, batch.pair_target
        correction = negatives.log_q + math.log(len(negatives.item))
        noise = query @ vectors_of(negatives.item).T - correction
        noise = noise.masked_fill(_accidental_hits(batch, negatives.item, len(query)), -torch.inf)
        positive = (query[owner] * vectors_of(target)).sum(-1)
        return torch.nn.functional.softplus(torch.logsumexp(noise, -1)[owner] - positive).mean()


def _accidental_hits(batch: SequenceBatch, negative: Tensor, queries: int) -> Tensor:
    """Where a query's own target was drawn as a negative, [Q, N] bool."""
    hits = torch.zeros(queries, len(negative), dtype=torch.bool, device=negative.device)
    order = torch.argsort(negative)
    ascending = negative[order].contiguous()
    low = torch.searchsorted(ascending, batch.pair_target)
    count = torch.searchsorted(ascending, batch.pair_target, right=True) - low
    pair = torch.repeat_interleave(torch.arange(len(count), device=negative.device), count)
    offset = torch.arange(len(pair), device=negative.device) - torch.repeat_interleave(count.cumsum(0) - count, count)
    hits[batch.pair_query[pair], order[low[pair] + offset]] = True
    return hits
