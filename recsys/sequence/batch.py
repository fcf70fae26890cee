"""SequenceBatch: what an encoder reads. Padding is on the right; every token carries its own instant.

Shapes: B sequences, L tokens, Q queries, P pairs of a query and one of its target items.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceBatch:
    """Sequences side by side.

    Attributes:
        item: catalogue index [B, L] int64; 0 at query tokens and padding.
        type: event type code shown to the encoder [B, L] int64; 0 at query tokens and padding.
        time: instant [B, L] int64 microseconds.
        position: number of the token's moment within the sequence [B, L] int64 (a basket shares one).
        gap, hour, weekday: see `recsys.feature.temporal`, [B, L] int64.
        valid: False at padding [B, L].
        is_query: True at query tokens [B, L].
        query: flat places (row * L + column) of the tokens whose output is a query vector, [Q] int64.
        pair_query: for every pair its query, [P] int64 into Q, ascending.
        pair_target: for every pair the target item, [P] int64.
        ordered: every moment is a single event and there are no query tokens, so a plain causal mask is exact.
    """

    item: Tensor
    type: Tensor
    time: Tensor
    position: Tensor
    gap: Tensor
    hour: Tensor
    weekday: Tensor
    valid: Tensor
    is_query: Tensor
    query: Tensor
    pair_query: Tensor
    pair_target: Tensor
    ordered: bool

    @property
    def tokens(self) -> int:
        """Number of real events (neither padding nor query tokens)."""
        return int((self.valid & ~self.is_query).sum())

    def attention_mask(self) -> Tensor:
        """Who may look at whom, [B, 1, L, L] bool (rows look at columns).

        A token sees itself and every event at a strictly earlier instant: never its own moment's other events, never
        a query token. Padding sees only itself.
        """
        earlier = self.time[:, :, None] > self.time[:, None, :]
        event = (self.valid & ~self.is_query)[:, None, :]
        itself = torch.eye(self.time.shape[1], dtype=torch.bool, device=self.time.device)
        return ((earlier & event & self.valid[:, :, None]) | itself)[:, None]

    def to(self, device: torch.device) -> "SequenceBatch":
        """The same batch on another device."""
        tensors = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "ordered"}
        return SequenceBatch(**tensors, ordered=self.ordered)
