"""All shoppers' histories of a log as flat arrays: one row per event, one slice per sequence."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.catalogue import Catalogue
from recsys.event import INTERACTIONS, EventType
from recsys.state import History, is_one_of, taken

ALWAYS = np.iinfo(np.int64).min
NEVER = np.iinfo(np.int64).max

_ABSENT = np.empty(0)


def _absent() -> np.ndarray:
    return _ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What visitors' events become when the visitor signs in (`recsys/log/identity.py`); E events.

    Attributes:
        copied: this row is a user's copy of a visitor's event [E] bool.
        adopted_at: instant of the sign-in [E] int64; NEVER where the event is adopted by nobody.
        given_back_at: instant of the unlink that ends it [E] int64; NEVER where none does.
    """

    copied: np.ndarray
    adopted_at: np.ndarray
    given_back_at: np.ndarray

    @classmethod
    def none(cls, count: int) -> "Adoption":
        """Nothing is ever adopted; takes no memory."""
        never = np.broadcast_to(np.int64(NEVER), count)
        return cls(copied=np.broadcast_to(np.bool_(False), count), adopted_at=never, given_back_at=never)

    def __getitem__(self, rows: slice | np.ndarray) -> "Adoption":
        return Adoption(**{name: taken(getattr(self, name), rows) for name in Adoption.__dataclass_fields__})

    def adopted(self, known_until: int) -> np.ndarray:
        """Which events are a user's, as links at or before `known_until` say, [E] bool."""
        adopted: np.ndarray = (self.adopted_at <= known_until) & (known_until < self.given_back_at)
        return adopted


_NO_ADOPTION: Adoption = Adoption.none(0)


def _no_adoption() -> Adoption:
    return _NO_ADOPTION


@dataclass(frozen=True, slots=True)
class Histories:
    """Events of S sequences, E in all, sorted by shopper and time.

    A sequence is what was known of a shopper from some instant on. Most shoppers have one. Where a visitor's events
    were adopted by a user at sign-in (or given back), the user has one more sequence from that instant on: it begins
    with everything that was known then, and only its later moments are asked about (`recsys/log/identity.py`).

    Attributes:
        shopper: shopper ids [S], ascending; the sequences of one shopper are neighbours, in order of `asked_from`.
        start: where each sequence's events begin, and the end of the last; [S + 1] int64.
        events: the flat columns, a `History` of E rows.
        asked_from: earlier moments of a sequence are history only [S] int64.
        adoption: what is adopted from visitors, and what visitors lose.
    """

    shopper: pa.Array
    start: np.ndarray
    events: History
    asked_from: np.ndarray = field(default_factory=_absent)
    adoption: Adoption = field(default_factory=_no_adoption)

    def __post_init__(self) -> None:
        if self.asked_from is _ABSENT:
            object.__setattr__(self, "asked_from", np.broadcast_to(ALWAYS, len(self.start) - 1))
        if self.adoption is _NO_ADOPTION:
            object.__setattr__(self, "adoption", Adoption.none(len(self.events)))

    @classmethod
    def of_table(cls, table: pa.Table, catalogue: Catalogue) -> "Histories":
        """From `EventLog.events()`, which is sorted by shopper and instant; identity links are not followed."""
        column = table["shopper"].combine_chunks().dictionary_encode()
        codes = column.indices.to_numpy()
        start = np.flatnonzero(np.diff(codes, prepend=-1))
        type_code = pa.array([t.code for t in EventType], pa.int8())
        place = pc.index_in(table["type"], pa.array([t.value for t in EventType]))
        events = History(
            item=catalogue.indices_of(table["item_id"]),
            type=type_code.take(place.combine_chunks()).to_numpy(),
            time=pc.cast(table["occurred_at"], pa.int64()).to_numpy(),
            quantity=pc.fill_null(table["quantity"], 1.0).to_numpy(),
            price=pc.cast(table["price"], pa.float32()).to_numpy(),
            list_price=pc.cast(table["list_price"], pa.float32()).to_numpy(),
            position=pc.cast(pc.fill_null(table["position"], -1), pa.int16(), safe=False).to_numpy(),
        )
        return cls(column.dictionary, np.append(start, len(codes)).astype(np.int64), events)

    def __len__(self) -> int:
        return len(self.start) - 1

    def __iter__(self) -> Iterator[History]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> History:
        return self.events[int(self.start[number]) : int(self.start[number + 1])]

    def columns(self) -> list[np.ndarray]:
        """Every array of E rows."""
        return [*self.events.columns(), *(getattr(self.adoption, name) for name in Adoption.__dataclass_fields__)]

    def sequences(self, first: int, last: int) -> "Histories":
        """The sequences [first, last)."""
        rows = slice(int(self.start[first]), int(self.start[last]))
        return Histories(
            self.shopper.slice(first, last - first),
            self.start[first : last + 1] - self.start[first],
            self.events[rows],
            self.asked_from[first:last],
            self.adoption[rows],
        )

    def shopper_number(self) -> np.ndarray:
        """Number of the shopper of every sequence [S]; the sequences of one shopper share it."""
        if not len(self):
            return np.empty(0, np.int64)
        other = pc.not_equal(self.shopper[1:], self.shopper[:-1]).to_numpy(zero_copy_only=False)
        return np.concatenate([[0], np.cumsum(other)])

    def before(self, at: int) -> "Histories":
        """The same sequences with only the events strictly before `at`; those left with none are dropped."""
        return self.where(self.events.time < at)

    def as_known_at(self, at: int) -> "Histories":
        """Every shopper once, with the events before `at` that were known to be theirs then; each event once."""
        if (self.asked_from == ALWAYS).all() and (self.adoption.adopted_at == NEVER).all():
            return self.before(at)
        current = self.asked_from <= at
        number = self.shopper_number()
        current[:-1] &= ~((number[1:] == number[:-1]) & current[1:])
        adopted = self.adoption.adopted(at - 1)
        mine = np.where(self.adoption.copied, adopted & current[self.owner()], self.own() & ~adopted)
        rows = np.flatnonzero(mine & (self.events.time < at))
        owner = number[self.owner()[rows]]
        order = np.lexsort((self.events.time[rows], owner))
        start = np.searchsorted(owner[order], np.arange(number[-1] + 2))
        first = np.flatnonzero(np.diff(number, prepend=-1))
        whole = Histories(self.shopper.take(pa.array(first)), start, self.events[rows[order]])
        return whole.where(np.ones(len(rows), bool))

    def own(self) -> np.ndarray:
        """Which rows are events in the sequence that is asked about them, [E] bool: every event of the log once."""
        own: np.ndarray = (self.events.time >= self.asked_from[self.owner()]) & ~self.adoption.copied
        return own

    def events_once(self) -> History:
        """Every event of the log once, in no order that means anything; no link changes it."""
        own = self.own()
        return self.events if own.all() else self.events[own]

    def interactions(self) -> "Histories":
        """The same sequences with only interactions with items the catalogue knows."""
        return self.where(self.is_interaction())

    def is_interaction(self) -> np.ndarray:
        """Which events are interactions with items the catalogue knows, [E] bool."""
        acted: np.ndarray = is_one_of(INTERACTIONS)[self.events.type] & (self.events.item > 0)
        return acted

    def owner(self) -> np.ndarray:
        """Sequence number of every event, [E] int64."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def moments(self) -> np.ndarray:
        """Rows at which a moment (same sequence, same instant) begins, [M] int64."""
        fresh = np.diff(self.events.time, prepend=-1) != 0
        fresh[self.start[:-1][np.diff(self.start) > 0]] = True
        return np.flatnonzero(fresh)

    def of_type(self, *types: EventType) -> "Histories":
        """The same sequences with only these types of events."""
        return self.where(is_one_of(types)[self.events.type])

    def once_per_moment(self) -> "Histories":
        """Each item at most once per moment: a view and a cart in the same second are one sign of interest."""
        moment = np.zeros(len(self.events), np.int64)
        moment[self.moments()] = 1
        pair = np.cumsum(moment) * (int(self.events.item.max(initial=0)) + 1) + self.events.item
        keep = np.zeros(len(pair), bool)
        keep[np.unique(pair, return_index=True)[1]] = True
        return self.where(keep)

    def where(self, keep: np.ndarray) -> "Histories":
        """Only the rows where `keep` [E] is true; sequences left with none are dropped."""
        counts = np.diff(np.concatenate([[0], np.cumsum(keep)])[self.start])
        present = np.flatnonzero(counts)
        start = np.concatenate([[0], np.cumsum(counts[present])]).astype(np.int64)
        return Histories(
            self.shopper.take(pa.array(present)),
            start,
            self.events[keep],
            taken(self.asked_from, present),
            self.adoption[keep],
        )
