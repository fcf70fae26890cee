"""Softmax over the whole catalogue, without ever holding all its scores.

Klenitskiy & Vasilev, "Turning dross into gold loss: is BERT4Rec really better than SASRec?" (RecSys 2023), show what it
is worth.
"""

from dataclasses import dataclass, field

from torch import Tensor

from recsys.loss.chunk import Contrast, contrasted, wide
from recsys.loss.softmax import softmax_cost
from recsys.protocols import VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch


@dataclass(frozen=True, slots=True)
class FullSoftmax:
    """Cross-entropy of each target against every item that is no other target of the same query.

    Args:
        chunk_mib: memory for the scores of as many queries as are worked out at once; None chooses by the device (see
            `recsys/loss/chunk.py`).
    """

    negatives: int = field(default=0, init=False)
    chunk_mib: float | None = None

    def __call__(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        """Mean over the P pairs; `query` [Q, D], `vectors_of` None -> [V, D]; a scalar.

        `negatives` are not looked at.
        """
        query, vectors = wide(query), wide(vectors_of(None))
        owner, target = batch.pair_query, batch.pair_target
        positive = (query[owner] * vectors.index_select(0, target)).sum(-1)
        contrast = Contrast(owner=owner, hit_query=owner, hit_place=target - 1, chunk_mib=self.chunk_mib)
        return contrasted(softmax_cost, query, vectors[1:], positive, contrast=contrast)
