"""No trace of what was deleted: not in free pages, not in the gaps of pages, not in the log beside the file.

`PRAGMA secure_delete` overwrites deleted rows with zeros, but a page that was split long ago may still hold copies of
rows in the gap between its cells, and the write-ahead log holds pages as they were. So the log is written back and cut
to nothing, the file is searched for the ids, and only if one is found anywhere it is written anew (`VACUUM`): numbers
of events stay, other writers wait meanwhile, some seconds per gigabyte (https://sqlite.org/lang_vacuum.html).
What the disk itself keeps of blocks that were freed is beyond the reach of any program.
"""

import mmap
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path


def scrub(path: Path, ids: Collection[str], *, wait_s: float) -> None:
    """See to it that neither the store in `path` nor its log holds any of the `ids`; without ids, whoever they were.

    Raises:
        sqlite3.Error, OSError: it could not be done within `wait_s`, because others read or wrote; try again.
    """
    with closing(sqlite3.connect(path, timeout=wait_s, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        _write_back(connection)
        if not ids or _holds(path, ids):
            connection.execute("VACUUM")
            _write_back(connection)


def _write_back(connection: sqlite3.Connection) -> None:
    """Cut the log to nothing; waits for readers and writers."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("the log could not be written back because others were reading; try again")


def _holds(path: Path, ids: Collection[str]) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(one.encode()) >= 0 for one in ids)
