"""How ids hang together: anonymous ids and users, and session ids and whose they are."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recsys.card.arrays import distinct
from recsys.card.ids import Numbering, coded, hashes_of
from recsys.card.keys import MOST_KEYS, KeyTable
from recsys.card.piece import Piece, is_of
from recsys.clock import DAY
from recsys.event import EventType

_NOBODY = 0
_USER_BITS = np.uint64(32)
_NO_LIMIT = 1 << 62
_LATEST, _EARLIEST = np.iinfo(np.int64).max, np.iinfo(np.int64).min
_UNLINK = is_of((EventType.UNLINK,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What `IdentityMeasure` found.

    Attributes:
        links: distinct pairs of an anonymous id and a user id on one event.
        linked_anonymous, linked_users: distinct ids in these.
        shared_anonymous: anonymous ids with more than one user.
        most_users: the most users of one anonymous id.
        most_anonymous: the most anonymous ids of one user.
        session_ids: the shop's own session ids; scaled up if sampled.
        sampled: share of the session ids that were looked at: 1 but for very many.
        shared_sessions: of those, the ones used by two users or two anonymous ids.
        long_sessions: of those, the ones whose events span more than a day.
    """

    links: int
    linked_anonymous: int
    linked_users: int
    shared_anonymous: int
    most_users: int
    most_anonymous: int
    session_ids: int
    sampled: float
    shared_sessions: int
    long_sessions: int


class IdentityMeasure:
    """Adds up pieces; 28 bytes for each link, and 56 for each of at most `most` session ids."""

    def __init__(self, *, most: int = MOST_KEYS) -> None:
        self._users, self._visitors = Numbering(), Numbering()
        self._links = KeyTable({}, most=_NO_LIMIT)
        self._sessions = KeyTable(
            {"user": _NOBODY, "visitor": _NOBODY, "shared": 0, "first": _LATEST, "last": _EARLIEST}, most=most
        )

    def add(self, acts: Piece) -> None:
        """Count the acts of a piece."""
        user, visitor = acts.column("user_id"), acts.column("anonymous_id")
        self._add_links(acts, user, visitor)
        self._add_sessions(acts, user, visitor)

    def _add_links(self, acts: Piece, user: pa.Array, visitor: pa.Array) -> None:
        both = _valid(user) & _valid(visitor) & ~_UNLINK[acts.type]
        if both.any():
            users, _, _ = self._users.numbers(pa.chunked_array([user.filter(pa.array(both))]))
            visitors, _, _ = self._visitors.numbers(pa.chunked_array([visitor.filter(pa.array(both))]))
            self._links.rows(distinct((visitors.astype(np.uint64) << _USER_BITS) | users.astype(np.uint64)))

    def _add_sessions(self, acts: Piece, user: pa.Array, visitor: pa.Array) -> None:
        session = acts.column("session_id")
        stated = _valid(session)
        if not stated.any():
            return
        key, place = _hashed(session.filter(pa.array(stated)))
        sampled = self._sessions.sampled(key)
        known = distinct(key[sampled])
        at = np.append(self._sessions.rows(known), 0)[np.searchsorted(known, key)]
        kept = sampled[place]
        rows, row = np.flatnonzero(stated)[kept], at[place[kept]]
        column = self._sessions.column
        np.minimum.at(column["first"], row, acts.time[rows])
        np.maximum.at(column["last"], row, acts.time[rows])
        for name, owner in (("user", user), ("visitor", visitor)):
            owned = np.flatnonzero(_valid(owner)[rows])
            if len(owned):
                who, which = _hashed(owner.take(pa.array(rows[owned])))
                self._own(name, row[owned], who.view(np.int64)[which])
        self._sessions.thin()

    def _own(self, name: str, row: np.ndarray, who: np.ndarray) -> None:
        """Take in that the sessions at `row` [N] belong to `who` [N]; two owners make a session shared."""
        column = self._sessions.column
        unowned = column[name][row] == _NOBODY
        column[name][row[unowned]] = who[unowned]
        column["shared"][row[column[name][row] != who]] = 1

    def result(self) -> Identity:
        """What was found so far."""
        visitor, user = self._links.key >> _USER_BITS, self._links.key & np.uint64((1 << 32) - 1)
        users_each = np.bincount(visitor.astype(np.int64), minlength=1)
        visitors_each = np.bincount(user.astype(np.int64), minlength=1)
        column = self._sessions.column
        sampled = 0.5**self._sessions.level
        return Identity(
            links=len(self._links),
            linked_anonymous=len(self._visitors),
            linked_users=len(self._users),
            shared_anonymous=int((users_each > 1).sum()),
            most_users=int(users_each.max()),
            most_anonymous=int(visitors_each.max()),
            session_ids=round(len(self._sessions) / sampled),
            sampled=sampled,
            shared_sessions=int(column["shared"].sum()),
            long_sessions=int((column["last"] - column["first"] > DAY).sum()),
        )


def _valid(column: pa.Array) -> np.ndarray:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False))


def _hashed(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the distinct texts and, for every row of `column` [N] (no nulls), which one it is."""
    texts, place = coded(column)
    return hashes_of(texts), place
