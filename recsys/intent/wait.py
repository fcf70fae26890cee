"""How long until the next purchase: a rate for every stretch of time, given that it did not come before.

The piecewise exponential model of Friedman, "Piecewise exponential models for survival data with covariates" (Annals of
Statistics 1982), with rates from a network as in Kvamme & Borgan, "Continuous and discrete-time survival prediction
with neural networks" (Lifetime Data Analysis 2021, https://arxiv.org/abs/1910.06724). Every day that passed counts, so
that waits cut off within a stretch bias nothing; one chance per stretch, as in Gensheimer & Narasimhan, "A scalable
discrete-time survival model for neural networks" (PeerJ 2019), would come out too high where many are.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from recsys.event import EventType
from recsys.intent.binary import binary_figures
from recsys.intent.calibrate import rates
from recsys.intent.head import Figures, Head, SmallNetwork, Truth
from recsys.intent.seen import Seen
from recsys.sequence.batch import SequenceBatch

_QUARTER = 4
_MOST = 5.0
"""Log of what is certain enough: e^5 purchases expected within one stretch."""
_NEXT_TO_NONE = 0.1
"""Purchases expected within a stretch that no log was ever long enough to teach of."""


class WaitHead(Head):
    """The wait from a moment that is past to the next purchase after it.

    It reads the state of that moment and not the question's, which knows at which instant it is asked: in training that
    is when the next thing happens, so it would give the wait away. A purchase that is not seen is censored: the time
    that passed without it teaches.

    Args:
        dim: size of states.
        edges_days: ends of the K stretches in days, ascending; the first begins at 0.
        goal: what is waited for.
    """

    looks_back = True

    def __init__(self, *, dim: int, edges_days: Sequence[float], goal: EventType) -> None:
        super().__init__()
        self.size = len(edges_days)
        self.network = SmallNetwork(dim, self.size, goal=goal)
        self.edges: Tensor
        self.register_buffer("edges", torch.tensor(edges_days, dtype=torch.float32), persistent=False)

    def prime(self, labels: Mapping[str, Tensor], popularity: Tensor) -> None:
        """Begin with the rate of each stretch; with next to none in those that no wait ever reached."""
        passed, came = _stretches(labels["wait_days"], labels["wait_seen"], self.edges)
        self.network.begin_with(((came.sum(0) + _NEXT_TO_NONE) / (passed.sum(0) + 1)).log())

    def forward(self, state: Tensor, seen: Seen) -> Tensor:
        """States [Q, dim] -> log of how often a purchase is to be expected within each stretch [Q, K]."""
        log_rate: Tensor = self.network(state, seen)
        return log_rate.clamp(max=_MOST)

    def known(self, batch: SequenceBatch) -> Tensor:
        """Where some time passed, with a purchase at its end or without."""
        return batch.labels["wait_days"] > 0

    def loss(self, output: Tensor, batch: SequenceBatch) -> Tensor:
        """Mean over the questions of the negative log likelihood of what was seen, in units of each stretch."""
        passed, came = _stretches(batch.labels["wait_days"], batch.labels["wait_seen"], self.edges.to(output.device))
        each = output.float().exp() * passed - output.float() * came
        return each.sum() / self.known(batch).sum().clamp(min=1)

    def calibrate(self, output: np.ndarray, truth: Truth) -> None:
        """One scale and one shift of the log rates, for all stretches."""
        wait, seen = (torch.from_numpy(truth.labels[name]) for name in ("wait_days", "wait_seen"))
        passed, came = (found.numpy() for found in _stretches(wait, seen, self.edges))
        told = passed > 0
        self.set_calibration(*rates(output[told], passed[told], came[told]))

    def judge(self, output: np.ndarray, truth: Truth) -> Figures:
        """As a forecast of a purchase within `horizon_days`, the stretch's end that is nearest to the usual wait; only
        where that long is known, whatever happened in it."""
        wait, seen = truth.labels["wait_days"], truth.labels["wait_seen"] == 1
        edges = self.edges.numpy().astype(np.float64)
        usable = [edge for edge in edges if (truth.known_days >= edge).sum() * _QUARTER >= max(len(wait), 1)]
        if not usable or not seen.any():
            return binary_figures(np.empty(0), np.empty(0), np.empty(0))
        usual = max(float(np.median(wait[seen])), edges[0])
        horizon = min(usable, key=lambda edge: abs(np.log(edge / usual)))
        known = truth.known_days >= horizon
        before, after = (
            self._within(said, horizon) for said in (output[known].astype(np.float64), self.calibrated(output[known]))
        )
        return {"horizon_days": float(horizon), **binary_figures(before, after, (seen & (wait <= horizon))[known])}

    def median_days(self, output: np.ndarray, elapsed_days: np.ndarray) -> np.ndarray:
        """Days within which the purchase comes with even odds [Q], given that it has not come for `elapsed_days` [Q].

        Beyond the last stretch its hazard goes on; a longer wait than all stretches together is told as that long.
        """
        edges = self.edges.numpy().astype(np.float64)
        days = np.empty(len(output))
        for row, (each, elapsed) in enumerate(zip(np.exp(self.calibrated(output)), elapsed_days, strict=True)):
            rate = max(each[-1] / np.diff(edges, prepend=0.0)[-1], 1e-12)
            far = edges[-1] + (np.log(2) + max(elapsed - edges[-1], 0.0) * rate) / rate
            time = np.concatenate([[0.0], edges, [far]])
            total = np.concatenate([[0.0], np.cumsum(each), [each.sum() + (far - edges[-1]) * rate]])
            passed = np.interp(elapsed, time, total)
            days[row] = min(_first_at(time, total, passed + np.log(2)) - elapsed, edges[-1])
        return days

    def _within(self, log_rate: np.ndarray, edge: float) -> np.ndarray:
        """Chance [Q] of a purchase up to one of the edges."""
        stretches = int(np.searchsorted(self.edges.numpy(), edge - 1e-6 * edge)) + 1
        chance: np.ndarray = -np.expm1(-np.exp(log_rate[:, :stretches]).sum(1))
        return chance


def _stretches(wait: Tensor, seen: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Which share of each stretch passed [Q, K] before a wait ended, and 1 in the one in which a purchase ended it."""
    wait = wait[:, None]
    begin = torch.cat([edges.new_zeros(1), edges[:-1]])
    passed = ((wait - begin) / (edges - begin)).clamp(0, 1)
    came = (seen[:, None] == 1) & (wait > begin) & (wait <= edges)
    return passed, came.float()


def _first_at(time: np.ndarray, total: np.ndarray, wanted: float) -> float:
    """When a cumulative hazard, straight between the given points, first reaches `wanted`."""
    place = min(int(np.searchsorted(total, wanted)), len(total) - 1)
    rise = total[place] - total[place - 1]
    share = (wanted - total[place - 1]) / rise if rise > 0 else 0.0
    return float(time[place - 1] + min(share, 1.0) * (time[place] - time[place - 1]))
