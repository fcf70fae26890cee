"""What all heads share: they read a state of the trunk, learn from a batch, and are calibrated and judged apart."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recsys.event import EventType
from recsys.intent.seen import PACE, Seen
from recsys.sequence.batch import SequenceBatch

Figures = dict[str, float]
"""What was measured, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What came after M questions.

    Attributes:
        labels: see `recsys/intent/labels.py`, [M] each.
        known_days: how far beyond each question the future is known [M].
        pair_query: for every pair its question, [P] into M, ascending.
        pair_target: for every pair an item that was asked for [P].
    """

    labels: Mapping[str, np.ndarray]
    known_days: np.ndarray
    pair_query: np.ndarray
    pair_target: np.ndarray


class Head(nn.Module, ABC):
    """A small network on the trunk's states.

    Attributes:
        size: numbers it gives for each question.
        looks_back: it reads the state of a moment that is past, not that of the question.
        scale, shift: calibrate its outputs; part of its weights, 1 and 0 until it is calibrated.
    """

    size: int
    looks_back = False

    def __init__(self) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("shift", torch.zeros((), dtype=torch.float64))

    def calibrated(self, output: np.ndarray) -> np.ndarray:
        """Outputs [Q, size] as they should have been."""
        moved: np.ndarray = output.astype(np.float64) * float(self.scale) + float(self.shift)
        return moved

    def set_calibration(self, scale: float, shift: float) -> None:
        """Keep what was fitted."""
        self.scale.fill_(scale)
        self.shift.fill_(shift)

    @abstractmethod
    def prime(self, labels: Mapping[str, Tensor], popularity: Tensor) -> None:
        """Begin with what is usual, whatever the state: told before training all `labels` of the questions that may be
        learnt from, and how often each item was taken there [V]."""

    @abstractmethod
    def forward(self, state: Tensor, seen: Seen) -> Tensor:
        """States [Q, dim], and what they are states of -> outputs [Q, size]."""

    @abstractmethod
    def known(self, batch: SequenceBatch) -> Tensor:
        """Whether each question's answer is known [Q] bool."""

    @abstractmethod
    def loss(self, output: Tensor, batch: SequenceBatch) -> Tensor:
        """Mean loss of outputs [Q, size] over the questions whose answer is known; a scalar, 0 without any."""

    @abstractmethod
    def calibrate(self, output: np.ndarray, truth: Truth) -> None:
        """Fit scale and shift to outputs [M, size]; left as they are where too little is known."""

    @abstractmethod
    def judge(self, output: np.ndarray, truth: Truth) -> Figures:
        """How well outputs [M, size] tell what came, without calibration and with it."""


class SmallNetwork(nn.Module):
    """One hidden layer over states and pace, and a straight way from the pace; [Q, dim] -> [Q, size].

    Says the same whatever it reads, until it is trained.

    Args:
        goal: what the pace is of.
    """

    def __init__(self, dim: int, size: int, *, goal: EventType) -> None:
        super().__init__()
        self.goal = goal
        self.hidden = nn.Linear(dim + PACE, dim)
        self.straight = nn.Linear(PACE, size, bias=False)
        self.out = nn.Linear(dim, size)
        for weight in (self.straight.weight, self.out.weight, self.out.bias):
            nn.init.zeros_(weight)

    def forward(self, state: Tensor, seen: Seen) -> Tensor:
        pace = seen.pace(self.goal)
        hidden = self.hidden(torch.cat([state, pace.to(state.dtype)], dim=1))
        output: Tensor = self.out(nn.functional.gelu(hidden)) + self.straight(pace)
        return output

    def begin_with(self, usual: Tensor) -> None:
        """What it says at first [size]."""
        with torch.no_grad():
            self.out.bias.copy_(usual)
