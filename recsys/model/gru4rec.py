"""GRU4Rec in its authors' formulation: a gated recurrent unit walks through the moments; item vectors go in and out.

Hidasi et al., "Session-based recommendations with recurrent neural networks" (ICLR 2016),
https://arxiv.org/abs/1511.06939; Hidasi & Karatzoglou, "Recurrent neural networks with top-k gains for session-based
recommendations" (CIKM 2018), https://arxiv.org/abs/1706.03847. Details follow the authors' own PyTorch version
(https://github.com/hidasib/GRU4Rec_PyTorch_Official): constrained embedding, uniform starts, biases of items that start
at zero, hidden states that go on to the next step as dropout left them, gradients through one step of time.
"""

import math

import torch
from torch import Tensor, nn

from recsys.feature.spec import FeatureSpec
from recsys.model.asked import Asked
from recsys.model.dropout import Dropout
from recsys.model.encoder import SequenceEncoder
from recsys.protocols import ItemTower, Similarity
from recsys.registry import registered
from recsys.sequence.batch import SequenceBatch


class Recurrence(nn.Module):
    """One layer: what each step makes of its input and of the state before it.

    Args:
        dim: size of inputs and states.
        dropout: on every new state, which goes on to the next step like that.
        through_time: whether gradients go back through all steps; else the state before a step is taken as given.
    """

    def __init__(self, *, dim: int, dropout: float, through_time: bool) -> None:
        super().__init__()
        self.cell = nn.GRUCell(dim, dim)
        self.dropout, self.through_time = Dropout(dropout), through_time
        for name, weight in self.cell.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(weight)
            else:  # each gate by itself: a matrix of its own
                nn.init.uniform_(weight, -math.sqrt(6 / (dim + dim)), math.sqrt(6 / (dim + dim)))

    def forward(self, moments: Tensor, token: Tensor, place: Tensor | None) -> tuple[Tensor, Tensor]:
        """States after each moment [B, M, dim], and what each token makes of the state before its own.

        `moments` [B, M, dim] are the inputs of the moments, `token` [B, L, dim] those of the tokens and `place`
        [B, L, dim] how many moments lie before each; None where every token is its own moment.
        """
        states = self._states(moments)
        if place is None:
            return states, states
        return states, self._step(token, _before(states).gather(1, place), self.dropout.mask(token))

    def _states(self, given: Tensor) -> Tensor:
        keep = self.dropout.mask(given)
        if self.through_time or not torch.is_grad_enabled():
            walked: Tensor = self._walk(given, keep)
            return walked
        with torch.no_grad():
            before = _before(self._walk(given, keep))[:, :-1]
        return self._step(given, before, keep)

    def _step(self, given: Tensor, before: Tensor, keep: Tensor | None) -> Tensor:
        """The states [..., dim] that inputs `given` make of the states `before`; `keep` [..., dim] is dropout's."""
        made: Tensor = self.cell(given.flatten(0, -2), before.flatten(0, -2)).view_as(given)
        return made if keep is None else made * keep

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _walk(self, given: Tensor, keep: Tensor | None) -> Tensor:
        if not given.shape[1]:
            return given
        if keep is None:
            return self._walk_at_once(given)
        state, made = torch.zeros_like(given[:, 0]), []
        for number in range(given.shape[1]):
            state = self._step(given[:, number], state, keep[:, number])
            made.append(state)
        return torch.stack(made, dim=1)

    def _walk_at_once(self, given: Tensor) -> Tensor:
        cell, nothing = self.cell, torch.zeros_like(given[:, 0])[None]
        weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
        return torch.gru(given, nothing, weights, True, 1, 0.0, False, False, True)[0]


def _before(states: Tensor) -> Tensor:
    """The state before every moment, and after the last: [B, M, dim] -> [B, M + 1, dim], nothing at first."""
    return nn.functional.pad(states, (0, 0, 1, 0))


class MomentTrunk(nn.Module):
    """Layers of recurrence over moments. Events that share an instant are one step, their embeddings summed.

    What is said of a token, event or query, is a step from the state after the last earlier moment with the token's
    own embedding, on which nobody goes on: a question's time, channel and so on work on the history's state as an event
    would. Where every moment is one event these are the steps themselves.
    """

    def __init__(self, *, dim: int, layers: int, dropout: float, through_time: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Recurrence(dim=dim, dropout=dropout, through_time=through_time) for _ in range(layers)
        )

    def forward(self, hidden: Tensor, batch: SequenceBatch, asked: Asked | None = None) -> Tensor:
        if batch.ordered:
            for layer in self.layers:
                hidden, _ = layer(hidden, hidden, None)
            return hidden if asked is None else asked.rows(hidden)
        moments, place = summed_by_moment(hidden, batch)[:, :-1], batch.position[..., None]
        if asked is not None:
            hidden, place = asked.rows(hidden), asked.rows(place)
        for layer in self.layers:
            moments, hidden = layer(moments, hidden, place.expand_as(hidden))
        return hidden


def summed_by_moment(hidden: Tensor, batch: SequenceBatch) -> Tensor:
    """Embeddings of the events of each moment, summed: [B, L, D] -> [B, M, D]."""
    rows, _, dim = hidden.shape
    count = int(batch.position.max()) + 1
    event = (batch.valid & ~batch.is_query)[..., None]
    place = torch.arange(rows, device=hidden.device)[:, None] * count + batch.position
    summed = hidden.new_zeros(rows * count, dim).index_add(0, place.flatten(), (hidden * event).flatten(0, 1))
    return summed.view(rows, count, dim)


@registered
class GRU4Rec(SequenceEncoder):
    """States are compared with items as they are, without a norm; own vectors of items start as the authors' do,
    whatever spread the tower says, and items' biases (`similarity=dot`) at zero.

    Events of a log that knows one type only are their items and nothing else, as in the paper.

    Args:
        items: V, catalogue size with index 0.
        features: what the events carry.
        dim: size of item vectors and hidden states.
        layers: recurrent layers.
        dropout: on embedded events.
        hidden_dropout: on the states of every layer, see `Recurrence`.
        through_time: see `Recurrence`; False is the authors' training.
        tower, similarity: see `SequenceEncoder`.
    """

    def __init__(
        self,
        *,
        items: int,
        features: FeatureSpec,
        dim: int = 100,
        layers: int = 1,
        dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        through_time: bool = False,
        tower: ItemTower | None = None,
        similarity: Similarity | None = None,
    ) -> None:
        super().__init__(
            MomentTrunk(dim=dim, layers=layers, dropout=hidden_dropout, through_time=through_time),
            items=items, features=features, dim=dim, dropout=dropout, tower=tower, similarity=similarity,
            positions=False, types=len(features.known_types) > 1, scale=1.0, norm=nn.Identity(),
            layers=layers, hidden_dropout=hidden_dropout, through_time=through_time,
        )  # fmt: skip
        bound = math.sqrt(6 / (items - 1 + dim))
        for own in self.embedder.tower.modules():
            if isinstance(own, nn.Embedding):
                nn.init.uniform_(own.weight, -bound, bound)
                with torch.no_grad():
                    own.weight[0] = 0

    def prime(self, popularity: Tensor) -> None:
        """Tell the tower how often each item was taken [V]; the similarity's biases of items stay zero."""
        self.embedder.tower.prime(popularity)
