"""Trains heads beside the next item: an encoder that also tells what its heads say, and a loss that reads both.

To a trainer they are an encoder and a loss like any other: the outputs of the heads stand beside the query vectors,
so nothing is remembered between the two and one pass of the trunk serves all.
"""

import torch
from torch import Tensor, nn

from recsys.intent.module import IntentModule, own_moment
from recsys.model.encoder import SequenceEncoder
from recsys.protocols import Loss, VectorsOf
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch


class JointEncoder(nn.Module):
    """Query vectors [Q, D] with the outputs of the heads beside them, [Q, D + H]; while training only."""

    def __init__(self, encoder: SequenceEncoder, heads: IntentModule) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = heads
        self.vector_size = encoder.vector_size

    def forward(self, batch: SequenceBatch) -> Tensor:
        """[Q, D + H]."""
        hidden = self.encoder.hidden(batch)
        query = self.encoder.similarity.query(self.encoder.states_of(hidden, batch))
        return torch.cat([query, self.heads(self.encoder, hidden, batch, own_moment(batch))], dim=1)

    def item_vectors(self, item: Tensor | None = None) -> Tensor:
        """The encoder's."""
        return self.encoder.item_vectors(item)

    def prime(self, popularity: Tensor) -> None:
        """Tell the encoder."""
        self.encoder.prime(popularity)

    def settings(self) -> dict[str, object]:
        """The encoder's."""
        return self.encoder.settings()


class JointLoss:
    """The loss of the next item plus the weighted losses of the heads. Each is a mean over what teaches it, so whoever
    has a part of a batch weighs them one by one: `means` by `counts`."""

    def __init__(self, loss: Loss, heads: IntentModule) -> None:
        self.loss = loss
        self.heads = heads
        self.negatives = loss.negatives

    def __call__(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        """Mean over the pairs for the next item, over the questions with an answer for each head; a scalar. `query`
        [Q, D + H]."""
        own, output = self._split(query)
        return self.loss(own, batch, vectors_of, negatives) + self.heads.loss(output, batch)

    def counts(self, batch: SequenceBatch) -> Tensor:
        """Over how much each of `means` is one: the pairs, then the questions with an answer for each head."""
        return torch.cat([batch.pair_target.new_tensor([len(batch.pair_target)]), self.heads.counts(batch)])

    def means(self, query: Tensor, batch: SequenceBatch, vectors_of: VectorsOf, negatives: Negatives) -> Tensor:
        """What the whole is the sum of: that of the next item, then the weighted one of each head."""
        own, output = self._split(query)
        next_item = self.loss(own, batch, vectors_of, negatives)
        return torch.cat([next_item[None], self.heads.weight * self.heads.losses(output, batch)])

    def _split(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Query vectors [Q, D] and outputs of the heads [Q, H]."""
        size = query.shape[1] - self.heads.size
        return query[:, :size].contiguous(), query[:, size:]
