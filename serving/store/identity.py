"""Who a visitor was and whose their events are, online: the rules of `recsys/log/identity.py`, one visitor at a time.

The table `links` holds every change of who a visitor is, numbered in order of time. An event that arrives in order adds
at most one; one that arrives late has the visitor's changes told again from all events with both ids.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from recsys.event import Event, EventType
from recsys.log.identity import becomes_of

_TOLD = """
SELECT occurred_at, user_id, type = ? FROM events WHERE anonymous_id = ? AND user_id IS NOT NULL
ORDER BY occurred_at, user_id, event_id
"""
_LATER = """
SELECT 1 FROM events WHERE anonymous_id = ? AND user_id IS NOT NULL AND occurred_at >= ? AND event_id <> ? LIMIT 1
"""
_CHANGES = "SELECT number, linked_at, user_id FROM links WHERE anonymous_id = ? ORDER BY number"
_LAST = _CHANGES + " DESC LIMIT 1"
_CHANGE = "INSERT INTO links (anonymous_id, number, linked_at, user_id) VALUES (?, ?, ?, ?)"
_FORGET = "DELETE FROM links WHERE anonymous_id = ?"
_VISITORS = """
SELECT anonymous_id FROM links WHERE user_id = ? AND linked_at < ? GROUP BY anonymous_id ORDER BY max(linked_at) DESC
LIMIT 100
"""
LONG_AGO = -(2**63)
FAR_OFF = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Change:
    """From `at` on (microseconds UTC) a visitor is `user`; None is nobody."""

    at: int
    user: str | None


Span = tuple[int, int]
"""Instants [first, last) of events that carry only the visitor's id."""


def told(connection: sqlite3.Connection, events: Iterable[Event]) -> None:
    """Take in what events with both ids, stored in the running transaction, say about links."""
    late: dict[str, None] = {}
    for event in events:
        if event.user_id is None or event.anonymous_id is None:
            continue
        seen = (event.anonymous_id, event.occurred_at, event.event_id)
        if event.anonymous_id in late or connection.execute(_LATER, seen).fetchone():
            late[event.anonymous_id] = None
            continue
        number, _, current = connection.execute(_LAST, (event.anonymous_id,)).fetchone() or (-1, None, None)
        becomes = becomes_of(current, event.user_id, ends=event.type is EventType.UNLINK)
        if becomes != current:
            connection.execute(_CHANGE, (event.anonymous_id, number + 1, event.occurred_at, becomes))
    for visitor in late:
        tell_again(connection, visitor)


def tell_again(connection: sqlite3.Connection, visitor: str, *, before: Iterable[str] = ()) -> None:
    """Work out a visitor's changes from all stored events; the users `before` were linked before any of them."""
    rows = [(LONG_AGO, user, False) for user in before]
    rows += connection.execute(_TOLD, (EventType.UNLINK.value, visitor)).fetchall()
    changes: list[Change] = []
    for at, user, ends in rows:
        current = changes[-1].user if changes else None
        becomes = becomes_of(current, user, ends=bool(ends))
        if becomes != current:
            changes.append(Change(at, becomes))
    connection.execute(_FORGET, (visitor,))
    numbered = ((visitor, number, change.at, change.user) for number, change in enumerate(changes))
    connection.executemany(_CHANGE, numbered)


def changes_of(connection: sqlite3.Connection, visitor: str, *, before: int) -> list[Change]:
    """A visitor's changes strictly before an instant, in order."""
    rows = connection.execute(_CHANGES, (visitor,))
    return [Change(at, user) for _, at, user in rows if at < before]


def visitors_of(connection: sqlite3.Connection, user: str, *, before: int) -> list[str]:
    """The visitors who were ever linked to a user before an instant, the hundred latest."""
    return [row[0] for row in connection.execute(_VISITORS, (user, before))]


def spans_of_user(changes: Sequence[Change], user: str, *, signing_in: bool = False) -> list[Span]:
    """Which of a visitor's events are part of a user's history, given all changes known.

    `signing_in` says that the question itself carries both ids: what the visitor did as nobody is adopted by it.
    """
    spans: list[Span] = []
    for number, change in enumerate(changes):
        ends = changes[number + 1] if number + 1 < len(changes) else None
        if change.user != user:
            continue
        since = changes[number - 1].at if number else LONG_AGO
        nobody_before = number == 0 or changes[number - 1].user is None
        given_back = ends is not None and ends.user is None
        if nobody_before and not given_back:
            spans.append((since, change.at))
        spans.append((change.at, ends.at if ends else FAR_OFF))
    if signing_in and (not changes or changes[-1].user is None):
        spans.append((changes[-1].at if changes else LONG_AGO, FAR_OFF))
    return joined(spans)


def last_link(changes: Sequence[Change], user: str, *, is_asking: bool) -> Span:
    """When a visitor's last link to a user began and ended. One who asks together with the user and is not theirs is
    linked by the question itself, later than anything that was said."""
    if is_asking and not (changes and changes[-1].user == user):
        return FAR_OFF, FAR_OFF
    last = max((number for number, change in enumerate(changes) if change.user == user), default=None)
    if last is None:
        return LONG_AGO, LONG_AGO
    return changes[last].at, changes[last + 1].at if last + 1 < len(changes) else FAR_OFF


def spans_of_visitor(changes: Sequence[Change]) -> list[Span]:
    """Which of a visitor's events are their own: those from when they were nobody, which nobody adopted for good."""
    borders = [Change(LONG_AGO, None), *changes, Change(FAR_OFF, None)]
    own = []
    for number, (a, b) in enumerate(pairwise(borders)):
        adopted = number < len(changes) and not (number + 1 < len(changes) and changes[number + 1].user is None)
        if a.user is None and not adopted:
            own.append((a.at, b.at))
    return joined(own)


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same instants in as few spans as possible, in order."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first < last:
            found.append((first, last))
    return found
