"""Fits small networks to lists of candidates of which some were taken; together they order better than one does.

Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep ensembles" (NeurIPS 2017):
the networks see the same lists and differ in where they start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from recsys.intent.calibrate import LEAST_OUTCOMES, platt

_AT_ONCE = 1_024
"""Rows that go through the networks together: their hidden layers stay in the cache."""
FAR = 5.0
"""No fact stands further from its mean, in deviations: nothing is known about what such facts mean."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Candidates of Q questions end to end, R in all.

    Attributes:
        facts: of every candidate [R, F] float32.
        taken: what it counts for [R] float32; 0 where it was not taken, else 1, or more where it was easily overlooked.
        new: whether the shopper had never taken it before [R] bool.
        start: where each question's candidates begin, and the end of the last [Q + 1] int64.
    """

    facts: np.ndarray
    taken: np.ndarray
    new: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.start) - 1

    def weight(self) -> np.ndarray:
        """What each candidate's list counts for: the mean of what was taken of it, [R] float32."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.start))
        weight = np.bincount(owner, self.taken) / np.maximum(np.bincount(owner, self.taken > 0), 1)
        repeated: np.ndarray = weight[owner].astype(np.float32)
        return repeated


@dataclass(frozen=True, slots=True)
class Networks:
    """M networks of layers that take facts to a score; the first reads (facts - mean) / scale, cut at plus and minus
    `FAR`.

    Attributes:
        mean, scale: of the facts [F] float32.
        weight, bias: of each layer, [M, in, out] and [M, 1, out] float32; between layers what is negative becomes 0.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: tuple[np.ndarray, ...]
    bias: tuple[np.ndarray, ...]

    def __call__(self, facts: np.ndarray) -> np.ndarray:
        """Scores [N] of `facts` [N, F]: the mean of what the networks say."""
        score = np.empty(len(facts), np.float32)
        for first in range(0, len(facts), _AT_ONCE):
            score[first : first + _AT_ONCE] = self._scores(facts[first : first + _AT_ONCE])
        return score

    def _scores(self, facts: np.ndarray) -> np.ndarray:
        read = facts - self.mean
        read /= self.scale
        np.clip(read, -FAR, FAR, out=read)
        networks, width = len(self.weight[0]), self.weight[0].shape[2]
        beside = self.weight[0].transpose(1, 0, 2).reshape(read.shape[1], -1)  # all networks in one product
        hidden = read @ beside
        hidden += self.bias[0].reshape(-1)
        np.maximum(hidden, 0, out=hidden)
        score = np.zeros(len(facts), np.float32)
        for network in range(networks):
            own = hidden[:, network * width : (network + 1) * width]
            for weight, bias in zip(self.weight[1:], self.bias[1:], strict=True):
                own = own @ weight[network]
                own += bias[network]
                if weight is not self.weight[-1]:
                    np.maximum(own, 0, out=own)
            score += own[:, 0]
        score /= networks
        return score


def fitted(
    lists: Lists,
    *,
    networks: int,
    hidden: int,
    epochs: int,
    rate: float,
    explore: float,
    generator: torch.Generator,
    batch: int = 32,
) -> Networks:
    """Networks of two hidden layers, fitted listwise: the log-chance of what was taken under a softmax over the list
    (Cao et al., "Learning to rank", ICML 2007; Bruch et al., "An analysis of the softmax cost function for learning to
    rank", ICTIR 2019), and `explore` times the same among what is new to the shopper, which repeats would drown."""
    mean = lists.facts.mean(0)
    scale = lists.facts.std(0) + 1e-2
    layers = _Layers([lists.facts.shape[1], hidden, hidden, 1], networks, generator)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=rate, weight_decay=1e-4, fused=True)
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
    return Networks(
        mean,
        scale,
        tuple(weight.detach().numpy().copy() for weight in layers.weight),
        tuple(bias.detach().numpy().copy() for bias in layers.bias),
    )


def listwise(score: Tensor, taken: Tensor, owner: Tensor, lists: int) -> Tensor:
    """Mean over the lists that hold something taken of its mean log-chance, negated, under a softmax over each list.

    Shapes: `score` [R], `taken` [R] what each counts for, 0 where it was left, `owner` [R] the list of each; 0 where
    nothing was taken at all. A list counts for as much as what was taken of it does, and the whole is divided by what
    all lists count for (Swaminathan and Joachims, "The self-normalized estimator for counterfactual learning", NeurIPS
    2015).
    """
    top = torch.full((lists,), -torch.inf).scatter_reduce(0, owner, score.detach(), "amax")
    total = torch.zeros(lists).index_add(0, owner, torch.exp(score - top[owner]))
    log_chance = score - top[owner] - torch.log(total)[owner]
    hits = torch.zeros(lists).index_add(0, owner, (taken > 0).float()).clamp(min=1)
    counted = (torch.zeros(lists).index_add(0, owner, taken) / hits).sum()
    mean = torch.zeros(lists).index_add(0, owner, taken * log_chance) / hits
    return -mean.sum() / torch.where(counted > 0, counted, 1)


def calibration(score: Tensor, taken: Tensor, weight: Tensor | None = None) -> tuple[float, float]:
    """Slope and shift that turn scores [R], whose level means nothing, into chances of being taken [R] of 0 and 1;
    `weight` [R] is what each row counts for, None for all alike.

    `platt`'s, or where too few were taken or left a mere shift, to the share that was taken, smoothed.
    """
    outcome = taken.numpy() > 0
    yes, no = int(outcome.sum()), int((~outcome).sum())
    if min(yes, no) >= LEAST_OUTCOMES:
        return platt(score.numpy(), outcome, None if weight is None else weight.numpy())
    return 1.0, float(np.log((yes + 1) / (no + 1)) - score.double().mean())


class _Layers(nn.Module):
    """The networks side by side, facts [R, F] -> scores [M, R]."""

    def __init__(self, widths: Sequence[int], networks: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight, self.bias = nn.ParameterList(), nn.ParameterList()
        for wide, narrow in pairwise(widths):
            start = torch.randn(networks, wide, narrow, generator=generator) * (2 / wide) ** 0.5  # He et al., 2015
            self.weight.append(start)
            self.bias.append(torch.zeros(networks, 1, narrow))

    def forward(self, facts: Tensor) -> Tensor:
        hidden = facts.expand(len(self.weight[0]), -1, -1)
        for number, (weight, bias) in enumerate(zip(self.weight, self.bias, strict=True)):
            hidden = torch.baddbmm(bias, hidden.relu() if number else hidden, weight)
        return hidden[:, :, 0]


def _loss(
    layers: _Layers, lists: Lists, chosen: np.ndarray, moments: tuple[np.ndarray, np.ndarray], explore: float
) -> Tensor:
    size = np.diff(lists.start)[chosen]
    rows = np.concatenate([np.arange(lists.start[q], lists.start[q + 1]) for q in chosen.tolist()])
    owner = torch.from_numpy(np.repeat(np.arange(len(chosen)), size))
    taken = torch.from_numpy(lists.taken[rows])
    new = torch.from_numpy(lists.new[rows])
    mean, scale = moments
    score = layers(torch.from_numpy((lists.facts[rows] - mean) / scale).clamp(-FAR, FAR))
    loss = _together(score, taken, owner, len(chosen))
    return loss + explore * _together(score[:, new], taken[new], owner[new], len(chosen)) if explore else loss


def _together(score: Tensor, taken: Tensor, owner: Tensor, lists: int) -> Tensor:
    """The mean listwise loss of all networks; `score` [M, R], as if each had lists of its own."""
    count = len(score)
    own = owner + lists * torch.arange(count)[:, None]
    return listwise(score.flatten(), taken.repeat(count), own.flatten(), count * lists)
