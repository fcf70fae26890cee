"""Which parameters decay, and which are tables whose rows are looked up."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from recsys.errors import ConfigError
from recsys.model.embedder import FeatureEmbedder

_TABLES = (nn.Embedding, nn.EmbeddingBag)
_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.BatchNorm1d)


def tables(module: nn.Module) -> list[nn.Parameter]:
    """The weights that are looked up row by row, [rows, dim] each."""
    found = [part.weight for part in module.modules() if isinstance(part, _TABLES)]
    return [weight for weight in dict.fromkeys(found) if isinstance(weight, nn.Parameter) and weight.requires_grad]


def groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimiser: matrices decay; norms, biases, embeddings and single numbers do not.

    Pulling an embedding towards zero would punish an item for being rare, and a norm or a bias has nothing to overfit
    with: the split that is usual since Radford et al. (GPT, 2018).
    """
    if not weight_decay:
        return [{"params": [weight for weight in module.parameters() if weight.requires_grad], "weight_decay": 0.0}]
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for owner, weight in _owned(module):
        spared = weight.dim() < 2 or isinstance(owner, (*_TABLES, *_NORMS, FeatureEmbedder))
        (kept if spared else decayed).append(weight)
    split = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return [group for group in split if group["params"]]


def insist_dense(module: nn.Module, name: str) -> None:
    """ConfigError where a table gives sparse gradients, which the optimiser `name` cannot take."""
    if any(part.sparse for part in module.modules() if isinstance(part, _TABLES)):
        raise ConfigError(
            f"tower.sparse=true gives gradients of single rows, which optimizer={name} cannot take; "
            "use optimizer=rowwise_adam or optimizer=adagrad, or tower.sparse=false"
        )


def insist_rates(
    *, learning_rate: float, weight_decay: float, beta1: float | None = None, beta2: float | None = None
) -> None:
    """ConfigError where settings that optimisers share cannot work; None for what an optimiser has not."""
    if not 0 < learning_rate < float("inf"):
        raise ConfigError(f"optimizer.learning_rate is {learning_rate}; give a number above 0")
    if not 0 <= weight_decay < float("inf"):
        raise ConfigError(f"optimizer.weight_decay is {weight_decay}; give 0 or more")
    for name, beta in (("beta1", beta1), ("beta2", beta2)):
        if beta is not None and not 0 <= beta < 1:
            raise ConfigError(f"optimizer.{name} is {beta}; give a memory from 0 (none) to below 1")


def _owned(module: nn.Module) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    """Every trained parameter once, with the module that holds it."""
    seen: set[nn.Parameter] = set()
    for owner in module.modules():
        for weight in owner.parameters(recurse=False):
            if weight.requires_grad and weight not in seen:
                seen.add(weight)
                yield owner, weight
