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
from recsys.event import ACTS
from recsys.log.identity import Identity
from recsys.sequence.coding import COLUMNS, Coding
from recsys.sequence.histories import ALWAYS, NEVER, Adoption, Histories
from recsys.state import HISTORY_COLUMNS, History, is_one_of

ADOPTION = tuple(field.name for field in fields(Adoption))
READ = tuple(dict.fromkeys((*COLUMNS, "user_id", "anonymous_id", "shopper")))
"""What `coded` reads of a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Coded events with their owners, E in all.

    Attributes:
        owner: shopper ids [E].
        events: their columns.
        arrival: their place in the log's order [E] int64, which decides between events of one instant.
        adoption: which are a user's copies of a visitor's events, and since when [E].
    """

    owner: pa.Array
    events: History
    arrival: np.ndarray
    adoption: Adoption

    def rows(self, chosen: np.ndarray) -> "Block":
        """The events `chosen`, in that order."""
        return Block(
            owner=self.owner.take(pa.array(chosen)),
            events=self.events[chosen],
            arrival=self.arrival[chosen],
            adoption=self.adoption[chosen],
        )

    def table(self) -> pa.Table:
        """As an Arrow table, to be spilled or sent."""
        arrays = {name: np.ascontiguousarray(getattr(self.events, name)) for name in HISTORY_COLUMNS}
        arrays["query"] = arrays["query"].view(np.int64).ravel()
        arrays["arrival"] = self.arrival
        arrays |= {name: np.ascontiguousarray(getattr(self.adoption, name)) for name in ADOPTION}
        return pa.table([self.owner.cast(pa.string()), *map(pa.array, arrays.values())], names=["owner", *arrays])

    @classmethod
    def of_table(cls, table: pa.Table) -> "Block":
        """Back from `table`."""
        arrays = {name: table[name].to_numpy() for name in (*HISTORY_COLUMNS, "arrival", *ADOPTION)}
        arrays["query"] = arrays["query"].view(np.int16).reshape(len(arrays["query"]), -1)
        return cls(
            owner=table["owner"].combine_chunks(),
            events=History(**{name: arrays[name] for name in HISTORY_COLUMNS}),
            arrival=arrays["arrival"],
            adoption=Adoption(**{name: arrays[name] for name in ADOPTION}),
        )


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
    loose = np.flatnonzero(pc.is_null(piece["user_id"])) if len(identity) else np.empty(0, np.int64)
    if not len(loose):
        return Block(owner=owner, events=events, arrival=arrival, adoption=Adoption.none(len(events)))
    claims = identity.claims(piece["anonymous_id"].combine_chunks().take(pa.array(loose)), events.time[loose])
    users = np.full(len(events), None, object)
    users[loose] = claims.user.to_numpy(zero_copy_only=False)
    adopted_at, given_back_at = np.full((2, len(events)), NEVER)
    adopted_at[loose], given_back_at[loose] = claims.adopted_at, claims.given_back_at
    copies = np.flatnonzero(claims.adopted_at < NEVER)
    rows = loose[copies]
    owner = pc.coalesce(pa.array(users, pa.string()), owner.cast(pa.string()))
    return Block(
        owner=pa.concat_arrays([owner, claims.adopter.take(pa.array(copies))]),
        events=History.joined([events, events[rows]]),
        arrival=np.concatenate([arrival, arrival[rows]]),
        adoption=Adoption(
            copied=np.arange(len(events) + len(rows)) >= len(events),
            adopted_at=np.concatenate([adopted_at, adopted_at[rows]]),
            given_back_at=np.concatenate([given_back_at, given_back_at[rows]]),
        ),
    )


def sequences(block: Block, *, lookback: int) -> Histories:
    """The sequences of one range of shoppers.

    What is asked from a change of identity on is given the `lookback` latest acts from before it (and one more, which
    tells whether a moment was cut), so that a shopper who signs in often does not multiply.
    """
    owners = block.owner.dictionary_encode()
    ids = owners.dictionary.take(pc.sort_indices(owners.dictionary))
    rank = np.empty(len(ids), np.int64)
    rank[pc.index_in(ids, owners.dictionary).to_numpy()] = np.arange(len(ids))
    owner = rank[owners.indices.to_numpy()]
    order = np.lexsort((block.arrival, block.events.time, owner))
    owner, block = owner[order], block.rows(order)
    start = np.searchsorted(owner, np.arange(len(ids) + 1))
    changed = np.unique(owner[block.adoption.adopted_at < NEVER])
    if not len(changed):
        return Histories(ids, start, block.events, np.full(len(ids), ALWAYS), block.adoption)
    return _with_lives(ids, start, block, changed, lookback)


def _with_lives(ids: pa.Array, start: np.ndarray, block: Block, changed: np.ndarray, lookback: int) -> Histories:
    """One sequence for each shopper, and several for those of whom it `changed` what is theirs."""
    rows: list[np.ndarray] = []
    shopper: list[int] = []
    asked_from: list[int] = []
    done = 0
    for number in [*changed.tolist(), len(ids)]:
        rows += [np.arange(start[n], start[n + 1]) for n in range(done, number)]
        shopper += range(done, number)
        asked_from += [ALWAYS] * (number - done)
        if number < len(ids):
            for since, known in _lives(block, int(start[number]), int(start[number + 1]), lookback):
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
        block.adoption[chosen],
    )


def _lives(block: Block, begin: int, end: int, lookback: int) -> Iterator[tuple[int, np.ndarray]]:
    """A shopper's history as it was known between two changes of what is theirs: from when on it is asked, its rows.

    A question at the instant of a change does not know of it, so the life after it begins a microsecond later. A life
    without questions is left out, but for the last, which says what is known in the end.
    """
    time, adoption = block.events.time[begin:end], block.adoption[begin:end]
    acts = is_one_of(ACTS)[block.events.type[begin:end]]
    instants = np.concatenate([adoption.adopted_at, adoption.given_back_at])
    changes = np.unique(instants[instants < NEVER]).tolist()
    for change, following in zip([ALWAYS, *changes], [*changes, NEVER], strict=True):
        asked = ~adoption.copied & (time > change) & (time <= following)
        if not asked.any() and following < NEVER:
            continue
        theirs = (adoption.copied == adoption.adopted(change)) & (time <= following)
        known = np.flatnonzero(theirs & (time <= change))
        recent = known if following == NEVER else known[_first_of_latest(acts[known], lookback + 1) :]
        since = change if change == ALWAYS else change + 1
        yield since, begin + np.concatenate([recent, np.flatnonzero(theirs & (time > change))])


def _first_of_latest(is_act: np.ndarray, count: int) -> int:
    """The place from which on there are `count` acts, 0 if there are fewer."""
    acts = np.flatnonzero(is_act)
    return int(acts[-count]) if len(acts) > count else 0
