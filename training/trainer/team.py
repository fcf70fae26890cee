"""What one worker of several does of every step, so that together they do what one alone would.

A batch is shared out in consecutive parts, everybody draws the same negatives from the same random numbers, and every
mean in a part's loss is weighed by how many it is over: pairs for the next item, questions with a known answer for each
intent head. So the mean of the gradients is that of the whole batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, distributed, nn

from recsys.protocols import Encoder, Loss, VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch


@dataclass(frozen=True, slots=True)
class Team:
    """The process group as one of its `size` workers sees it; `rank` is its own number from 0."""

    rank: int
    size: int
    device: torch.device

    def share(self, windows: np.ndarray) -> np.ndarray:
        """The own part of the windows [B] of a batch; where they are too few, one that does not count."""
        own = np.array_split(windows, self.size)[self.rank]
        return own if len(own) else windows[:1]

    def counts(self, windows: np.ndarray) -> bool:
        """Whether the own part is one: there are fewer windows than workers in a small batch."""
        return len(windows) > self.rank

    def all_targets(self, own: Tensor) -> Tensor:
        """The targets [P] of the whole batch in its order, from everybody's own."""
        sizes = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.size)]
        distributed.all_gather(sizes, torch.tensor([len(own)], device=self.device))
        lengths = [int(size) for size in sizes]
        padded = torch.zeros(max(lengths), dtype=torch.int64, device=self.device)
        padded[: len(own)] = own
        parts = [torch.zeros_like(padded) for _ in range(self.size)]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    def total(self, *own: float) -> list[float]:
        """Everybody's numbers, each summed."""
        summed = torch.tensor(own, dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return [float(value) for value in summed]

    def weights(self, own: Sequence[int], *, counts: bool) -> list[float]:
        """By what to multiply means over `own` many each, so that the mean over workers is that of the whole batch."""
        mine = [number * counts for number in own]
        return [self.size * number / max(1.0, total) for number, total in zip(mine, self.total(*mine), strict=True)]

    def told(self, value: float) -> float:
        """The number that worker 0 says."""
        said = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(said, src=0)
        return float(said)

    def seed(self, *position: int) -> None:
        """Dropout by position and worker, so that a training that goes on draws what it would have drawn."""
        torch.manual_seed(int(np.random.SeedSequence((*position, self.rank)).generate_state(1, np.uint64)[0]))


@runtime_checkable
class SumOfMeans(Protocol):
    """A loss [] that is a sum of M means, each over something else."""

    def counts(self, batch: SequenceBatch) -> Tensor:
        """Over how much of the batch each is a mean [M]."""
        ...

    def means(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        """The means [M], each 0 where it is over nothing; arguments as of the loss."""
        ...


class Objective(nn.Module):
    """The whole of a step as one module, for `DistributedDataParallel`: batch and negatives in, a weighed loss out.

    torch asks that weights are used within `forward` of the module it wraps; item vectors are part of it, therefore.
    See https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html.
    """

    def __init__(self, encoder: Encoder, loss: Loss, forward: Callable[[SequenceBatch], Tensor]) -> None:
        super().__init__()
        self.encoder = cast(nn.Module, encoder)
        self._parts = (loss, forward, encoder.item_vectors)

    def counts(self, batch: SequenceBatch) -> list[int]:
        """Over how much of the batch each mean is one of which the loss is the sum; just its pairs, as a rule."""
        loss = self._parts[0]
        return loss.counts(batch).tolist() if isinstance(loss, SumOfMeans) else [len(batch.pair_target)]

    def forward(self, batch: SequenceBatch, negatives: Negatives, weights: Sequence[float]) -> Tensor:
        """The means, each times its weight, summed; nothing, but with gradients, where none counts."""
        loss, forward, vectors_of = self._parts
        query = forward(batch)
        if not any(weights):
            return query.sum() * 0.0
        parts = (query, batch, vectors_of, negatives)
        means = loss.means(*parts) if isinstance(loss, SumOfMeans) else loss(*parts)[None]
        return (means * means.new_tensor(weights)).sum()
