"""The heads side by side, on one trunk."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from recsys.feature.spec import FeatureSpec
from recsys.intent.head import Head
from recsys.intent.seen import Seen
from recsys.model.encoder import SequenceEncoder
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.question import question_batch
from recsys.state import ShopperState

if TYPE_CHECKING:
    from recsys.intent.heads import IntentHeads

_BATCH = 64


class IntentModule(nn.Module):
    """Heads by name; H numbers for each question in all.

    Args:
        heads: at least one.
        weight: of the heads' losses, summed, beside the next item's.
        made_by: the settings it was built from, for the bundle.
    """

    def __init__(self, heads: Mapping[str, Head], *, weight: float, made_by: "IntentHeads") -> None:
        super().__init__()
        self._heads = dict(heads)
        self.heads = nn.ModuleDict(self._heads)
        self.weight = weight
        self.made_by = made_by
        self.size = sum(head.size for head in self._heads.values())

    def items(self) -> list[tuple[str, Head]]:
        """The heads and their names."""
        return list(self._heads.items())

    def prime(self, labels: Mapping[str, Tensor], popularity: Tensor) -> None:
        """Let each head begin with what is usual; see `Head.prime`."""
        for head in self._heads.values():
            head.prime(labels, popularity)

    def forward(self, encoder: SequenceEncoder, hidden: Tensor, batch: SequenceBatch, moment: Tensor) -> Tensor:
        """Outputs of all heads side by side [Q, H].

        Args:
            hidden: the trunk's hidden states [B, L, dim].
            moment: place in its sequence of the moment that is past to each question [Q], for the heads that look back.
        """
        now = encoder.states_of(hidden, batch), Seen.before_questions(batch)
        past = now
        if any(head.looks_back for head in self._heads.values()):
            past = encoder.norm(moment_states(hidden, batch, moment)), Seen.up_to_moments(batch, moment)
        return torch.cat([head(*(past if head.looks_back else now)) for head in self._heads.values()], dim=1)

    def split(self, output: Tensor) -> dict[str, Tensor]:
        """The outputs [Q, H] of each head apart."""
        ends = accumulate(head.size for head in self._heads.values())
        return {name: output[:, end - head.size : end] for (name, head), end in zip(self.items(), ends, strict=True)}

    def counts(self, batch: SequenceBatch) -> Tensor:
        """Over how many questions each head's loss is a mean, one number for each head."""
        return torch.stack([head.known(batch).sum() for head in self._heads.values()])

    def losses(self, output: Tensor, batch: SequenceBatch) -> Tensor:
        """Each head's loss of outputs [Q, H], not weighted, one number for each head."""
        parts = self.split(output)
        return torch.stack([head.loss(parts[name], batch) for name, head in self.items()])

    def loss(self, output: Tensor, batch: SequenceBatch) -> Tensor:
        """The heads' losses, weighted, of outputs [Q, H]; a scalar."""
        return self.weight * self.losses(output, batch).sum()


def moment_states(hidden: Tensor, batch: SequenceBatch, moment: Tensor) -> Tensor:
    """Mean hidden state [Q, dim] of the events of one moment of each question's sequence, that in place `moment` [Q].

    Events of one instant do not see each other, so the mean is what holds all of a basket, in no order. Zeros where
    there is no such moment.
    """
    rows, length, dim = hidden.shape
    is_event = (batch.valid & ~batch.is_query).to(hidden.dtype)
    begin = torch.arange(rows, device=hidden.device)[:, None] * length
    place = (begin + batch.position).flatten()
    total = hidden.new_zeros(rows * length, dim).index_add(0, place, (hidden * is_event[..., None]).flatten(0, 1))
    count = is_event.new_zeros(rows * length).index_add(0, place, is_event.flatten())
    exists = moment >= 0
    wanted = batch.query // length * length + moment.clamp(min=0)
    mean: Tensor = total[wanted] / count[wanted].clamp(min=1)[:, None]
    return torch.where(exists[:, None], mean, 0.0)


def own_moment(batch: SequenceBatch) -> Tensor:
    """In training: the moment that each question was asked the instant before, [Q]; past to all that comes after it."""
    return batch.position.flatten()[batch.query]


def last_moment(batch: SequenceBatch) -> Tensor:
    """In answering: the latest moment that each question knows, [Q]; -1 where it knows none."""
    place = batch.position.flatten()[batch.query]
    return place - batch.is_query.flatten()[batch.query].long()


def head_outputs(
    heads: IntentModule, encoder: SequenceEncoder, states: Sequence[ShopperState], features: FeatureSpec
) -> dict[str, np.ndarray]:
    """What each head says of shoppers [B], each at its own instant; [B, size] float32 by name."""
    found = []
    with torch.inference_mode():
        for begin in range(0, len(states), _BATCH):
            batch = question_batch(list(states[begin : begin + _BATCH]), features)
            found.append(heads(encoder, encoder.hidden(batch), batch, last_moment(batch)))
    joined = torch.cat(found) if found else torch.empty(0, heads.size)
    return {name: output.numpy() for name, output in heads.split(joined).items()}
