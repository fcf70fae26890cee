"""Whether something will happen in this session."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from recsys.event import EventType
from recsys.intent.calibrate import platt, sigmoid
from recsys.intent.head import Figures, Head, SmallNetwork, Truth
from recsys.intent.seen import Seen
from recsys.metric.calibration import area_under_curve, brier, expected_calibration_error
from recsys.sequence.batch import SequenceBatch


class BinaryHead(Head):
    """The chance that the label `label` is 1 (`recsys/intent/labels.py`); questions where it is unknown teach nothing.

    Calibrated by Platt scaling.
    """

    size = 1

    def __init__(self, *, dim: int, label: str, goal: EventType) -> None:
        super().__init__()
        self.label = label
        self.network = SmallNetwork(dim, 1, goal=goal)

    def prime(self, labels: Mapping[str, Tensor], popularity: Tensor) -> None:
        """Begin with the rate."""
        label = labels[self.label]
        yes, no = float((label == 1).sum()), float((label == 0).sum())
        self.network.begin_with(torch.tensor([(yes + 1) / (no + 1)]).log())

    def forward(self, state: Tensor, seen: Seen) -> Tensor:
        """States [Q, dim] -> logits [Q, 1]."""
        logit: Tensor = self.network(state, seen)
        return logit

    def known(self, batch: SequenceBatch) -> Tensor:
        """Where the label is."""
        return batch.labels[self.label] >= 0

    def loss(self, output: Tensor, batch: SequenceBatch) -> Tensor:
        """Mean cross-entropy."""
        label, known = batch.labels[self.label], self.known(batch)
        each = nn.functional.binary_cross_entropy_with_logits(output[:, 0].float(), label.float(), reduction="none")
        return (each * known).sum() / known.sum().clamp(min=1)

    def probability(self, output: np.ndarray) -> np.ndarray:
        """Calibrated chances [Q] of outputs [Q, 1]."""
        return sigmoid(self.calibrated(output)[:, 0])

    def calibrate(self, output: np.ndarray, truth: Truth) -> None:
        """By Platt scaling."""
        label = truth.labels[self.label]
        self.set_calibration(*platt(output[label >= 0, 0], label[label >= 0]))

    def judge(self, output: np.ndarray, truth: Truth) -> Figures:
        """AUC, and ECE and Brier score before and after."""
        label = truth.labels[self.label]
        known = label >= 0
        return binary_figures(sigmoid(output[known, 0]), self.probability(output[known]), label[known])


def binary_figures(before: np.ndarray, after: np.ndarray, outcome: np.ndarray) -> Figures:
    """How well chances tell an outcome [N], as they came and calibrated."""
    return {
        "questions": float(len(outcome)),
        "rate": float(outcome.mean()) if len(outcome) else float("nan"),
        "auc": area_under_curve(after, outcome),
        "ece_before": expected_calibration_error(before, outcome),
        "ece_after": expected_calibration_error(after, outcome),
        "brier_before": brier(before, outcome),
        "brier_after": brier(after, outcome),
    }
