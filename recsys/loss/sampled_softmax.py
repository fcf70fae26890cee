"""Sampled softmax with negatives shared by the batch and the logQ correction.

Bengio & Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic language model"
(2008); Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations" (RecSys 2019). Left
uncorrected it is the cross-entropy of Hidasi & Karatzoglou, "Recurrent neural networks with top-k gains for
session-based recommendations" (CIKM 2018), as https://github.com/hidasib/GRU4Rec_PyTorch_Official has it by default,
but that negatives which are the query's own target are left out here.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from recsys.errors import ConfigError
from recsys.loss.chunk import Contrast, contrasted, wide
from recsys.loss.hits import accidental_hits
from recsys.loss.softmax import softmax_cost
from recsys.protocols import VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch


@dataclass(frozen=True, slots=True)
class SampledSoftmax:
    """Cross-entropy of each target against the batch's `negatives`, one matrix product for all queries.

    Args:
        negatives: how many are drawn, N.
        correction: how much of the correction by -log(N q) is applied. With 1 the negatives' sum estimates the sum over
            the catalogue, whatever the sampler. With 0 an item that is often drawn is pushed down more often: scores
            then tell how much likelier an item is than the sampler makes it.
        chunk_mib: see `recsys/loss/full_softmax.py`.
    """

    negatives: int = 1024
    correction: float = 1.0
    chunk_mib: float | None = None

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise ConfigError(f"loss.negatives is {self.negatives}; give at least 1, or take loss=full_softmax")
        if not 0 <= self.correction <= 1:
            raise ConfigError(f"loss.correction is {self.correction}; give 0 (none) to 1 (all of it)")

    def __call__(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        """Mean over the P pairs; `query` [Q, D], `vectors_of` items [N] -> [N, D]; a scalar.

        A negative that is a target of the same query is left out for that query.
        """
        query, vectors, target = wide(query), wide(vectors_of(negatives.item)), wide(vectors_of(batch.pair_target))
        positive = (query[batch.pair_query] * target).sum(-1)
        hit_query, hit_place = accidental_hits(batch, negatives.item)
        contrast = Contrast(
            owner=batch.pair_query,
            hit_query=hit_query,
            hit_place=hit_place,
            bias=-self.correction * (negatives.log_q + math.log(max(len(negatives.item), 1))),
            chunk_mib=self.chunk_mib,
        )
        return contrasted(softmax_cost, query, vectors, positive, contrast=contrast)
