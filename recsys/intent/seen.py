"""What each question has seen of its sequence, counted: heads begin with habits and let the trunk say what differs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.clock import DAY
from recsys.event import EventType
from recsys.sequence.batch import SequenceBatch
from recsys.state import SESSION_GAP

PACE = 9
"""F: how many numbers `Seen.pace` tells."""
_NEVER, _ALWAYS = torch.iinfo(torch.int64).max, -1
_SOON_DAYS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The tokens that Q questions know of: the first `bound` of their sequence.

    Attributes:
        batch: B sequences of L tokens.
        row: sequence of each question [Q].
        bound: how many of its tokens are known [Q].
        at: instant of each question [Q].
    """

    batch: SequenceBatch
    row: Tensor
    bound: Tensor
    at: Tensor

    @classmethod
    def before_questions(cls, batch: SequenceBatch) -> "Seen":
        """Every moment before the question; where an event stands in for a question, that event too."""
        length = batch.item.shape[1]
        row, column = batch.query // length, batch.query % length
        place = batch.position.flatten()[batch.query]
        earlier = ((batch.position[row] < place[:, None]) & batch.valid[row]).sum(1)
        bound = torch.where(batch.is_query.flatten()[batch.query], earlier, column + 1)
        return cls(batch=batch, row=row, bound=bound, at=batch.time.flatten()[batch.query])

    @classmethod
    def up_to_moments(cls, batch: SequenceBatch, moment: Tensor) -> "Seen":
        """Every moment up to the one in place `moment` [Q], and asked at its instant; nothing where that is below 0."""
        row = batch.query // batch.item.shape[1]
        bound = ((batch.position[row] <= moment[:, None]) & batch.valid[row]).sum(1)
        return cls(batch=batch, row=row, bound=bound, at=batch.time[row, (bound - 1).clamp(min=0)])

    def counts(self, code: Tensor, classes: int) -> Tensor:
        """How many known events each question has of each class [Q, C]; `code` [V] is an item's, below 0 for none."""
        batch = self.batch
        known = torch.arange(batch.item.shape[1], device=self.row.device) < self.bound[:, None]
        of_event = torch.where(batch.valid & ~batch.is_query, code[batch.item], -1)[self.row]
        counted = (known & (of_event >= 0)).float()
        found: Tensor = counted.new_zeros(len(self.row), classes).scatter_add_(1, of_event.clamp(min=0), counted)
        return found

    def pace(self, goal: EventType) -> Tensor:
        """How often, how lately and how much [Q, F]: the mean interval between moments with a `goal` and the time since
        the last, both as logs of days, with whether there are any; logs of how many moments and goals there were; of
        moments, goals and carts in the running session."""
        batch = self.batch
        event = batch.valid & ~batch.is_query
        is_goal, is_cart = (event & (batch.type == kind.code) for kind in (goal, EventType.ADD_TO_CART))
        counts = torch.stack(
            [_fresh(event, batch.position), _fresh(is_goal, batch.position), is_cart.long()], dim=-1
        )  # [B, L, 3]
        total = counts.cumsum(1)
        last = torch.where(event, batch.time, _ALWAYS).cummax(1).values
        before = _shifted(last)
        begins = event & ((before < 0) | (batch.time - before > SESSION_GAP))
        base = torch.where(begins[..., None], total - counts, 0).cummax(1).values
        goals = torch.where(is_goal, batch.time, _NEVER).cummin(1).values
        latest = torch.where(is_goal, batch.time, _ALWAYS).cummax(1).values

        place = self.row, (self.bound - 1).clamp(min=0)
        some = self.bound > 0
        count = total[place] * some[:, None]
        runs = some & (self.at - last[place] <= SESSION_GAP)
        in_session = (total - base)[place] * runs[:, None]
        taken, often = count[:, 1] > 0, count[:, 1] > 1
        span = torch.where(often, latest[place] - goals[place], 0) / (count[:, 1] - 1).clamp(min=1)
        since = torch.where(taken, self.at - latest[place], 0)
        days = torch.log(torch.stack([span, since], 1).float() / DAY + _SOON_DAYS) * torch.stack([often, taken], 1)
        return torch.cat([days, often[:, None], taken[:, None], count[:, :2].log1p(), in_session.log1p()], 1)


def _fresh(happened: Tensor, position: Tensor) -> Tensor:
    """1 at the first token of each moment at which it happened [B, L]."""
    until = torch.where(happened, position, _ALWAYS).cummax(1).values
    return (happened & (position > _shifted(until))).long()


def _shifted(values: Tensor) -> Tensor:
    """Each row one token later [B, L]; -1 comes first."""
    return torch.nn.functional.pad(values[:, :-1], (1, 0), value=_ALWAYS)
