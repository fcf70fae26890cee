"""What was said of items since the bundle, in the embedded store: the latest of each item, numbered as it came.

Every change takes the next revision of the whole table, so whoever remembers the last one it read asks for what came
after it, and whoever starts anew reads everything once. Patches are merged where they are stored, inside the
transaction: two of them from two replicas cannot undo each other.
"""

import json
import sqlite3
from collections.abc import Sequence

from serving.store.item import ItemChange, ItemOutcome, StoredItem, Written

TABLES = """
CREATE TABLE items (
    item_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, changed_at INTEGER NOT NULL, written TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX items_by_revision ON items (revision);
"""
_WRITE = """
INSERT INTO items VALUES (?, ?, ?, ?, ?) ON CONFLICT (item_id) DO UPDATE SET
    revision = excluded.revision, changed_at = excluded.changed_at, written = excluded.written, body = excluded.body
"""
_NEXT = "SELECT coalesce(max(revision), 0) + 1 FROM items"
_ONE = "SELECT written, body FROM items WHERE item_id = ?"
_SINCE = "SELECT item_id, revision, written, body FROM items WHERE revision > ? ORDER BY revision LIMIT ?"


def write(connection: sqlite3.Connection, changes: Sequence[ItemChange], *, at: int) -> list[ItemOutcome]:
    """Write inside the running transaction, in order; what came of each."""
    (revision,) = connection.execute(_NEXT).fetchone()
    outcomes = []
    for change in changes:
        row = connection.execute(_ONE, (change.item_id,)).fetchone()
        outcome, stored = change.applied(None if row is None else (Written(row[0]), json.loads(row[1])))
        if stored is not None:
            written, body = stored
            connection.execute(_WRITE, (change.item_id, revision, at, written.value, json.dumps(body)))
            revision += 1
        outcomes.append(outcome)
    return outcomes


def since(connection: sqlite3.Connection, revision: int, *, limit: int) -> list[StoredItem]:
    """The `limit` items that changed first after a revision, in the order of their last change."""
    rows = connection.execute(_SINCE, (revision, limit)).fetchall()
    return [StoredItem(row[0], row[1], Written(row[2]), json.loads(row[3])) for row in rows]
