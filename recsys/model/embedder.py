"""What an encoder reads of each token, as one vector: its item, type, place and features, summed."""

import torch
from torch import Tensor, nn

from recsys.event import TYPE_ROWS
from recsys.feature.spec import FeatureSpec
from recsys.model.growth import Newcomers, copy_rows
from recsys.sequence.batch import SequenceBatch
from recsys.tower.module import TowerModule

_SMALL = 256


class FeatureEmbedder(nn.Module):
    """A vector for every class of every feature that is on, summed over the features, [B, L] each -> [B, L, D].

    Features of few classes share one table, read by a product with their one-hot classes side by side: for many small
    tables that is faster than looking each one up. Features of several tokens (words) sum those; 0 is no word.
    """

    def __init__(self, *, features: FeatureSpec, dim: int) -> None:
        super().__init__()
        classes = features.classes()
        self._small = tuple(name for name, count in classes.items() if count <= _SMALL)
        self._counts = counts = [classes[name] for name in self._small]
        offset = torch.tensor([0, *counts[:-1]]).cumsum(0) if counts else torch.zeros(0, dtype=torch.int64)
        self.register_buffer("offset", offset, persistent=False)
        self.offset: Tensor
        self.small = nn.Parameter(torch.empty(sum(counts), dim))
        self.large = nn.ModuleDict(
            {name: nn.Embedding(count, dim, padding_idx=0) for name, count in classes.items() if count > _SMALL}
        )
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.02)
        with torch.no_grad():
            for table in self.large.values():
                for weight in table.parameters():
                    weight[0] = 0

    def forward(self, batch: SequenceBatch) -> Tensor | float:
        hidden: Tensor | float = 0.0
        if self._small:
            place = torch.stack([batch.features[name] for name in self._small], -1) + self.offset
            hot = self.small.new_zeros(*place.shape[:2], len(self.small)).scatter_(-1, place, 1.0)
            hidden = hot @ self.small
        for name, table in self.large.items():
            vectors = table(batch.features[name])
            hidden = hidden + (vectors.sum(2) if vectors.dim() == 4 else vectors)
        return hidden

    def tables(self) -> dict[str, Tensor]:
        """The vectors [C, D] of every feature's classes, which share memory with the weights."""
        shared = torch.split(self.small, self._counts) if self._small else ()
        small = dict(zip(self._small, shared, strict=True))
        return {**small, **{name: table.get_parameter("weight") for name, table in self.large.items()}}

    def grow_from(self, old: "FeatureEmbedder", newcomers: Newcomers) -> None:
        """Classes that were known keep their vectors, also where a feature has outgrown the shared table."""
        known = old.tables()
        for name, table in self.tables().items():
            copy_rows(table, known[name])


class EventEmbedder(nn.Module):
    """Item, type, place in the sequence and features of every token, summed, [B, L] -> [B, L, D].

    Args:
        tower: module that gives item vectors; events are read with the vectors that items are found with.
        dim: D.
        features: what the events carry.
        positions: whether each moment's place in the sequence is told.
        types: whether each event's type is told.
        scale: what item vectors are multiplied with; the square root of `dim` if None.
    """

    def __init__(
        self,
        *,
        tower: TowerModule,
        dim: int,
        features: FeatureSpec,
        positions: bool = True,
        types: bool = True,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.tower = tower
        self.scale = dim**0.5 if scale is None else scale
        self.position = nn.Embedding(features.max_length + 1, dim) if positions else None
        self.event_type = nn.Embedding(TYPE_ROWS, dim) if types else None
        self.query = nn.Parameter(torch.zeros(dim))
        self.features = FeatureEmbedder(features=features, dim=dim)
        for table in (self.position, self.event_type):
            if table is not None:
                nn.init.normal_(table.weight, std=0.02)

    def forward(self, batch: SequenceBatch) -> Tensor:
        hidden = self.tower(batch.item) * self.scale
        if self.position is not None:
            hidden = hidden + self.position(batch.position.clamp(max=self.position.num_embeddings - 1))
        if self.event_type is not None:
            hidden = hidden + self.event_type(batch.type)
        hidden = hidden + batch.is_query[..., None] * self.query
        summed: Tensor = hidden + self.features(batch)
        return summed
