"""What all encoders share: events in, a trunk between, query vectors out in the space of the item vectors."""

from typing import Any

from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec
from recsys.model.asked import Asked
from recsys.model.before import Before, Extends
from recsys.model.dropout import Dropout
from recsys.model.embedder import EventEmbedder
from recsys.protocols import ItemTower, Similarity
from recsys.sequence.batch import SequenceBatch
from recsys.similarity.dot import Dot
from recsys.tower.id import Id


class SequenceEncoder(nn.Module):
    """A trunk between the one embedder of events and the similarity of queries and items.

    Args:
        trunk: hidden states [B, L, dim], the batch and who is asked (`Asked`, or None for everybody) -> hidden states
            of those asked [B, W or L, dim]; sees the past only.
        items: V, catalogue size with index 0.
        features: what the events carry.
        dim: size of hidden states.
        dropout: on the embedded events.
        tower: where item vectors come from; an own vector for each item if None. Events are read with the same vectors.
        similarity: how queries and items are compared; the inner product if None.
        positions, types, scale: see `EventEmbedder`.
        norm: what the hidden states of queries go through before they are compared; a layer norm if None.
        settings: further constructor arguments of the encoder, for the bundle.
    """

    def __init__(
        self,
        trunk: nn.Module,
        *,
        items: int,
        features: FeatureSpec,
        dim: int,
        dropout: float,
        tower: ItemTower | None,
        similarity: Similarity | None,
        positions: bool = True,
        types: bool = True,
        scale: float | None = None,
        norm: nn.Module | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        tower, similarity = tower or Id(), similarity or Dot()
        self._settings = {**settings, "dim": dim, "dropout": dropout, "tower": tower, "similarity": similarity}
        self.embedder = EventEmbedder(
            tower=tower.build(items=items, dim=dim, features=features),
            dim=dim,
            features=features,
            positions=positions,
            types=types,
            scale=scale,
        )
        self.trunk = trunk
        self.norm = nn.LayerNorm(dim) if norm is None else norm
        self.dropout = Dropout(dropout)
        self.similarity = similarity.build(items=items, dim=dim)
        self.vector_size: int = self.similarity.vector_size

    def hidden(self, batch: SequenceBatch) -> Tensor:
        """Hidden states of all tokens [B, L, dim], before the norm."""
        hidden: Tensor = self.trunk(self.dropout(self.embedder(batch)), batch)
        return hidden

    def states_of(self, hidden: Tensor, batch: SequenceBatch) -> Tensor:
        """Those of the queries [Q, dim], after the norm."""
        state: Tensor = self.norm(hidden.flatten(0, 1)[batch.query])
        return state

    def states(self, batch: SequenceBatch) -> Tensor:
        """Hidden states at the queries [Q, dim]: what the shopper is after, before it is compared with items."""
        asked = Asked.of(batch)
        if asked is None:
            return self.states_of(self.hidden(batch), batch)
        hidden = self.trunk(self.dropout(self.embedder(batch)), batch, asked)
        state: Tensor = self.norm(hidden.flatten(0, 1)[asked.place])
        return state

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Query vectors [Q, D]."""
        return self.similarity.query(self.states(batch))

    def extend(self, batch: SequenceBatch, before: Before) -> Tensor:
        """Query vectors [Q, D] of the new tokens of many shoppers, laid end to end as one sequence [1, N], that look
        back on those `before`, where is left what to keep of them; the trunk must be one that `Extends`."""
        if not isinstance(self.trunk, Extends):
            raise ConfigError(f"{type(self).__name__} reads a history as a whole; it keeps nothing to go on from")
        hidden = self.trunk.extend(self.dropout(self.embedder(batch)), before)
        return self.similarity.query(self.norm(hidden[0]))

    def item_vectors(self, item: Tensor | None = None) -> Tensor:
        """Vectors of `item` [N] -> [N, D], or of the catalogue [V, D]."""
        return self.similarity.item(self.embedder.tower(item), item)

    def prime(self, popularity: Tensor) -> None:
        """Tell how often each item was taken in what is learnt from [V]."""
        self.embedder.tower.prime(popularity)
        self.similarity.prime(popularity)

    def settings(self) -> dict[str, Any]:
        """Constructor arguments, for the bundle."""
        return dict(self._settings)


def visible(batch: SequenceBatch) -> Tensor | None:
    """The attention mask [B, 1, L, L], or None where a plain causal one is exact."""
    return None if batch.ordered else batch.attention_mask()
