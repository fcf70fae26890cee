"""Copies of the embedded store: made while it is written to, and put back into a new place."""

import os
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path

from recsys.errors import StoreError
from recsys.log.disk import sync
from serving.store.schema import VERSION

_BESIDE = ("", "-wal", "-shm")
"""What SQLite keeps of a database: the file and, while it is open, two more."""


def copy(source: Path, target: Path) -> int:
    """Write the store in `source`, as it is at one instant, into the new file `target`; how many events are in it.

    Everything acknowledged before is in the copy, and every row keeps its number, so what was exported stays exported.
    Writers and readers of `source` are not disturbed: in WAL mode a copy reads one snapshot beside them
    (https://sqlite.org/backup.html). The copy is checked and on the disk before it gets its name; whoever kills this
    leaves at most a file whose name begins with `.partial-`.

    Raises:
        StoreError: `source` is no event store, or damaged, or of a later version; `target` exists or cannot be written.
    """
    for name in _BESIDE:
        if Path(f"{target}{name}").exists():
            raise _taken(f"{target}{name}")
    partial = target.with_name(f".partial-{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        events = _copied(source, partial)
        sync(partial)
        _name(partial, target)
        sync(target.parent)
    except sqlite3.Error as error:
        raise StoreError(f"{source} cannot be copied to {target}: {error}; is it an event store?") from error
    except OSError as error:
        if target.exists():
            raise _taken(str(target)) from error
        reason = error.strerror or error
        raise StoreError(f"{target} cannot be written ({reason}); name a file in a folder that can be") from error
    finally:
        with suppress(OSError):
            for name in _BESIDE:
                Path(f"{partial}{name}").unlink(missing_ok=True)
    return events


def _copied(source: Path, partial: Path) -> int:
    if not source.is_file():
        raise StoreError(f"there is no event store in {source}; name the file of one")
    reading = f"{source.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(reading, uri=True)) as read, closing(sqlite3.connect(partial)) as written:
        (version,) = read.execute("PRAGMA user_version").fetchone()
        if not 1 <= version <= VERSION:
            raise StoreError(
                f"{source} has schema version {version}, this program reads versions 1 to {VERSION}; "
                "name an event store, or use the program that wrote it"
            )
        read.backup(written)
        written.execute("PRAGMA journal_mode = DELETE")  # one file, whole in itself
        verdict = [row[0] for row in written.execute("PRAGMA quick_check(1)")]
        if verdict != ["ok"]:
            raise StoreError(f"{source} is damaged ({verdict[0]}); use an earlier copy")
        (events,) = written.execute("SELECT count(event_id) FROM events").fetchone()
    return int(events)


def _name(partial: Path, target: Path) -> None:
    """Unlike a rename a link never replaces what somebody else put there meanwhile; not all file systems have them."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:
        partial.rename(target)


def _taken(name: str) -> StoreError:
    return StoreError(f"{name} exists already and is not overwritten; name a new file or move it away")
