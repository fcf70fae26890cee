"""Fits a small network to lists of candidates of which some were taken."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

FAR = 5.0
"""No fact stands further from its mean, in deviations: nothing is known about what such facts mean."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Candidates of Q questions end to end, R in all.

    Attributes:
        facts: of every candidate [R, F] float32.
        taken: whether it was taken [R] bool.
        new: whether the shopper had never taken it before [R] bool.
        start: where each question's candidates begin, and the end of the last [Q + 1] int64.
    """

    facts: np.ndarray
    taken: np.ndarray
    new: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.start) - 1


@dataclass(frozen=True, slots=True)
class Network:
    """Layers that take facts to a score; the first reads (facts - mean) / scale, cut at plus and minus `FAR`.

    Attributes:
        mean, scale: of the facts [F] float32.
        weight, bias: of each layer, [in, out] and [out] float32; between layers what is negative becomes 0.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: tuple[np.ndarray, ...]
    bias: tuple[np.ndarray, ...]

    def __call__(self, facts: np.ndarray) -> np.ndarray:
        """Scores [N] of `facts` [N, F]."""
        hidden = np.clip((facts - self.mean) / self.scale, -FAR, FAR)
        for number, (weight, bias) in enumerate(zip(self.weight, self.bias, strict=True)):
            hidden = (np.maximum(hidden, 0) if number else hidden) @ weight + bias
        score: np.ndarray = hidden[:, 0]
        return score


def fitted(
    lists: Lists,
    *,
    hidden: int,
    epochs: int,
    rate: float,
    explore: float,
    generator: torch.Generator,
    batch: int = 32,
) -> Network:
    """A network of two hidden layers, fitted listwise: the log-chance of what was taken under a softmax over the list
    (Cao et al., "Learning to rank", ICML 2007; Bruch et al., "An analysis of the softmax cost function for learning to
    rank", ICTIR 2019), and `explore` times the same among what is new to the shopper, which repeats would drown."""
    mean = lists.facts.mean(0)
    scale = lists.facts.std(0) + 1e-2
    layers = _layers(lists.facts.shape[1], hidden, generator)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=rate, weight_decay=1e-4)
    steps = epochs * -(-len(lists) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(1 - step / steps, 0.0))
    for _ in range(epochs):
        order = torch.randperm(len(lists), generator=generator).numpy()
        for first in range(0, len(order), batch):
            loss = _loss(layers, lists, order[first : first + batch], (mean, scale), explore)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return Network(
        mean,
        scale,
        tuple(layer.weight.detach().numpy().T.copy() for layer in linear),
        tuple(layer.bias.detach().numpy().copy() for layer in linear),
    )


def listwise(score: Tensor, taken: Tensor, owner: Tensor, lists: int) -> Tensor:
    """Mean over the lists that hold something taken of its mean log-chance, negated, under a softmax over each list.

    Shapes: `score` [R], `taken` [R] of 0 and 1, `owner` [R] the list of each; 0 where nothing was taken at all.
    """
    top = torch.full((lists,), -torch.inf).scatter_reduce(0, owner, score.detach(), "amax")
    total = torch.zeros(lists).index_add(0, owner, torch.exp(score - top[owner]))
    log_chance = score - top[owner] - torch.log(total)[owner]
    hits = torch.zeros(lists).index_add(0, owner, taken)
    mean = torch.zeros(lists).index_add(0, owner, taken * log_chance) / hits.clamp(min=1)
    return -mean.sum() / (hits > 0).sum().clamp(min=1)


def calibration(score: Tensor, taken: Tensor, steps: int = 25) -> tuple[float, float]:
    """Slope and shift of the logistic curve through (score, taken), by Newton's method (Platt, 1999)."""
    design = torch.stack([score, torch.ones_like(score)], 1).double()
    line = torch.tensor([1.0, -3.0], dtype=torch.float64)
    for _ in range(steps):
        chance = torch.sigmoid(design @ line)
        gradient = design.T @ (chance - taken)
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-2 * torch.eye(2, dtype=torch.float64)
        line = line - torch.linalg.solve(curvature, gradient)
    return max(float(line[0]), 1e-3), float(line[1])


def _layers(facts: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    layers = nn.Sequential(
        nn.Linear(facts, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
    )
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
    return layers


def _loss(
    layers: nn.Sequential, lists: Lists, chosen: np.ndarray, moments: tuple[np.ndarray, np.ndarray], explore: float
) -> Tensor:
    size = np.diff(lists.start)[chosen]
    rows = np.concatenate([np.arange(lists.start[q], lists.start[q + 1]) for q in chosen.tolist()])
    owner = torch.from_numpy(np.repeat(np.arange(len(chosen)), size))
    taken = torch.from_numpy(lists.taken[rows]).float()
    new = torch.from_numpy(lists.new[rows])
    mean, scale = moments
    score = layers(torch.from_numpy((lists.facts[rows] - mean) / scale).clamp(-FAR, FAR))[:, 0]
    loss = listwise(score, taken, owner, len(chosen))
    return loss + explore * listwise(score[new], taken[new], owner[new], len(chosen)) if explore else loss
