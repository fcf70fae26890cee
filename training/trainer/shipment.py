"""A loader on its way to workers: plain arrays, which Ray keeps once for each machine and maps into every worker."""

import warnings
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.sequence.batch import TokenTensors
from recsys.sequence.loader import Loader
from recsys.sequence.windows import Windows


@dataclass(frozen=True, slots=True)
class _Column:
    """A column [N] of the stream; `rows` [1] stand for all where it says the same everywhere."""

    rows: np.ndarray
    length: int

    @classmethod
    def of(cls, tensor: Tensor) -> "_Column":
        spread = len(tensor) > 0 and tensor.stride(0) == 0
        return cls((tensor[:1] if spread else tensor).contiguous().numpy(), len(tensor))

    def tensor(self) -> Tensor:
        """Without a copy; nobody writes to it."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            found = torch.from_numpy(self.rows)
        return found if len(found) == self.length else found.expand(self.length, *found.shape[1:])


@dataclass(frozen=True, slots=True)
class Shipment:
    """What a loader is made of."""

    columns: dict[str, Any]
    features: dict[str, _Column]
    windows: Windows
    batch_tokens: int
    ordered: bool

    @classmethod
    def of(cls, loader: Loader) -> "Shipment":
        """Of a loader whose tokens lie on the CPU."""
        columns = {
            field.name: _Column.of(value) if isinstance(value, Tensor) else value
            for field in fields(TokenTensors)
            if not isinstance(value := getattr(loader.tokens, field.name), dict)
        }
        features = {name: _Column.of(value) for name, value in loader.tokens.features.items()}
        return cls(columns, features, loader.windows, loader.batch_tokens, loader.ordered)

    @property
    def mib(self) -> int:
        """How much room it takes."""
        found = [*self.columns.values(), *self.features.values()]
        own = [getattr(self.windows, field.name) for field in fields(Windows)]
        taken = sum(c.rows.nbytes for c in found if isinstance(c, _Column)) + sum(array.nbytes for array in own)
        return int(taken / (1 << 20)) + 1

    def loader(self) -> Loader:
        """The same loader again."""
        columns = {name: c.tensor() if isinstance(c, _Column) else c for name, c in self.columns.items()}
        features = {name: column.tensor() for name, column in self.features.items()}
        tokens = TokenTensors(**columns, features=features)
        return Loader(tokens, self.windows, self.batch_tokens, self.ordered)
