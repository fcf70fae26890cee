"""Whose events may not be learnt from: shoppers who do not agree to training (`recsys/consent.py`) by now.

An event that names a user is learnt from if the user agrees, with all visitors who count for them. One that names a
visitor only, if everybody agrees whose history it may be part of: the visitor, and every user they ever were.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.consent import Rule
from recsys.log.identity import COLUMNS, Identity, changes_told, condensed

if TYPE_CHECKING:
    from recsys.log.reader import EventLog

_IDS = ("user_id", "anonymous_id")
_SAID = [*_IDS, "occurred_at", "consent"]
_MANY = 2_000_000
"""So many rows of links or statements are kept before what they repeat is dropped."""
Latest = dict[str, tuple[int, bool]]
"""Of each id the instant of what was said last, and whether it is a yes."""


@dataclass(frozen=True, slots=True)
class Unwilling:
    """Which rows of a log are left out of all learning.

    Attributes:
        users: ids of users who said something or are linked to visitors who did.
        user_agrees: whether each of them agrees.
        visitors, visitor_agrees: likewise, of rows that name a visitor only.
        default: what counts for everybody else.
    """

    users: pa.Array
    user_agrees: pa.Array
    visitors: pa.Array
    visitor_agrees: pa.Array
    default: bool

    @classmethod
    def of(cls, log: "EventLog", rule: Rule) -> "Unwilling | None":
        """Read from the whole log; None where everybody agrees because nobody ever said anything."""
        default = rule.allows(None)
        anything = any(piece["consent"].null_count < piece.num_rows for piece in log.days(("consent",)))
        if default and not anything:
            return None
        links: list[pa.Table] = []
        users: Latest = {}
        visitors: Latest = {}
        for piece in log.days(tuple(dict.fromkeys([*COLUMNS, *_SAID]))):
            links.append(changes_told(piece))
            if sum(told.num_rows for told in links) > _MANY + links[0].num_rows:
                links = [condensed(links)]
            said = piece.select(_SAID).filter(pc.is_valid(piece["consent"]))
            agrees = [rule.allows(purposes) for purposes in said["consent"].to_pylist()]
            instants = pc.cast(said["occurred_at"], pa.int64()).to_pylist()
            for latest, name in ((users, "user_id"), (visitors, "anonymous_id")):
                _hear(latest, zip(said[name].to_pylist(), instants, agrees, strict=True))
        agree = _merged(users, visitors, Identity.of(links), default=default)
        return cls(*_columns(agree[0]), *_columns(agree[1]), default)

    def agree(self, piece: pa.Table) -> pa.Array:
        """Whether each row of a piece, with `user_id` and `anonymous_id`, may be learnt from [N] bool."""
        by_user = _looked_up(piece["user_id"], self.users, self.user_agrees, self.default)
        by_visitor = _looked_up(piece["anonymous_id"], self.visitors, self.visitor_agrees, self.default)
        return pc.if_else(pc.is_valid(piece["user_id"]), by_user, by_visitor)


def _hear(latest: Latest, said: Iterable[tuple[str | None, int, bool]]) -> None:
    for who, at, agrees in said:
        if who is None:
            continue
        held = latest.get(who)
        if held is None or at > held[0]:
            latest[who] = (at, agrees)
        elif at == held[0] and not agrees:
            latest[who] = (at, False)


def _merged(
    users: Latest, visitors: Latest, identity: Identity, *, default: bool
) -> tuple[dict[str, bool], dict[str, bool]]:
    """Whether users agree, and for whom else each visitor's rows count; only where anybody said anything."""
    user_agrees = {user: agrees for user, (_, agrees) in users.items()}
    ever: dict[str, set[str]] = {}
    own = {visitor: agrees for visitor, (_, agrees) in visitors.items()}
    for place, visitor in enumerate(identity.visitor.to_pylist()):
        changes = slice(int(identity.start[place]), int(identity.start[place + 1]))
        times, who = identity.time[changes].tolist(), identity.user[changes].to_pylist()
        ever[visitor] = {user for user in who if user is not None}
        if visitor not in visitors:
            continue
        at, agrees = visitors[visitor]
        for user in ever[visitor]:
            last = max(number for number, one in enumerate(who) if one == user)
            is_anothers = last + 1 < len(times) and at >= times[last + 1]
            is_settled = user in users and users[user][0] > max(at, times[last])
            if not is_anothers and not is_settled:
                user_agrees[user] = user_agrees.get(user, True) and agrees
            if is_settled and who == [user]:
                own.pop(visitor)  # they were never anybody else, and spoke for themselves since
    for visitor, linked in ever.items():
        if any(user in user_agrees for user in linked):
            own[visitor] = all(user_agrees.get(user, default) for user in linked) and own.get(visitor, True)
    return user_agrees, own


def _columns(agrees: dict[str, bool]) -> tuple[pa.Array, pa.Array]:
    return pa.array(list(agrees), pa.string()), pa.array(list(agrees.values()), pa.bool_())


def _looked_up(ids: pa.ChunkedArray, known: pa.Array, agrees: pa.Array, default: bool) -> pa.Array:
    place = pc.index_in(ids, known).combine_chunks()
    return pc.fill_null(agrees.take(place), default) if len(known) else pa.array(np.full(len(ids), default))
