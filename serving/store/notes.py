"""Short notes that everybody at one store reads: which release is wanted, how the registry is. The latest counts."""

import sqlite3

from serving.store.protocol import Note

TABLES = """
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL, told_at INTEGER NOT NULL) WITHOUT ROWID;
"""
_WRITE = """
INSERT INTO notes VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, told_at = excluded.told_at
"""


def write(connection: sqlite3.Connection, name: str, note: Note) -> None:
    """Write inside the running transaction."""
    connection.execute(_WRITE, (name, note.value, note.told_at))


def read(connection: sqlite3.Connection, name: str) -> Note | None:
    """The note of that name, if there is one."""
    row = connection.execute("SELECT value, told_at FROM notes WHERE name = ?", (name,)).fetchone()
    return None if row is None else Note(value=row[0], told_at=row[1])
