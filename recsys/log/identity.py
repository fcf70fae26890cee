"""Who an anonymous visitor was, at every instant: links carry the instant at which they became known.

An event with both ids links the visitor to the user from its instant on; an `unlink` event with both ends that. At any
instant a visitor is nobody or one user: another user's sign-in on the same device ends the link before.

What follows for the events that a visitor leaves without a user id (those with one are the user's, always):

- While the visitor is linked, they are the user's at once, also where only the anonymous id is given.
- Those from before the sign-in, back to the end of the link before, are *adopted*: they are part of the user's history
  at questions after the sign-in, and of the visitor's at questions before it.
- An unlink gives the adopted ones back (a shared device: they may be anybody's) and keeps what was done while linked.

History at an instant uses only links and unlinks strictly before it: one at the instant itself says nothing yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.event import EventType
from recsys.segments import bisect_segments

COLUMNS = ("anonymous_id", "user_id", "type", "occurred_at")
"""What `Identity.of` reads of a log."""

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Claims:
    """Whose events [N] are that carry only an anonymous id.

    Attributes:
        user: the user they are from their own instant on [N]; null where the visitor was nobody.
        adopter: the user who adopts them later [N]; null where nobody does.
        adopted_at: instant of that sign-in [N] int64; the largest int64 where nobody does.
        given_back_at: instant of the unlink that ends the adoption [N] int64; the largest int64 where none does.
    """

    user: pa.Array
    adopter: pa.Array
    adopted_at: np.ndarray
    given_back_at: np.ndarray


@dataclass(frozen=True, slots=True)
class Identity:
    """Changes of who a visitor was: C in all, sorted by visitor and time.

    Attributes:
        visitor: anonymous ids that were ever linked [A], ascending.
        start: where each visitor's changes begin, and the end of the last; [A + 1] int64.
        time: instant of each change [C] int64.
        user: who the visitor is from then on [C]; null for nobody.
    """

    visitor: pa.Array
    start: np.ndarray
    time: np.ndarray
    user: pa.Array

    @classmethod
    def of(cls, told: Iterable[pa.Table]) -> "Identity":
        """From what `changes_told` found in the pieces of a log, in their order."""
        changes = condensed([_NO_CHANGES, *told])
        coded = changes["visitor"].combine_chunks().dictionary_encode()
        visitor, time = coded.indices.to_numpy(), changes["time"].to_numpy()
        ends = changes["ends"].to_numpy()
        kept = np.ones(len(visitor), bool)  # condensed: of a visitor who never unlinks, every row is a change
        nobody = np.zeros(len(visitor), bool)
        unlinks = np.isin(visitor, np.unique(visitor[ends]))
        for rows in np.split(np.flatnonzero(unlinks), np.flatnonzero(np.diff(visitor[unlinks])) + 1):
            current: str | None = None
            for row, who in zip(rows.tolist(), changes["user"].take(pa.array(rows)).to_pylist(), strict=True):
                becomes = becomes_of(current, who, ends=bool(ends[row]))
                kept[row], nobody[row] = becomes != current, becomes is None
                current = becomes
        user = pc.if_else(pa.array(nobody), pa.scalar(None, pa.string()), changes["user"].combine_chunks())
        present, start = np.unique(visitor[kept], return_index=True)
        return cls(
            coded.dictionary.take(pa.array(present)),
            np.append(start, np.count_nonzero(kept)).astype(np.int64),
            time[kept],
            user.filter(pa.array(kept)),
        )

    def __len__(self) -> int:
        return len(self.visitor)

    def user_of(self, anonymous_id: str, at: int) -> str | None:
        """Who the visitor is at a question at `at`; None for nobody."""
        number = self.visitor.index(anonymous_id).as_py()
        if number < 0:
            return None
        changes = slice(int(self.start[number]), int(self.start[number + 1]))
        last = int(np.searchsorted(self.time[changes], at, side="left")) - 1
        known: str | None = self.user[changes.start + last].as_py() if last >= 0 else None
        return known

    def claims(self, anonymous_id: pa.Array, time: np.ndarray) -> Claims:
        """Whose the events [N] at instants `time` [N] are, which carry no user id."""
        place = pc.index_in(anonymous_id, self.visitor)
        linked = pc.is_valid(place).to_numpy(zero_copy_only=False)
        number = pc.fill_null(place, 0).to_numpy()
        low = np.where(linked, self.start[number] if len(self) else 0, 0)
        high = np.where(linked, self.start[number + 1] if len(self) else 0, 0)
        following = bisect_segments(self.time, low, high, time, right=True)
        current = self._user_at(following - 1, following > low)
        nobody = pc.is_null(current).to_numpy(zero_copy_only=False)
        adopted = nobody & (following < high)
        ended = adopted & (following + 1 < high)
        given_back = ended & pc.is_null(self._user_at(following + 1, ended)).to_numpy(zero_copy_only=False)
        return Claims(
            user=current,
            adopter=self._user_at(following, adopted),
            adopted_at=self._time_at(following, adopted),
            given_back_at=self._time_at(following + 1, given_back),
        )

    def _user_at(self, change: np.ndarray, known: np.ndarray) -> pa.Array:
        return self.user.take(pa.array(np.where(known, change, 0), mask=~known))

    def _time_at(self, change: np.ndarray, known: np.ndarray) -> np.ndarray:
        found = np.full(len(change), _NEVER)
        found[known] = self.time[change[known]]
        return found


def becomes_of(current: str | None, who: str, *, ends: bool) -> str | None:
    """Who a visitor is after an event with both ids, `current` before it; `ends` for an unlink."""
    if not ends:
        return who
    return None if who == current else current


_NO_CHANGES = pa.table(
    {
        "visitor": pa.array([], pa.string()),
        "user": pa.array([], pa.string()),
        "time": pa.array([], pa.int64()),
        "ends": pa.array([], pa.bool_()),
    }
)


def changes_told(piece: pa.Table) -> pa.Table:
    """What a piece of a log (at least `COLUMNS`) says about links, without what only repeats the row before."""
    both = piece.filter(pc.and_(pc.is_valid(piece["anonymous_id"]), pc.is_valid(piece["user_id"])))
    told = pa.table(
        {
            "visitor": both["anonymous_id"],
            "user": both["user_id"],
            "time": pc.cast(both["occurred_at"], pa.int64()),
            "ends": pc.equal(both["type"], EventType.UNLINK.value),
        }
    )
    if not told.num_rows:
        return told
    return condensed([told])


def condensed(told: Iterable[pa.Table]) -> pa.Table:
    """What several pieces told, in their order, sorted by visitor and time and without what only repeats the row
    before; as many rows as there are changes, or a few more."""
    whole = pa.concat_tables(told)
    whole = whole.take(_visitor_time_order(whole)).combine_chunks()
    if whole.num_rows < 2:
        return whole
    new = np.ones(whole.num_rows, bool)
    same = [pc.equal(whole[c][1:], whole[c][:-1]).to_numpy() for c in ("visitor", "user", "ends")]
    new[1:] = ~np.logical_and.reduce(same)
    return whole.filter(pa.array(new))


def _visitor_time_order(told: pa.Table) -> np.ndarray:
    """Row order by visitor id, then instant; ties keep their order."""
    coded = told["visitor"].combine_chunks().dictionary_encode()
    rank = np.empty(len(coded.dictionary), np.int64)
    rank[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(rank))
    return np.lexsort((told["time"].to_numpy(), rank[coded.indices.to_numpy()]))
