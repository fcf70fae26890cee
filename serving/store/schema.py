"""The tables of the embedded store and the statements on them; the version lives in `PRAGMA user_version`."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from recsys.errors import StoreError
from recsys.event import Event, EventType
from serving.store.protocol import ExposedItem, Exposure

VERSION = 1

_TABLES = """
CREATE TABLE events (
    event_id TEXT PRIMARY KEY, type TEXT NOT NULL, occurred_at INTEGER NOT NULL,
    user_id TEXT, anonymous_id TEXT, session_id TEXT, channel TEXT, device TEXT, store TEXT, item_id TEXT,
    quantity REAL NOT NULL, price REAL, list_price REAL, currency TEXT, query TEXT, placement TEXT,
    recommendation_id TEXT, position INTEGER, consent TEXT
);
CREATE INDEX events_by_user ON events (user_id, occurred_at, event_id) WHERE user_id IS NOT NULL;
CREATE INDEX events_by_anonymous ON events (anonymous_id, occurred_at, event_id) WHERE anonymous_id IS NOT NULL;
CREATE TABLE links (
    user_id TEXT NOT NULL, anonymous_id TEXT NOT NULL, PRIMARY KEY (user_id, anonymous_id)
) WITHOUT ROWID;
CREATE TABLE exposures (
    recommendation_id TEXT PRIMARY KEY, at INTEGER NOT NULL, placement TEXT NOT NULL, policy TEXT NOT NULL,
    model_version TEXT NOT NULL, knowledge TEXT NOT NULL, user_id TEXT, anonymous_id TEXT, session_id TEXT,
    device TEXT, channel TEXT, store TEXT, degraded TEXT, items TEXT NOT NULL
);
CREATE INDEX exposures_by_time ON exposures (at);
"""

_COLUMNS = (
    "event_id, type, occurred_at, user_id, anonymous_id, session_id, channel, device, store, item_id, quantity, price, "
    "list_price, currency, query, placement, recommendation_id, position, consent"
)
_INSERT = f"INSERT INTO events ({_COLUMNS}) VALUES ({', '.join('?' * 19)}) ON CONFLICT (event_id) DO NOTHING"
_LINK = "INSERT INTO links (user_id, anonymous_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_EXPOSED = tuple(field.name for field in fields(ExposedItem))
_EXPOSE = f"INSERT INTO exposures VALUES ({', '.join('?' * 14)}) ON CONFLICT (recommendation_id) DO NOTHING"

_LATEST = f"SELECT {_COLUMNS} FROM events WHERE {{}} ORDER BY occurred_at DESC, event_id DESC LIMIT ?"
_OF_USER = _LATEST.format("user_id = ?")
_OF_ANONYMOUS = _LATEST.format("anonymous_id = ?")
_OF_LINKED = _LATEST.format("anonymous_id = ? AND user_id IS NULL")
_TYPES = {str(event_type): event_type for event_type in EventType}
_LINKS = "SELECT anonymous_id FROM links WHERE user_id = ? ORDER BY anonymous_id LIMIT 100"


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty file; a file of another version raises StoreError."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise StoreError(
                f"it has schema version {version}, this program reads version {VERSION}; "
                "use the program that wrote it or choose another store.path"
            )
        if version == 0:
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def insert(connection: sqlite3.Connection, events: Sequence[Event]) -> list[bool]:
    """Insert inside the running transaction; True where the event id was new."""
    accepted = []
    for event in events:
        consent = None if event.consent is None else json.dumps(event.consent)
        cursor = connection.execute(
            _INSERT,
            (
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
                consent,
            ),
        )
        accepted.append(cursor.rowcount == 1)
        if event.user_id is not None and event.anonymous_id is not None:
            connection.execute(_LINK, (event.user_id, event.anonymous_id))
    return accepted


def latest(connection: sqlite3.Connection, *, user_id: str | None, anonymous_id: str | None, limit: int) -> list[Event]:
    """The shopper's `limit` latest events, oldest first."""
    rows: list[tuple[Any, ...]] = []
    if user_id is not None:
        rows += connection.execute(_OF_USER, (user_id, limit))
        linked = {row[0] for row in connection.execute(_LINKS, (user_id,))} | {anonymous_id}
        for other in linked - {None}:
            rows += connection.execute(_OF_LINKED, (other, limit))
    elif anonymous_id is not None:
        rows += connection.execute(_OF_ANONYMOUS, (anonymous_id, limit))
    rows.sort(key=_moment_then_id)
    return [_event(row) for row in rows[-limit:]]


def expose(connection: sqlite3.Connection, exposures: Sequence[Exposure]) -> None:
    """Insert slates inside the running transaction; one that is known already stays as it was."""
    connection.executemany(
        _EXPOSE,
        [
            (
                exposure.recommendation_id,
                exposure.at,
                exposure.placement,
                exposure.policy,
                exposure.model_version,
                exposure.knowledge,
                exposure.user_id,
                exposure.anonymous_id,
                exposure.session_id,
                exposure.device,
                exposure.channel,
                exposure.store,
                exposure.degraded,
                json.dumps([{name: getattr(item, name) for name in _EXPOSED} for item in exposure.items]),
            )
            for exposure in exposures
        ],
    )


def exposed(connection: sqlite3.Connection, recommendation_id: str) -> Exposure | None:
    """One slate by its id."""
    row = connection.execute("SELECT * FROM exposures WHERE recommendation_id = ?", (recommendation_id,)).fetchone()
    if row is None:
        return None
    return Exposure(
        recommendation_id=row[0],
        at=row[1],
        placement=row[2],
        policy=row[3],
        model_version=row[4],
        knowledge=row[5],
        user_id=row[6],
        anonymous_id=row[7],
        session_id=row[8],
        device=row[9],
        channel=row[10],
        store=row[11],
        degraded=row[12],
        items=tuple(ExposedItem(**item) for item in json.loads(row[13])),
    )


def _moment_then_id(row: tuple[Any, ...]) -> tuple[int, str]:
    return row[2], row[0]


def _event(row: tuple[Any, ...]) -> Event:
    return Event(
        event_id=row[0],
        type=_TYPES[row[1]],
        occurred_at=row[2],
        user_id=row[3],
        anonymous_id=row[4],
        session_id=row[5],
        channel=row[6],
        device=row[7],
        store=row[8],
        item_id=row[9],
        quantity=row[10],
        price=row[11],
        list_price=row[12],
        currency=row[13],
        query=row[14],
        placement=row[15],
        recommendation_id=row[16],
        position=row[17],
        consent=None if row[18] is None else tuple(json.loads(row[18])),
    )
