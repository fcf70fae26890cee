"""Coded events on their way from the log to the shoppers they belong to.

A block is a piece of the log in small numbers, with the owner of every event; where visitors became known
(`recsys/log/identity.py`), their events go to the user, and what a user adopts is there twice. The blocks of some
shoppers, put together, become those shoppers' sequences: one each, and one more for a user from every instant on at
which events were adopted or given back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY
from recsys.log.identity import Identity
from recsys.sequence.coding import COLUMNS, Coding
from recsys.sequence.histories import ALWAYS, NEVER, Histories
from recsys.state import History

HISTORY = tuple(field.name for field in fields(History))
READ = tuple(dict.fromkeys((*COLUMNS, "user_id", "anonymous_id", "shopper")))
"""What `coded` reads of a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Coded events with their owners, E in all.

    Attributes:
        owner: shopper ids [E].
        events: their columns.
        arrival: their place in the log's order [E] int64, which decides between events of one instant.
        since, until: bounds of an adoption [E] int64; (ALWAYS, NEVER) for an event that is the owner's own.
        adopted_at: when a visitor's own event goes over to a user [E] int64; NEVER where it does not.
    """

    owner: pa.Array
    events: History
    arrival: np.ndarray
    since: np.ndarray
    until: np.ndarray
    adopted_at: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Block":
        """The events `chosen`, in that order."""
        return Block(
            owner=self.owner.take(pa.array(chosen)),
            events=self.events[chosen],
            arrival=self.arrival[chosen],
            since=self.since[chosen],
            until=self.until[chosen],
            adopted_at=self.adopted_at[chosen],
        )

    def table(self) -> pa.Table:
        """As an Arrow table, to be spilled or sent."""
        arrays = {name: np.ascontiguousarray(getattr(self.events, name)) for name in HISTORY}
        arrays["query"] = arrays["query"].view(np.int64).ravel()
        for name in ("arrival", "since", "until", "adopted_at"):
            arrays[name] = np.ascontiguousarray(getattr(self, name))
        return pa.table([self.owner.cast(pa.string()), *map(pa.array, arrays.values())], names=["owner", *arrays])

    @classmethod
    def of_table(cls, table: pa.Table) -> "Block":
        """Back from `table`."""
        arrays = {name: table[name].to_numpy() for name in table.column_names if name in (*HISTORY, *_BOUNDS)}
        arrays["query"] = arrays["query"].view(np.int16).reshape(len(arrays["query"]), -1)
        return cls(
            owner=table["owner"].combine_chunks(),
            events=History(**{name: arrays[name] for name in HISTORY}),
            **{name: arrays[name] for name in _BOUNDS},
        )


_BOUNDS = ("arrival", "since", "until", "adopted_at")


def coded(pieces: Iterable[pa.Table], identity: Identity, coding: Coding) -> Iterator[Block]:
    """The events of a log's pieces, which come in its order and begin with the first piece of a date."""
    date, place = -1, 0
    for piece in pieces:
        own = coding.of_table(piece)
        if date != own.time[0] // DAY:
            date, place = int(own.time[0] // DAY), 0
        arrival = (date << 32) + place + np.arange(len(own))
        place += len(own)
        yield _owned(piece, own, arrival, identity)


def _owned(piece: pa.Table, events: History, arrival: np.ndarray, identity: Identity) -> Block:
    """The events with their owners, then the copies that users adopt."""
    owner = piece["shopper"].combine_chunks()
    always, never = np.broadcast_to(ALWAYS, len(events)), np.broadcast_to(NEVER, len(events))
    loose = np.flatnonzero(pc.is_null(piece["user_id"])) if len(identity) else np.empty(0, np.int64)
    if not len(loose):
        return Block(owner=owner, events=events, arrival=arrival, since=always, until=never, adopted_at=never)
    claims = identity.claims(piece["anonymous_id"].combine_chunks().take(pa.array(loose)), events.time[loose])
    users = np.full(len(events), None, object)
    users[loose] = claims.user.to_numpy(zero_copy_only=False)
    adopted_at = np.full(len(events), NEVER)
    adopted_at[loose] = np.where(claims.given_back_at == NEVER, claims.adopted_at, NEVER)
    copies = np.flatnonzero(claims.adopted_at < NEVER)
    rows = loose[copies]
    owner = pc.coalesce(pa.array(users, pa.string()), owner.cast(pa.string()))
    return Block(
        owner=pa.concat_arrays([owner, claims.adopter.take(pa.array(copies))]),
        events=History.joined([events, events[rows]]),
        arrival=np.concatenate([arrival, arrival[rows]]),
        since=np.concatenate([always, claims.adopted_at[copies]]),
        until=np.concatenate([never, claims.given_back_at[copies]]),
        adopted_at=np.concatenate([adopted_at, np.full(len(copies), NEVER)]),
    )


def sequences(block: Block) -> Histories:
    """The sequences of one range of shoppers."""
    owners = block.owner.dictionary_encode()
    ids = owners.dictionary.take(pc.sort_indices(owners.dictionary))
    rank = np.empty(len(ids), np.int64)
    rank[pc.index_in(ids, owners.dictionary).to_numpy()] = np.arange(len(ids))
    owner = rank[owners.indices.to_numpy()]
    order = np.lexsort((block.arrival, block.events.time, owner))
    owner, block = owner[order], block.rows(order)
    start = np.searchsorted(owner, np.arange(len(ids) + 1))
    adopters = np.unique(owner[block.since > ALWAYS])
    if not len(adopters):
        return Histories(ids, start, block.events, np.full(len(ids), ALWAYS), block.adopted_at)
    return _with_adoptions(ids, start, block, adopters)


def _with_adoptions(ids: pa.Array, start: np.ndarray, block: Block, adopters: np.ndarray) -> Histories:
    """One sequence for each shopper, and several for the `adopters`."""
    rows: list[np.ndarray] = []
    shopper: list[int] = []
    asked_from: list[int] = []
    done = 0
    for number in [*adopters.tolist(), len(ids)]:
        rows += [np.arange(start[n], start[n + 1]) for n in range(done, number)]
        shopper += range(done, number)
        asked_from += [ALWAYS] * (number - done)
        if number < len(ids):
            for since, known in _lives(block, int(start[number]), int(start[number + 1])):
                rows.append(known)
                shopper.append(number)
                asked_from.append(since)
        done = number + 1
    chosen = np.concatenate(rows)
    return Histories(
        ids.take(pa.array(shopper)),
        np.concatenate([[0], np.cumsum([len(known) for known in rows])]).astype(np.int64),
        block.events[chosen],
        np.array(asked_from, np.int64),
        block.adopted_at[chosen],
    )


def _lives(block: Block, begin: int, end: int) -> Iterator[tuple[int, np.ndarray]]:
    """A user's history as it was known between two changes of what is theirs: from when on it is asked, and its rows.

    A question at the instant of a change does not know of it, so the life after it begins a microsecond later.
    """
    time, since, until = block.events.time[begin:end], block.since[begin:end], block.until[begin:end]
    own = since == ALWAYS
    changes = np.unique(np.concatenate([since[~own], until[until < NEVER]])).tolist()
    for change, following in zip([ALWAYS, *changes], [*changes, NEVER], strict=True):
        mine = own & (time <= following)
        asked = mine & (time > change)
        if not asked.any() and following < NEVER:
            continue
        adopted = ~own & (since <= change) & (until > change)
        yield (change if change == ALWAYS else change + 1), begin + np.flatnonzero(mine | adopted)
