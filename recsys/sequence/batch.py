"""SequenceBatch: what an encoder reads. Padding is on the right; every token carries its own instant.

Shapes: B sequences, L tokens, Q queries, P pairs of a query and one of its target items.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from recsys.sequence.stream import TokenStream


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceBatch:
    """Sequences side by side.

    Attributes:
        item: catalogue index [B, L] int64; 0 at query tokens and padding.
        type: event type code shown to the encoder [B, L] int64; 0 at query tokens and padding.
        time: instant [B, L] int64 microseconds.
        position: number of the token's moment within the sequence [B, L] int64 (a basket shares one).
        features: the spec's token features by name, classes [B, L] int64.
        valid: False at padding [B, L].
        is_query: True at query tokens [B, L].
        query: flat places (row * L + column) of the tokens whose output is a query vector, [Q] int64.
        pair_query: for every pair its query, [P] int64 into Q, ascending.
        pair_target: for every pair the target item, [P] int64.
        ordered: every moment is a single event and there are no query tokens, so a plain causal mask is exact.
        labels: what is known of what came after each query, by name, [Q] each; none where nothing reads them.
    """

    item: Tensor
    type: Tensor
    time: Tensor
    position: Tensor
    features: Mapping[str, Tensor]
    valid: Tensor
    is_query: Tensor
    query: Tensor
    pair_query: Tensor
    pair_target: Tensor
    ordered: bool
    labels: Mapping[str, Tensor] = field(default_factory=dict)

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
        names = ("item", "type", "time", "position", "valid", "is_query", "query", "pair_query", "pair_target")
        return SequenceBatch(
            **{name: getattr(self, name).to(device) for name in names},
            features={name: values.to(device) for name, values in self.features.items()},
            ordered=self.ordered,
            labels={name: values.to(device) for name, values in self.labels.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTensors:
    """The columns of a `TokenStream` as tensors, on the device where batches are put together; [N] each."""

    item: Tensor
    type: Tensor
    time: Tensor
    moment: Tensor
    is_query: Tensor
    reach: Tensor
    features: Mapping[str, Tensor]
    labels: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, stream: "TokenStream", device: torch.device | str = "cpu") -> "TokenTensors":
        """On the CPU the tensors share the stream's memory, also where that is a mapped file."""
        names = ("item", "type", "time", "moment", "is_query", "reach")
        return cls(
            **{name: _tensor(getattr(stream, name)).to(device) for name in names},
            features={name: _tensor(values).to(device) for name, values in stream.features.items()},
            labels={name: _tensor(values).to(device) for name, values in stream.labels.items()},
        )

    @property
    def device(self) -> torch.device:
        """Where the columns lie."""
        return self.item.device


def _tensor(column: np.ndarray) -> Tensor:
    """The column itself, or one value spread without memory where it says the same everywhere."""
    if len(column) and column.strides[0] == 0:
        return torch.from_numpy(np.array(column[:1])).expand(column.shape)
    return torch.from_numpy(column)


def collate(
    stream: TokenTensors,
    begin: np.ndarray,
    end: np.ndarray,
    *,
    target_from: np.ndarray | None,
    ordered: bool,
) -> SequenceBatch:
    """Cut windows [begin, end) of the stream [B] and put them side by side, on the stream's device.

    `target_from` [B] is the first stream row of each window that counts as a target; None asks for no targets: then
    every window's last token is its query.
    """
    first, length = (torch.from_numpy(rows).to(stream.device) for rows in (begin, end - begin))
    width = int((end - begin).max(initial=1))
    column = torch.arange(width, device=stream.device)
    valid = column < length[:, None]
    row = torch.where(valid, first[:, None] + column, first[:, None])
    item, moment = stream.item[row].long() * valid, stream.moment[row]
    is_query = stream.is_query[row] & valid
    if target_from is None:
        query = torch.arange(len(first), device=stream.device) * width + (length - 1).clamp(min=0)
        pair_query = pair_target = query.new_empty(0)
        labels = {}
    else:
        targets = torch.from_numpy(target_from).to(stream.device)
        next_inside = valid & (column < length[:, None] - 1) & (row + 1 >= targets[:, None])
        asks = next_inside if ordered else is_query & (row >= targets[:, None])
        query = asks.flatten().nonzero()[:, 0]
        asking = row.flatten()[query]
        pair_query, pair_target = _pairs(stream, asking)
        labels = {name: values[asking] for name, values in stream.labels.items()}
    return SequenceBatch(
        item=item,
        type=stream.type[row].long() * valid,
        time=stream.time[row],
        position=torch.where(valid, moment - moment[:, :1], 0).long(),
        features={name: values[row].long() for name, values in stream.features.items()},
        valid=valid,
        is_query=is_query,
        query=query,
        pair_query=pair_query,
        pair_target=pair_target,
        ordered=ordered,
        labels=labels,
    )


def _pairs(stream: TokenTensors, asking: Tensor) -> tuple[Tensor, Tensor]:
    """Owner [P] and target item [P] of all pairs of the stream rows that ask [Q]."""
    count = stream.reach[asking].long()
    owner = torch.repeat_interleave(torch.arange(len(asking), device=asking.device), count)
    offset = torch.arange(len(owner), device=asking.device) - (count.cumsum(0) - count)[owner]
    target = stream.item[asking[owner] + 1 + offset].long()
    known = target > 0
    return owner[known], target[known]
