"""A trained model for a few rows at a time, as they are read on in serving: the same steps without their overhead.

One token through a layer is a thousandth of what torch's calls are made for; most of the time goes into the calls.
Modules that have a cheap counterpart here are exchanged for it in a copy, which shares the tables with the original;
everything else stays what it is. Where rows are many, the counterparts call torch too.
"""

import copy
import math
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from recsys.compiled import compiled
from recsys.model.dropout import Dropout
from recsys.model.embedder import EventEmbedder
from recsys.sequence.batch import SequenceBatch

Model = TypeVar("Model", bound=nn.Module)
_FEW = 200_000
"""Multiplications up to which numpy's product is the faster one; it does not share so few out among threads."""
_SMALL = 10_000
"""Numbers up to which a compiled loop is the faster one."""


def quick(model: Model) -> Model:
    """A copy for inference with the weights as they are now."""
    kept = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    made: Model = copy.deepcopy(model, kept).eval()
    _exchange(made)
    return made


def _exchange(module: nn.Module) -> None:
    for name, child in module.named_children():
        _exchange(child)
        if counterpart := _COUNTERPARTS.get(type(child)):
            setattr(module, name, counterpart(child))


class _Quick(nn.Module):
    """A module that is called without torch's hooks."""

    def __call__(self, given: Any) -> Any:
        return self.forward(given)


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """A module's own weights by name, those that it has."""
    return {name: weight.detach() for name, weight in module.named_parameters(recurse=False)}


class _Linear(_Quick):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weights = _weights(linear)
        self.weight, self.bias = weights["weight"], weights.get("bias")
        self._matrix = np.ascontiguousarray(self.weight.numpy().T)
        self._bias = weights["bias"].numpy() if "bias" in weights else np.float32(0.0)

    def forward(self, rows: Tensor) -> Tensor:
        if rows.numel() * self._matrix.shape[1] > _FEW:
            return nn.functional.linear(rows, self.weight, self.bias)
        found = rows.numpy() @ self._matrix
        found += self._bias
        return torch.from_numpy(found)


class _LayerNorm(_Quick):
    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self._norm = norm
        weights, size = _weights(norm), norm.normalized_shape[-1]
        self._weight = weights.get("weight", torch.ones(size)).numpy()
        self._bias = weights.get("bias", torch.zeros(size)).numpy()

    def forward(self, rows: Tensor) -> Tensor:
        if rows.numel() > _SMALL or len(self._norm.normalized_shape) > 1:
            normed: Tensor = self._norm(rows)
            return normed
        given = rows.numpy()
        found = np.empty(given.shape, np.float32)
        layer_norm(given.reshape(-1, given.shape[-1]), self._weight, self._bias, self._norm.eps, found)
        return torch.from_numpy(found)


class _GELU(_Quick):
    def __init__(self, gelu: nn.GELU) -> None:
        super().__init__()
        self._gelu = gelu

    def forward(self, rows: Tensor) -> Tensor:
        if rows.numel() > _SMALL or self._gelu.approximate != "none":
            made: Tensor = self._gelu(rows)
            return made
        found = rows.numpy().ravel().copy()
        gelu(found)
        return torch.from_numpy(found).view(rows.shape)


class _Embedding(_Quick):
    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.weight = embedding.weight
        self._table = embedding.weight.detach().numpy()

    def forward(self, row: Tensor) -> Tensor:
        return torch.from_numpy(self._table[row.numpy()])


class _Kept(_Quick):
    """Dropout of a model that is not trained."""

    def __init__(self, dropout: Dropout) -> None:
        super().__init__()

    def forward(self, rows: Tensor) -> Tensor:
        return rows


class _Embedder(_Quick):
    """All that is known of a token but its item is one row each of a single table, added up at once."""

    def __init__(self, embedder: EventEmbedder) -> None:
        super().__init__()
        self.tower = embedder.tower
        self._scale = np.float32(embedder.scale)
        features = embedder.features.tables()
        own = {"position": embedder.position, "type": embedder.event_type}
        known = {name: table.weight for name, table in own.items() if table is not None}
        tables = [embedder.query.detach()[None], *(table.detach() for table in (*known.values(), *features.values()))]
        nothing = torch.zeros(1, embedder.query.shape[0])
        self._table = torch.cat([nothing, *tables]).numpy()
        first = np.cumsum([2, *(len(table) for table in tables[1:])]).tolist()
        self._own = dict(zip(known, first, strict=False))
        self._features = dict(zip(features, first[len(known) :], strict=False))
        self._last_position = len(known["position"]) - 1 if "position" in known else 0

    def forward(self, batch: SequenceBatch) -> Tensor:
        places = [batch.is_query.numpy().ravel().astype(np.int64)]
        if "position" in self._own:
            position = np.minimum(batch.position.numpy().ravel(), self._last_position)
            places.append(position + self._own["position"])
        if "type" in self._own:
            places.append(batch.type.numpy().ravel() + self._own["type"])
        for name, first in self._features.items():
            places += list((batch.features[name].numpy().reshape(len(places[0]), -1) + first).T)
        found = self.tower(batch.item).numpy() * self._scale
        rows = found.reshape(len(places[0]), -1)
        for place in places:
            rows += self._table[place]
        return torch.from_numpy(found)


_COUNTERPARTS: dict[type[nn.Module], Any] = {
    nn.Linear: _Linear,
    nn.Embedding: _Embedding,
    Dropout: _Kept,
    EventEmbedder: _Embedder,
}


@compiled
def layer_norm(rows: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float, out: np.ndarray) -> None:
    """The layer norm of `rows` [N, D] float32, written to `out`, of as many numbers."""
    size = rows.shape[1]
    found = out.reshape(rows.shape)
    for number in range(len(rows)):
        row = rows[number]
        mean = np.float32(row.sum() / size)
        spread = np.float32(0.0)
        for at in range(size):
            spread += (row[at] - mean) * (row[at] - mean)
        scale = np.float32(1.0 / math.sqrt(spread / size + epsilon))
        for at in range(size):
            found[number, at] = (row[at] - mean) * scale * weight[at] + bias[at]


@compiled
def gelu(numbers: np.ndarray) -> None:
    """x * P(X <= x) of every number [N] float32, X a standard normal, in its place."""
    for at in range(len(numbers)):
        numbers[at] *= 0.5 * (1.0 + math.erf(numbers[at] * math.sqrt(0.5)))


if hasattr(gelu, "py_func"):  # else torch is faster
    _COUNTERPARTS |= {nn.LayerNorm: _LayerNorm, nn.GELU: _GELU}
