"""The tables of the embedded store and the statements on them; the version lives in `PRAGMA user_version`."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from recsys.errors import StoreError
from recsys.event import Event, EventType
from recsys.log.erase import Named
from serving.store import consent, erasing, exposures, identity, items, notes
from serving.store.draft import Draft
from serving.store.erasure import left_of
from serving.store.protocol import Arrival, Held

VERSION = 5

_EVENTS = """
CREATE TABLE events (
    number INTEGER PRIMARY KEY, event_id TEXT UNIQUE, type TEXT NOT NULL, occurred_at INTEGER NOT NULL,
    user_id TEXT, anonymous_id TEXT, session_id TEXT, channel TEXT, device TEXT, store TEXT, item_id TEXT,
    quantity REAL NOT NULL, price REAL, list_price REAL, currency TEXT, query TEXT, placement TEXT,
    recommendation_id TEXT, position INTEGER, consent TEXT, filters TEXT, rating REAL, offer_id TEXT
);
CREATE INDEX events_by_user ON events (user_id, occurred_at, event_id) WHERE user_id IS NOT NULL;
CREATE INDEX events_by_anonymous ON events (anonymous_id, occurred_at, event_id) WHERE anonymous_id IS NOT NULL;
"""
_OF_BOTH = """
CREATE INDEX events_of_both ON events (anonymous_id, occurred_at)
    WHERE anonymous_id IS NOT NULL AND user_id IS NOT NULL;
"""
_LINKS = """
CREATE TABLE links (
    anonymous_id TEXT NOT NULL, number INTEGER NOT NULL, linked_at INTEGER NOT NULL, user_id TEXT,
    PRIMARY KEY (anonymous_id, number)
) WITHOUT ROWID;
CREATE INDEX links_by_user ON links (user_id, linked_at) WHERE user_id IS NOT NULL;
"""
_EXPOSURES_OF = """
CREATE INDEX exposures_by_user ON exposures (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX exposures_by_visitor ON exposures (anonymous_id, at) WHERE anonymous_id IS NOT NULL;
"""
_FROM_1 = """
ALTER TABLE events ADD COLUMN filters TEXT;
ALTER TABLE events ADD COLUMN rating REAL;
ALTER TABLE events ADD COLUMN offer_id TEXT;
ALTER TABLE links RENAME TO links_1;
"""
_LINKED_WITHOUT_EVENT = """
SELECT user_id FROM links_1 WHERE anonymous_id = ? AND NOT EXISTS (
    SELECT 1 FROM events WHERE events.anonymous_id = links_1.anonymous_id AND events.user_id = links_1.user_id
) ORDER BY user_id
"""

_DROP_INDEXES = "; ".join(
    f"DROP INDEX IF EXISTS {name}" for name in ("events_by_user", "events_by_anonymous", "events_of_both")
)

COLUMNS = (
    "event_id, type, occurred_at, user_id, anonymous_id, session_id, channel, device, store, item_id, quantity, price, "
    "list_price, currency, query, placement, recommendation_id, position, consent, filters, rating, offer_id"
)
_PLACES = ", ".join("?" for _ in COLUMNS.split(","))
_INSERT = f"INSERT INTO events ({COLUMNS}) VALUES ({_PLACES}) ON CONFLICT (event_id) DO NOTHING"

_ARRIVED = f"SELECT {COLUMNS}, number FROM events WHERE number > ? AND event_id IS NOT NULL ORDER BY number LIMIT ?"
_THEIRS = "(user_id = ? OR (user_id IS NULL AND anonymous_id IN (SELECT value FROM json_each(?))))"
_ARRIVED_OF = f"SELECT {COLUMNS}, number FROM events WHERE number > ? AND {_THEIRS} ORDER BY number LIMIT ?"
_EXPOSED_TO = f"SELECT recommendation_id FROM exposures WHERE {_THEIRS} ORDER BY at, recommendation_id"
_TYPES = {str(event_type): event_type for event_type in EventType}


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty file or bring an older one up to date; a later version raises StoreError."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in _STEPS and version != VERSION:
            raise StoreError(
                f"it has schema version {version}, this program reads version {VERSION}; "
                "use the program that wrote it or choose another store.path"
            )
        if version != VERSION:
            _STEPS[version](connection)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _create(connection: sqlite3.Connection) -> None:
    _run(connection, _EVENTS + _OF_BOTH + _LINKS + exposures.TABLES + items.TABLES + notes.TABLES)
    _run(connection, erasing.TABLES + consent.INDEXES)


def _from_1(connection: sqlite3.Connection) -> None:
    """Version 1 knew who was linked but not since when, and no filters, ratings and offers."""
    _run(connection, _FROM_1 + _OF_BOTH + _LINKS)
    for (visitor,) in connection.execute("SELECT DISTINCT anonymous_id FROM links_1").fetchall():
        without = [row[0] for row in connection.execute(_LINKED_WITHOUT_EVENT, (visitor,))]
        identity.tell_again(connection, visitor, before=without)
    connection.execute("DROP TABLE links_1")
    _from_2(connection)


def _from_2(connection: sqlite3.Connection) -> None:
    """Version 2 knew nothing of items, and kept no notes."""
    _run(connection, items.TABLES + notes.TABLES)
    _from_3(connection)


def _from_3(connection: sqlite3.Connection) -> None:
    """Version 3 numbered events by the row, which VACUUM may change, and could not tell whose slates are."""
    _run(connection, f"ALTER TABLE events RENAME TO events_3; {_DROP_INDEXES}")
    _run(connection, _EVENTS)
    connection.execute(f"INSERT INTO events (number, {COLUMNS}) SELECT rowid, {COLUMNS} FROM events_3 ORDER BY rowid")
    _run(connection, f"DROP TABLE events_3; {_OF_BOTH} {_EXPOSURES_OF} {erasing.TABLES}")
    _from_4(connection)


def _from_4(connection: sqlite3.Connection) -> None:
    """Version 4 kept what shoppers agreed to and could not look it up, and did not number slates."""
    _run(connection, consent.INDEXES)
    exposures.number_them(connection)


_STEPS = {0: _create, 1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4}
"""How a file of each older version becomes one of this; 0 is an empty file."""


def _run(connection: sqlite3.Connection, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        connection.execute(statement)


def insert(connection: sqlite3.Connection, events: Sequence[Event]) -> list[bool]:
    """Insert inside the running transaction; True where the event id was new and its shopper is not erased."""
    is_erased = erasing.known(connection)
    kept = events if is_erased is None else [left_of(event, is_erased) for event in events]
    accepted = [event is not None and connection.execute(_INSERT, _row(event)).rowcount == 1 for event in kept]
    identity.told(connection, (event for event, new in zip(kept, accepted, strict=True) if event is not None and new))
    return accepted


def _row(event: Event) -> tuple[Any, ...]:
    return (
        event.event_id,
        event.type.value,
        event.occurred_at,
        event.user_id,
        event.anonymous_id,
        event.session_id,
        event.channel,
        event.device,
        event.store,
        event.item_id,
        event.quantity,
        event.price,
        event.list_price,
        event.currency,
        event.query,
        event.placement,
        event.recommendation_id,
        event.position,
        None if event.consent is None else json.dumps(event.consent),
        None if event.filters is None else json.dumps(event.filters),
        event.rating,
        event.offer_id,
    )


def arrived(connection: sqlite3.Connection, *, after: int, limit: int) -> list[Arrival]:
    """The `limit` next events after a row number, in order."""
    return [Arrival(int(row[-1]), event_of(row[:-1])) for row in connection.execute(_ARRIVED, (after, limit))]


def held(connection: sqlite3.Connection, shopper: Named, *, after: int, limit: int) -> Held:
    """What there is of a shopper: a page of events and, with the first one, everything else."""
    visitors = tuple(sorted(erasing.visitors_of(connection, shopper)))
    user = shopper.id if shopper.kind == "user" else None
    theirs = (user, json.dumps(visitors))
    rows = connection.execute(_ARRIVED_OF, (after, *theirs, limit))
    events = tuple(Arrival(int(row[-1]), event_of(row[:-1])) for row in rows)
    if after > 0:
        return Held(visitors, events)
    slates = [exposures.read(connection, row[0]) for row in connection.execute(_EXPOSED_TO, theirs).fetchall()]
    links = tuple(erasing.links_of(connection, user, visitors))
    return Held(visitors, events, tuple(slate for slate in slates if slate is not None), links)


def event_of(row: tuple[Any, ...]) -> Event:
    """The event of a row of `COLUMNS`."""
    return Draft(
        row[0],
        _TYPES[row[1]],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        row[7],
        row[8],
        row[9],
        row[10],
        row[11],
        row[12],
        row[13],
        row[14],
        None if row[19] is None else json.loads(row[19]),
        row[20],
        row[21],
        row[15],
        row[16],
        row[17],
        None if row[18] is None else json.loads(row[18]),
    ).event()
