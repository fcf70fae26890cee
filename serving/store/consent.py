"""What shoppers of the embedded store agreed to, read from their events; the rules: `recsys/consent.py`."""

import json
import sqlite3
from collections.abc import Iterable

from recsys.consent import Statement

INDEXES = """
CREATE INDEX consents_by_user ON events (user_id, occurred_at) WHERE user_id IS NOT NULL AND consent IS NOT NULL;
CREATE INDEX consents_by_visitor ON events (anonymous_id, occurred_at)
    WHERE anonymous_id IS NOT NULL AND consent IS NOT NULL;
"""
_LATEST = """
SELECT occurred_at, consent FROM events INDEXED BY {1} WHERE {0} = ?1 AND consent IS NOT NULL AND occurred_at = (
    SELECT max(occurred_at) FROM events INDEXED BY {1} WHERE {0} = ?1 AND consent IS NOT NULL
)
"""
_OF_USER = _LATEST.format("user_id", "consents_by_user")
"""SQLite alone would go through the whole history of whoever never said anything."""
_OF_VISITOR = _LATEST.format("anonymous_id", "consents_by_visitor")


def of_user(connection: sqlite3.Connection, user: str) -> Statement | None:
    """What a user said last."""
    return statement_of((at, json.loads(said)) for at, said in connection.execute(_OF_USER, (user,)))


def of_visitor(connection: sqlite3.Connection, visitor: str) -> Statement | None:
    """What a visitor said last, whoever they were."""
    return statement_of((at, json.loads(said)) for at, said in connection.execute(_OF_VISITOR, (visitor,)))


def statement_of(said: Iterable[tuple[int, Iterable[str]]]) -> Statement | None:
    """One statement of all that was said at one instant; None of nothing."""
    rows = list(said)
    if not rows:
        return None
    return Statement(rows[0][0], frozenset.intersection(*(frozenset(purposes) for _, purposes in rows)))
