"""How steps are computed: in which precision, compiled or not, with the tokens on the device or sent batch by batch."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from recsys.errors import ConfigError
from recsys.protocols import Encoder
from recsys.sequence.batch import SequenceBatch, TokenTensors
from recsys.sequence.loader import Loader

AUTO = "auto"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_GAIN = 0.8
"""A way must take less than this share of the time of the one before it; less would be chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to compute steps.

    Args:
        precision: float32, or bfloat16 for the products of a step (autocast; weights stay float32).
        compile: whether the encoder is compiled by `torch.compile`.
        resident: whether the tokens lie on the device.
    """

    precision: str = "float32"
    compile: bool = False
    resident: bool = True

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """The context of forward pass and loss."""
        dtype = _DTYPES[self.precision]
        return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)

    def forward(self, encoder: Encoder) -> Callable[[SequenceBatch], Tensor]:
        """What makes query vectors of a batch; the weights are the encoder's own."""
        if not self.compile:
            return encoder
        return cast(Callable[[SequenceBatch], Tensor], torch.compile(cast(nn.Module, encoder), dynamic=True))

    def placed(self, loader: Loader, device: torch.device) -> Loader:
        """The same loader with its tokens where they shall lie."""
        if not self.resident or loader.tokens.device == device:
            return loader
        columns = {field.name: getattr(loader.tokens, field.name) for field in fields(TokenTensors)}
        return replace(loader, tokens=TokenTensors(**{name: _on(device, held) for name, held in columns.items()}))

    def words(self) -> str:
        """For people."""
        compiled, placed = "compiled" if self.compile else "eager", "on the device" if self.resident else "sent"
        return f"{self.precision}, {compiled}, tokens {placed}"

    def figures(self) -> dict[str, float]:
        """For a tracker of numbers."""
        numbers = {"compiled": self.compile, "resident": self.resident, "bfloat16": self.precision == "bfloat16"}
        return {name: float(value) for name, value in numbers.items()}

    def to_json(self) -> dict[str, Any]:
        """Constructor arguments."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What may be chosen: a value of `Way`, or "auto" to have it chosen by measuring."""

    precision: str = AUTO
    compile: bool | str = AUTO
    resident: bool | str = AUTO

    def __post_init__(self) -> None:
        if self.precision not in (AUTO, *_DTYPES):
            raise ConfigError(f"trainer.precision={self.precision} is unknown; use auto, {' or '.join(_DTYPES)}")
        for name, value in (("compile", self.compile), ("resident", self.resident)):
            if value != AUTO and not isinstance(value, bool):
                raise ConfigError(f"trainer.{name}={value} is neither auto, true nor false")

    def options(self, device: torch.device) -> dict[str, Sequence[Any]]:
        """The values to try of each switch, the plain one first.

        What cannot pay is not tried: on a CPU tokens lie where they are used, and there compiling took 20 s and made
        SASRec's steps slower by a third (sequences of 50, d=64, torch 2.13); `compile=True` does it all the same.
        """
        elsewhere = device.type != "cpu"
        tried: dict[str, Sequence[Any]] = {
            "resident": (True, False) if elsewhere else (True,),
            "precision": tuple(_DTYPES),
            "compile": (False, True) if elsewhere else (False,),
        }
        return {name: tried[name] if getattr(self, name) == AUTO else (getattr(self, name),) for name in tried}

    def plain(self, device: torch.device) -> Way:
        """The first value of every switch: what is taken where measuring is not worth it."""
        return Way(**{name: values[0] for name, values in self.options(device).items()})


def _on(device: torch.device, held: Tensor | Mapping[str, Tensor]) -> Any:
    """A column on the device, or all of those that have names of their own."""
    if isinstance(held, Tensor):
        return held.to(device)
    return {name: column.to(device) for name, column in held.items()}


def fastest(
    options: Mapping[str, Sequence[Any]], cost: Callable[[Way], float | None]
) -> tuple[Way, list[tuple[Way, float | None]]]:
    """The way of the least cost, and what was tried; switch after switch, each with the best of those before it.

    `cost` gives None for a way that does not work here. A later value must be clearly better than an earlier one.
    """
    best = Way(**{name: values[0] for name, values in options.items()})
    least = cost(best)
    tried = [(best, least)]
    for name, values in options.items():
        for value in values[1:]:
            way = replace(best, **{name: value})
            found = cost(way)
            tried.append((way, found))
            if found is not None and (least is None or found < _GAIN * least):
                best, least = way, found
    return best, tried
