"""Which category the shopper turns to next."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from recsys.catalogue import Catalogue
from recsys.intent.calibrate import softmax, temperature
from recsys.intent.head import Figures, Head, Truth
from recsys.intent.seen import Seen
from recsys.metric.calibration import expected_calibration_error
from recsys.sequence.batch import SequenceBatch

TOP = 5
_CROWD = 5.0
"""How many events of one's own weigh as much as everybody's, at first."""
_SWIFT = 10.0
"""These two numbers move so much faster than weights: they have further to go."""


class CategoryHead(Head):
    """The chance of each category that the next item acted on belongs to it; of a basket, any of its items.

    What is asked for is what the encoder is asked for (`recsys/target`). Items without a category teach nothing. The
    head begins with the shopper's own shares, drawn towards everybody's (the mean of a Dirichlet-multinomial), and
    learns from the trunk what to add. Calibrated by a temperature.

    Args:
        dim: size of states.
        category: category of every index [V], from 1; 0 for none.
        names: of the categories, by their numbers; the first is none's.
    """

    def __init__(self, *, dim: int, category: np.ndarray, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names[1:]
        self.size = len(self.names)
        self.out = nn.Linear(dim, self.size)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.habit = nn.Parameter(torch.tensor([1.0, _CROWD]).log() / _SWIFT)
        self.share: Tensor
        self.register_buffer("share", torch.full((self.size,), 1 / self.size))
        self.code: Tensor
        self.register_buffer("code", torch.from_numpy(category.astype(np.int64) - 1), persistent=False)

    def prime(self, labels: Mapping[str, Tensor], popularity: Tensor) -> None:
        """Begin with each category's share of what was taken."""
        known = self.code >= 0
        count = popularity.new_zeros(self.size).index_add_(0, self.code[known], popularity[known])
        self.share.copy_((count + 1) / (count + 1).sum())

    def forward(self, state: Tensor, seen: Seen) -> Tensor:
        """States [Q, dim] -> logits [Q, C]."""
        weight, crowd = (self.habit * _SWIFT).exp()
        habit = (seen.counts(self.code, self.size) + crowd * self.share).log()
        logit: Tensor = self.out(state) + weight * habit
        return logit

    def known(self, batch: SequenceBatch) -> Tensor:
        """Where an item has a category."""
        return self._wanted(batch)[1] > 0

    def loss(self, output: Tensor, batch: SequenceBatch) -> Tensor:
        """Mean cross-entropy, the items of one question with equal share."""
        code, count = self._wanted(batch)
        log_chance = output.float().log_softmax(1)[batch.pair_query, code.clamp(min=0)]
        shared = (code >= 0).float() / count.clamp(min=1)[batch.pair_query]
        return -(log_chance * shared).sum() / (count > 0).sum().clamp(min=1)

    def _wanted(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Category of every pair's item [P], below 0 for none, and how many items of each question have one [Q]."""
        code = self.code.to(batch.pair_target.device)[batch.pair_target]
        weight = (code >= 0).float()
        return code, weight.new_zeros(len(batch.query)).index_add_(0, batch.pair_query, weight)

    def probability(self, output: np.ndarray) -> np.ndarray:
        """Calibrated chances [Q, C] of outputs [Q, C]."""
        return softmax(self.calibrated(output))

    def top(self, output: np.ndarray) -> list[tuple[tuple[str, float], ...]]:
        """The likeliest categories of each question with their chances, best first."""
        chance = self.probability(output)
        best = np.argsort(-chance, axis=1, kind="stable")[:, :TOP]
        return [
            tuple((self.names[place], float(row[place])) for place in places.tolist())
            for row, places in zip(chance, best, strict=True)
        ]

    def calibrate(self, output: np.ndarray, truth: Truth) -> None:
        """By temperature scaling."""
        query, code, count = self._pairs(truth, len(output))
        total = np.bincount(query, weights=output[query, code].astype(np.float64), minlength=len(output))
        asked = count > 0
        self.set_calibration(temperature(output[asked].astype(np.float64), total[asked] / count[asked]), 0.0)

    def judge(self, output: np.ndarray, truth: Truth) -> Figures:
        """`auc` is the chance that a category that was wanted is scored above another one, within a question. ECE is of
        the likeliest category; `top1` and `top5` are the shares of what was wanted that the likeliest ones hold."""
        query, code, count = self._pairs(truth, len(output))
        share = 1 / count[query]
        questions = int((count > 0).sum())
        wanted = output[query, code][:, None]
        above = (output[query] < wanted).sum(1) + ((output[query] == wanted).sum(1) - 1) / 2
        ahead = (output[query] > wanted).sum(1)
        asked = count > 0
        best = output.argmax(1)
        hit = np.bincount(query, weights=share * (best[query] == code), minlength=len(output))
        before, after = (
            expected_calibration_error(chance.max(1)[asked], hit[asked])
            for chance in (softmax(output.astype(np.float64)), self.probability(output))
        )
        nothing = float("nan")
        return {
            "questions": float(questions),
            "auc": float((share * above).sum() / (self.size - 1) / questions) if questions else nothing,
            "ece_before": before,
            "ece_after": after,
            "top1": float(hit[asked].mean()) if questions else nothing,
            "top5": float((share * (ahead < TOP)).sum() / questions) if questions else nothing,
        }

    def _pairs(self, truth: Truth, questions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Question and category of every pair that has one, and how many each question [M] has."""
        code = self.code.numpy()[truth.pair_target]
        query, code = truth.pair_query[code >= 0], code[code >= 0]
        return query, code, np.bincount(query, minlength=questions)


def categories_within(catalogue: Catalogue, *, depth: int, most: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Category of every index [V] and the names, cut as deep as `depth` levels where that gives at most `most`
    categories, else less deep; none where even the widest level has more."""
    for levels in range(depth, 0, -1):
        category, names = catalogue.categories(levels)
        if len(names) - 1 <= most:
            return category, tuple(names)
    return np.zeros(catalogue.size, np.int64), ("",)
