"""The loader: windows of the token stream, bucketed by length, in an order that the seed and the epoch decide."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from recsys.errors import TrainingError
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.protocols import Target
from recsys.sequence.batch import SequenceBatch, TokenTensors, collate
from recsys.sequence.histories import Histories
from recsys.sequence.stream import TokenStream, training_stream
from recsys.sequence.windows import Windows


@dataclass(frozen=True, slots=True)
class Loader:
    """Batches of about `batch_tokens` tokens (padding counted), in a reproducible order.

    The order of an epoch depends on nothing but seed and epoch, so the number of batches taken is the whole position:
    `epoch(seed=..., epoch=..., taken=n)` goes on exactly where a loader stopped after n batches.

    Windows of like length share a batch. What is left of padding is small (`padding`; the README's table has figures),
    less than what masks would cost if several windows were packed into a row, so there is no switch for that.
    """

    tokens: TokenTensors
    windows: Windows
    batch_tokens: int
    ordered: bool

    @classmethod
    def of(
        cls,
        histories: Histories,
        spec: FeatureSpec,
        *,
        batch_tokens: int,
        context: int,
        since: int | None = None,
        target: Target | None = None,
    ) -> "Loader":
        """The loader over all moments that the sequences are asked about, from instant `since` on (all if None)."""
        stream = training_stream(histories, spec, target)
        asked_from = histories.asked_from if since is None else np.maximum(histories.asked_from, since)
        return cls.over(stream, spec, batch_tokens=batch_tokens, context=context, asked_from=asked_from)

    @classmethod
    def over(
        cls,
        stream: TokenStream,
        spec: FeatureSpec,
        *,
        batch_tokens: int,
        context: int,
        asked_from: np.ndarray | None = None,
        device: torch.device | str = "cpu",
    ) -> "Loader":
        """The loader over a stream, which may lie in mapped files; batches are put together on `device`.

        Raises TrainingError where there is nothing to learn from.
        """
        ordered = spec.query is QueryKind.LAST
        windows = Windows.over(stream, length=spec.max_length + ordered, context=context, asked_from=asked_from)
        if not len(windows):
            raise TrainingError("no event before the cut-off to learn from; check data.cutoff and the log's dates")
        return cls(TokenTensors.of(stream, device), windows, batch_tokens, ordered)

    def batches(self, *, seed: int, epoch: int) -> list[np.ndarray]:
        """Window numbers of each batch of an epoch, in training order."""
        rng = np.random.default_rng((seed, epoch))
        length = self.windows.end - self.windows.begin
        order = rng.permutation(len(length))
        order = order[np.argsort(length[order], kind="stable")]
        batches, begin = [], 0
        while begin < len(order):
            size = _batch_size(length[order[begin : begin + self.batch_tokens + 1]], self.batch_tokens)
            batches.append(order[begin : begin + size])
            begin += size
        return [batches[number] for number in rng.permutation(len(batches))]

    def load(self, chosen: np.ndarray) -> SequenceBatch:
        """The batch of these windows."""
        windows = self.windows
        return collate(
            self.tokens,
            windows.begin[chosen],
            windows.end[chosen],
            target_from=windows.target_from[chosen],
            ordered=self.ordered,
        )

    def padding(self) -> float:
        """Share of an epoch's batches that is padding, 0 to 1."""
        length = self.windows.end - self.windows.begin
        read = sum(len(chosen) * int(length[chosen].max()) for chosen in self.batches(seed=0, epoch=0))
        return 1 - float(length.sum()) / read

    def asked(self, items: int) -> torch.Tensor:
        """How often each of V = `items` is a target in an epoch [V] float32."""
        reach, item, windows = self.tokens.reach.cpu().numpy(), self.tokens.item.cpu().numpy(), self.windows
        before = int(self.ordered)  # there the token before a target asks for it
        asks = np.zeros(len(item) + 1, np.int32)
        np.add.at(asks, np.maximum(windows.begin, windows.target_from - before), 1)
        np.add.at(asks, windows.end - before, -1)
        asking = np.flatnonzero((np.cumsum(asks, out=asks)[:-1] > 0) & (reach > 0))
        times = np.zeros(len(item) + 1, np.int32)
        times[asking + 1] = 1
        np.add.at(times, np.minimum(asking + 1 + reach[asking], len(item)), -1)
        counts = np.bincount(item, weights=np.cumsum(times, out=times)[:-1], minlength=items)
        counts[0] = 0
        return torch.from_numpy(counts).float()

    def epoch(self, *, seed: int, epoch: int, taken: int = 0) -> Iterator[SequenceBatch]:
        """The batches of one epoch that come after the first `taken`."""
        return (self.load(chosen) for chosen in self.batches(seed=seed, epoch=epoch)[taken:])


def _batch_size(ascending: np.ndarray, batch_tokens: int) -> int:
    """How many of the next windows fit: the longest, which comes last, sets the width of all."""
    over = np.flatnonzero(ascending * np.arange(1, len(ascending) + 1) > batch_tokens)
    return max(1, int(over[0]) if len(over) else len(ascending))
