"""Erasing a shopper from the embedded store, inside the running transaction; the rules: `serving/store/erasure.py`."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict

from recsys.event import EventType
from recsys.log.erase import Named
from recsys.log.erasures import Erasures, Kind, digest_of
from recsys.log.manifest import Erased
from serving.store import notes
from serving.store.erasure import IsErased, Sought
from serving.store.protocol import Forgotten, Note, Place

TABLES = """
CREATE TABLE erased (
    digest TEXT PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, hint INTEGER NOT NULL, length INTEGER NOT NULL,
    receipt TEXT, is_clean INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
ORIGIN = "origin"
"""Name of the note that keeps a store's origin when its first event is erased."""
_WRITE = "INSERT INTO erased (digest, kind, key, hint, length) VALUES (?, ?, ?, ?, ?)"
_RECEIPT = "UPDATE erased SET receipt = ? WHERE digest = ?"
_CLEAN = "UPDATE erased SET is_clean = 1 WHERE digest = ?"
_READ = "SELECT kind, key, digest, hint, length FROM erased ORDER BY kind, digest"
Change = tuple[str, int, str | None]
"""Visitor, instant, user from then on."""
_VISITORS = """
SELECT anonymous_id FROM events WHERE user_id = :user AND anonymous_id IS NOT NULL
UNION SELECT anonymous_id FROM links WHERE user_id = :user
UNION SELECT anonymous_id FROM exposures WHERE user_id = :user AND anonymous_id IS NOT NULL
"""
_USERS_EVENTS = "DELETE FROM events WHERE user_id = ?"
_VISITORS_EVENTS = (
    "DELETE FROM events WHERE anonymous_id = ? AND "
    f"(user_id IS NULL OR type IN ('{EventType.LINK}', '{EventType.UNLINK}'))"
)
_BLANK_EVENTS = "UPDATE events SET anonymous_id = NULL WHERE anonymous_id = ?"
_LINKS = "DELETE FROM links WHERE anonymous_id = ?"
_USERS_SLATES = "DELETE FROM exposures WHERE user_id = ?"
_VISITORS_SLATES = "DELETE FROM exposures WHERE anonymous_id = ? AND user_id IS NULL"
_BLANK_SLATES = "UPDATE exposures SET anonymous_id = NULL WHERE anonymous_id = ?"
_SHELL = "INSERT OR IGNORE INTO events (number, type, occurred_at, quantity) VALUES (?, '', 0, 0)"
_OLD_SHELLS = "DELETE FROM events WHERE event_id IS NULL AND number < (SELECT max(number) FROM events)"


def forget(connection: sqlite3.Connection, shopper: Named, *, at: int) -> tuple[Forgotten, frozenset[str], bool]:
    """The receipt, the ids that no page of the file may hold any more, and whether that was seen to already."""
    before = erasures(connection)
    if before and (known := _receipt(connection, digest_of(before.entries[0].key, shopper.kind, shopper.id))):
        return known[0], frozenset(), known[1]
    sought = Sought.of(shopper, visitors_of(connection, shopper))
    entries = sought.entries(before)
    connection.executemany(_WRITE, [(one.digest, one.kind, one.key, one.hint, one.length) for one in entries])
    key = (before.entries or entries)[0].key
    receipt = _swept(connection, sought, shopper.kind, digest_of(key, shopper.kind, shopper.id), at=at)
    connection.execute(_RECEIPT, (json.dumps(asdict(receipt)), receipt.digest))
    return receipt, sought.users | sought.visitors, False


def _swept(connection: sqlite3.Connection, sought: Sought, kind: Kind, digest: str, *, at: int) -> Forgotten:
    """Take the shopper out of every table; numbers that were given stay given."""
    origin, last = origin_of(connection), last_number(connection)
    if origin is not None:
        notes.write(connection, ORIGIN, Note(value=origin, told_at=at))

    def done(statement: str, ids: frozenset[str]) -> int:
        return sum(connection.execute(statement, (one,)).rowcount for one in ids)

    receipt = Forgotten(
        digest=digest,
        kind=kind,
        at=at,
        visitors=len(sought.visitors) if kind == "user" else 0,
        events=done(_USERS_EVENTS, sought.users) + done(_VISITORS_EVENTS, sought.visitors),
        events_blanked=done(_BLANK_EVENTS, sought.visitors),
        links=done(_LINKS, sought.visitors),
        exposures=done(_USERS_SLATES, sought.users) + done(_VISITORS_SLATES, sought.visitors),
        exposures_blanked=done(_BLANK_SLATES, sought.visitors),
    )
    if last:  # so that the number is not given again
        connection.execute(_SHELL, (last,))
    connection.execute(_OLD_SHELLS)
    return receipt


def cleaned(connection: sqlite3.Connection, digest: str) -> None:
    """Remember that no page of the file holds the ids any more."""
    connection.execute(_CLEAN, (digest,))


def visitors_of(connection: sqlite3.Connection, shopper: Named) -> frozenset[str]:
    """The visitors that belong to a user; of a visitor, themselves."""
    if shopper.kind != "user":
        return frozenset({shopper.id})
    return frozenset(row[0] for row in connection.execute(_VISITORS, {"user": shopper.id}))


def places(forgotten: Forgotten) -> tuple[Place, ...]:
    """Where the tables had something of an erased shopper."""
    return (
        Place("table events", forgotten.events, forgotten.events_blanked),
        Place("table links", forgotten.links),
        Place("table exposures", forgotten.exposures, forgotten.exposures_blanked),
    )


def known(connection: sqlite3.Connection) -> IsErased | None:
    """Who is erased, asked in the running transaction; None where nobody ever was."""
    row = connection.execute("SELECT key FROM erased LIMIT 1").fetchone()
    if row is None:
        return None
    key: str = row[0]
    found: dict[tuple[Kind, str], bool] = {}

    def is_erased(kind: Kind, shopper_id: str | None) -> bool:
        if shopper_id is None:
            return False
        if (kind, shopper_id) not in found:
            digest = digest_of(key, kind, shopper_id)
            row = connection.execute("SELECT 1 FROM erased WHERE digest = ?", (digest,)).fetchone()
            found[kind, shopper_id] = row is not None
        return found[kind, shopper_id]

    return is_erased


def erasures(connection: sqlite3.Connection) -> Erasures:
    """Everybody who was ever erased."""
    rows = connection.execute(_READ).fetchall()
    return Erasures(
        tuple(
            Erased(kind=kind, key=key, digest=digest, hint=hint, length=size) for kind, key, digest, hint, size in rows
        )
    )


def last_number(connection: sqlite3.Connection) -> int:
    """The highest number ever given to an event."""
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM events").fetchone()
    return int(last)


def origin_of(connection: sqlite3.Connection) -> str | None:
    """What tells this store from others."""
    if (note := notes.read(connection, ORIGIN)) is not None:
        return note.value
    row = connection.execute("SELECT event_id FROM events ORDER BY number LIMIT 1").fetchone()
    return None if row is None else digest_of_first(row[0])


def digest_of_first(event_id: str) -> str:
    """The origin of a store whose first event is this."""
    return hashlib.sha256(event_id.encode()).hexdigest()[:12]


def links_of(connection: sqlite3.Connection, user: str | None, visitors: Sequence[str]) -> list[Change]:
    """Every change of who the visitors were; whom else they were is nobody's business."""
    found = []
    for visitor in visitors:
        rows = connection.execute(
            "SELECT linked_at, user_id FROM links WHERE anonymous_id = ? ORDER BY number", (visitor,)
        )
        found += [(visitor, at, who if user in (None, who) else None) for at, who in rows]
    return found


def _receipt(connection: sqlite3.Connection, digest: str) -> tuple[Forgotten, bool] | None:
    row = connection.execute("SELECT receipt, is_clean FROM erased WHERE digest = ?", (digest,)).fetchone()
    if row is None or row[0] is None:
        return None
    return Forgotten(**{**json.loads(row[0]), "remains": ()}), bool(row[1])
