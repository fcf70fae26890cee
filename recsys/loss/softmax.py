"""Cross-entropy of targets against shared negatives, as worked out for a few queries at a time."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from recsys.loss.chunk import Pull


def softmax_cost(scores: Tensor, positive: Tensor, owner: Tensor) -> Pull:
    """Sum over p pairs of -log(e^positive / (e^positive + sum over n of e^scores)).

    A query without negatives costs nothing.
    """
    # One pass of torch's softmax is faster than exponentials and their sum apart. The largest weight is e^0 over the
    # sum, which gives the sum away.
    top = scores.amax(-1)
    # On a CPU new memory for each chunk would cost more than that; other kernels do not promise to work in place.
    weight = torch.softmax(scores, -1, out=scores if scores.device.type == "cpu" else None)
    gap = (top - weight.amax(-1).log())[owner] - positive
    doubt = torch.sigmoid(gap)
    scale = torch.zeros_like(top).index_add_(0, owner, doubt)
    return Pull(loss=softplus(gap).sum(), scores=weight, scale=scale[:, None], positive=doubt.neg())
