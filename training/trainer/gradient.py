"""Bounds how far one batch may pull."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip(parameters: Iterable[nn.Parameter], longest: float | None) -> Tensor:
    """Shorten the gradients, taken as one vector, to the length `longest` if they are longer; their length before.
    None leaves them as long as they are.

    As `torch.nn.utils.clip_grad_norm_`, to the bit, and for sparse gradients too: what they say of one row several
    times is summed first, so that the length is that of the gradient itself.
    """
    values = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            values.append(parameter.grad._values())  # shares memory, which values() of a gradient may not
        else:
            values.append(parameter.grad)
    length = nn.utils.get_total_norm(values)
    if longest is not None:
        torch._foreach_mul_(values, (longest / (length + 1e-6)).clamp(max=1.0))
    return length
