"""BPR-max: the target above the negatives, of which the highest ranked count most; the loss of the official GRU4Rec.

Hidasi & Karatzoglou, "Recurrent neural networks with top-k gains for session-based recommendations" (CIKM 2018),
https://arxiv.org/abs/1706.03847; the bound on the scores and the defaults after
https://github.com/hidasib/GRU4Rec_PyTorch_Official.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import elu, log_softmax, logsigmoid

from recsys.errors import ConfigError
from recsys.loss.chunk import Contrast, Pull, contrasted, lowest, wide
from recsys.loss.hits import accidental_hits
from recsys.protocols import VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch


@dataclass(frozen=True, slots=True)
class BPRMax:
    """-log(sum of w s(r - r_n)) + regularisation * sum of w r_n^2, with w the softmax of the negatives' scores r_n.

    s is the logistic function, r the target's score; both sums are over the negatives. Official GRU4Rec trains with the
    other targets of the batch and 2,048 negatives by popularity^alpha: sampler=mixed. It does not leave out negatives
    that are the query's own target, as is done here. The negatives' log_q plays no part.

    Args:
        negatives: how many are drawn, N, those of the batch counted.
        regularisation: how strongly the negatives' scores are drawn to 0.
        elu: scores below 0 are bent so that none falls below -elu (r = elu (e^score - 1)); 0 leaves them straight.
        chunk_mib: see `recsys/loss/full_softmax.py`.
    """

    negatives: int = 2048
    regularisation: float = 1.0
    elu: float = 0.5
    chunk_mib: float | None = None

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise ConfigError(f"loss.negatives is {self.negatives}; give at least 1, or take loss=full_softmax")
        if self.regularisation < 0:
            raise ConfigError(f"loss.regularisation is {self.regularisation}; give 0 (none) or more")
        if self.elu < 0:
            raise ConfigError(f"loss.elu is {self.elu}; give 0 (straight scores) or more")

    def __call__(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        """Mean over the P pairs; `query` [Q, D], `vectors_of` items [N] -> [N, D]; a scalar.

        A negative that is a target of the same query is left out for that query; a query without any costs nothing.
        """
        query, vectors, target = wide(query), wide(vectors_of(negatives.item)), wide(vectors_of(batch.pair_target))
        positive = (query[batch.pair_query] * target).sum(-1)
        hit_query, hit_place = accidental_hits(batch, negatives.item)
        contrast = Contrast(owner=batch.pair_query, hit_query=hit_query, hit_place=hit_place, chunk_mib=self.chunk_mib)
        cost = partial(_cost, regularisation=self.regularisation, bend=self.elu)
        return contrasted(cost, query, vectors, positive, contrast=contrast)


def _cost(scores: Tensor, positive: Tensor, owner: Tensor, *, regularisation: float, bend: float) -> Pull:
    """As logarithms, since all s(r - r_n) may be too small for a float."""
    out = scores == lowest(scores)
    bent, own = (elu(scores, bend), elu(positive, bend)) if bend else (scores.masked_fill(out, 0), positive)
    log_weight = log_softmax(bent.masked_fill(out, lowest(scores)), -1)
    weight = log_weight.exp()
    squares = (weight * bent * bent).sum(-1, keepdim=True)

    ahead = own[:, None] - bent[owner]  # from here on a row is a pair
    log_above = logsigmoid(ahead).add_(log_weight[owner])
    top, share = log_above.amax(-1), log_above.softmax(-1)
    log_sum = top - share.amax(-1).log()
    share *= ahead.sigmoid_()
    counted = (~out.all(-1)).to(scores.dtype)  # a query without negatives costs nothing

    pairs = torch.bincount(owner, minlength=len(scores))[:, None]
    pull = (bent + 2).mul_(bent).sub_(squares).mul_(regularisation).add_(1).mul_(weight).mul_(pairs)
    pull.index_add_(0, owner, share, alpha=-1)
    own_pull = (share.sum(-1) - 1) * counted[owner]
    if bend:
        pull *= bent.add_(bend).masked_fill_(scores > 0, 1)
        own_pull *= torch.where(own > 0, 1, own + bend)
    loss = (regularisation * squares[:, 0][owner] - log_sum) * counted[owner]
    return Pull(loss=loss.sum(), scores=pull, scale=counted[:, None], positive=own_pull)
