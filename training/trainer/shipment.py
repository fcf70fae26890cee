"""A loader on its way to workers: plain arrays, which Ray keeps once for each machine and maps into every worker."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from recsys.sequence.batch import TokenTensors
from recsys.sequence.loader import Loader
from recsys.sequence.windows import Windows

_MIB = 1 << 20


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
    """What a loader is made of; `groups` are the columns that have names of their own, such as features."""

    columns: Mapping[str, _Column]
    groups: Mapping[str, Mapping[str, _Column]]
    windows: Windows
    batch_tokens: int
    ordered: bool

    @classmethod
    def of(cls, loader: Loader) -> "Shipment":
        """Of a loader whose tokens lie on the CPU."""
        held = {field.name: getattr(loader.tokens, field.name) for field in fields(TokenTensors)}
        return cls(
            {name: _Column.of(value) for name, value in held.items() if isinstance(value, Tensor)},
            {
                name: {own: _Column.of(column) for own, column in value.items()}
                for name, value in held.items()
                if isinstance(value, Mapping)
            },
            loader.windows,
            loader.batch_tokens,
            loader.ordered,
        )

    @property
    def mib(self) -> int:
        """How much room it takes."""
        columns = [*self.columns.values(), *(column for group in self.groups.values() for column in group.values())]
        windows = [getattr(self.windows, field.name) for field in fields(Windows)]
        return int(sum(column.rows.nbytes for column in columns) + sum(array.nbytes for array in windows)) // _MIB + 1

    def loader(self) -> Loader:
        """The same loader again."""
        columns = {name: column.tensor() for name, column in self.columns.items()}
        groups = {name: {own: c.tensor() for own, c in group.items()} for name, group in self.groups.items()}
        return Loader(TokenTensors(**columns, **groups), self.windows, self.batch_tokens, self.ordered)  # type: ignore[arg-type]
