"""Cross-entropy of targets against shared negatives, as worked out for a few queries at a time."""

import torch
from torch import Tensor

from recsys.loss.chunk import Pull


def softmax_cost(scores: Tensor, positive: Tensor, owner: Tensor) -> Pull:
    """Sum over p pairs of -log(e^positive / (e^positive + sum over n of e^scores)); overwrites `scores` [C, N].

    A query without negatives costs nothing.
    """
    top = scores.amax(-1, keepdim=True).clamp_(min=torch.finfo(scores.dtype).min)
    total = scores.sub_(top).exp_().sum(-1)
    gap = (top[:, 0] + total.log())[owner] - positive
    doubt = torch.sigmoid(gap)
    # The largest summand is 1, so a total below 1 is 0: nothing there to share out.
    scale = torch.zeros_like(total).index_add_(0, owner, doubt) / total.clamp(min=1)
    return Pull(loss=torch.nn.functional.softplus(gap).sum(), scores=scores, scale=scale[:, None], positive=doubt.neg())
