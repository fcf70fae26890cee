"""Generalised binary cross-entropy: binary cross-entropy whose positives weigh less the fewer negatives are drawn.

Petrov & Macdonald, "gSASRec: reducing overconfidence in sequential recommendation trained with negative sampling"
(RecSys 2023), https://arxiv.org/abs/2308.07192.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from recsys.errors import ConfigError
from recsys.loss.chunk import Contrast, Pull, contrasted, wide
from recsys.loss.hits import accidental_hits
from recsys.protocols import VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch


@dataclass(frozen=True, slots=True)
class GBCE:
    """-(beta log s(target) + sum over N negatives of log(1 - s(negative))) / (N + 1), with s the logistic function.

    beta = 1 - t (1 - alpha), where alpha = N / (V - 2) is the share of the items but the target that is drawn; the
    paper's theory is for uniform negatives. A logistic function to the power of beta loses digits where scores are
    large; here everything stays logarithmic, so that float32 is enough. The negatives' log_q plays no part.

    Args:
        negatives: how many are drawn, N; shared by the batch (the paper draws them for each position).
        calibration: t. 0 is plain binary cross-entropy, as SASRec's; with 1 the scores are calibrated like those of a
            softmax.
        chunk_mib: see `recsys/loss/full_softmax.py`.
    """

    negatives: int = 256
    calibration: float = 0.75
    chunk_mib: float | None = None

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise ConfigError(f"loss.negatives is {self.negatives}; give at least 1, or take loss=full_softmax")
        if not 0 <= self.calibration <= 1:
            raise ConfigError(f"loss.calibration is {self.calibration}; give 0 (plain) to 1 (calibrated)")

    def beta(self, negatives: Negatives) -> float:
        """The weight of the positives, in (0, 1]."""
        alpha = min(len(negatives.item) / max(negatives.items - 1, 1), 1.0)
        return 1 - self.calibration * (1 - alpha)

    def __call__(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        """Mean over the P pairs; `query` [Q, D], `vectors_of` items [N] -> [N, D]; a scalar.

        A negative that is a target of the same query costs that query nothing.
        """
        query, vectors, target = wide(query), wide(vectors_of(negatives.item)), wide(vectors_of(batch.pair_target))
        positive = (query[batch.pair_query] * target).sum(-1)
        hit_query, hit_place = accidental_hits(batch, negatives.item)
        contrast = Contrast(owner=batch.pair_query, hit_query=hit_query, hit_place=hit_place, chunk_mib=self.chunk_mib)
        cost = partial(_cost, beta=self.beta(negatives), parts=len(negatives.item) + 1)
        return contrasted(cost, query, vectors, positive, contrast=contrast)


def _cost(scores: Tensor, positive: Tensor, owner: Tensor, *, beta: float, parts: int) -> Pull:
    pairs = torch.bincount(owner, minlength=len(scores)).to(scores.dtype) / parts
    refused = -logsigmoid(-scores).sum(-1)
    return Pull(
        loss=(pairs * refused).sum() - logsigmoid(positive).sum() * (beta / parts),
        scores=scores.sigmoid_(),
        scale=pairs[:, None],
        positive=torch.sigmoid(-positive) * (-beta / parts),
    )
