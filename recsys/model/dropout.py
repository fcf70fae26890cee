"""Dropout whose masks cost little on a CPU, where torch draws one number after the other for every component.

Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (JMLR 2014).
"""

import torch
from torch import Tensor, nn

from recsys.errors import ConfigError

_CLASSES = 2**16


class Dropout(nn.Module):
    """Each component of [...] is left out with probability `share` while training, the others are scaled up for it.

    On a CPU every random 64-bit number decides on four components, so the share is rounded to 1/65536 and the scale
    goes by the rounded one: the expectation is exact. Masks follow torch's default generator.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ConfigError(f"dropout is {share}; give a share from 0 to below 1")
        self.share = share
        self._left_out = min(round(share * _CLASSES), _CLASSES - 1)

    def forward(self, hidden: Tensor) -> Tensor:
        if _fused(hidden):
            return nn.functional.dropout(hidden, self.share, self.training)
        keep = self.mask(hidden)
        return hidden if keep is None else hidden * keep

    def mask(self, like: Tensor) -> Tensor | None:
        """Zero where a component of `like` [...] is left out, else the scale [...]; None where all are kept."""
        if not (self.training and self.share):
            return None
        if _fused(like):
            return nn.functional.dropout(torch.ones_like(like), self.share)
        drawn = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        keep = drawn.view(torch.int16)[: like.numel()].view(like.shape) >= self._left_out - _CLASSES // 2
        return keep.to(like.dtype).mul_(_CLASSES / (_CLASSES - self._left_out))

    def extra_repr(self) -> str:
        return f"share={self.share}"


def _fused(hidden: Tensor) -> bool:
    """Whether torch's own dropout is the faster one: elsewhere than on a CPU, and compiled."""
    return hidden.device.type != "cpu" or torch.compiler.is_compiling()
