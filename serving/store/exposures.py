"""Slates in the embedded store, numbered in the order in which they were recorded.

`AUTOINCREMENT` sees to it that no number is ever given again, whatever is erased
(https://sqlite.org/autoinc.html): whoever has exported up to a number has everything up to it.
"""

import json
import sqlite3
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii as _text
from math import isfinite
from typing import Any

from serving.store import erasing
from serving.store.erasure import unnamed
from serving.store.protocol import ExposedItem, Exposure, Shown

TABLES = """
CREATE TABLE exposures (
    number INTEGER PRIMARY KEY AUTOINCREMENT, recommendation_id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
    placement TEXT NOT NULL, policy TEXT NOT NULL, model_version TEXT NOT NULL, knowledge TEXT NOT NULL, user_id TEXT,
    anonymous_id TEXT, session_id TEXT, device TEXT, channel TEXT, store TEXT, degraded TEXT, items TEXT NOT NULL,
    rung TEXT, candidates TEXT, experiments TEXT
);
CREATE INDEX exposures_by_time ON exposures (at);
CREATE INDEX exposures_by_user ON exposures (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX exposures_by_visitor ON exposures (anonymous_id, at) WHERE anonymous_id IS NOT NULL;
"""
_BEFORE = (
    "recommendation_id, at, placement, policy, model_version, knowledge, user_id, anonymous_id, session_id, device, "
    "channel, store, degraded, items"
)
_COLUMNS = f"{_BEFORE}, rung, candidates, experiments"
_ANEW = (
    "ALTER TABLE exposures RENAME TO exposures_4",
    *(f"DROP INDEX IF EXISTS exposures_{by}" for by in ("by_time", "by_user", "by_visitor")),
    *(statement for statement in TABLES.split(";") if statement.strip()),
    f"INSERT INTO exposures ({_BEFORE}) SELECT {_BEFORE} FROM exposures_4 ORDER BY at, recommendation_id",
    "DROP TABLE exposures_4",
)
_WRITE = (
    f"INSERT INTO exposures ({_COLUMNS}) VALUES ({', '.join('?' for _ in _COLUMNS.split(','))}) "
    "ON CONFLICT (recommendation_id) DO NOTHING"
)
_READ = f"SELECT {_COLUMNS} FROM exposures WHERE recommendation_id = ?"
_NEXT = f"SELECT {_COLUMNS}, number FROM exposures WHERE number > ? ORDER BY number LIMIT ?"
_LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'exposures'"
_ITEM = '{{"item_id": {}, "position": {}, "propensity": {}, "score": {}, "source": {}}}'.format


def number_them(connection: sqlite3.Connection) -> None:
    """Before version 5 slates had no numbers, and nobody wrote down rung, candidates and experiments."""
    for statement in _ANEW:
        connection.execute(statement)


def write(connection: sqlite3.Connection, exposures: Sequence[Exposure]) -> None:
    """Insert slates inside the running transaction; one that is known already stays as it was."""
    is_erased = erasing.known(connection)
    kept = exposures if is_erased is None else [unnamed(exposure, is_erased) for exposure in exposures]
    connection.executemany(_WRITE, map(_row, kept))


def read(connection: sqlite3.Connection, recommendation_id: str) -> Exposure | None:
    """One slate by its id."""
    row = connection.execute(_READ, (recommendation_id,)).fetchone()
    return None if row is None else _exposure(row)


def since(connection: sqlite3.Connection, *, after: int, limit: int) -> list[Shown]:
    """The `limit` next slates after a number."""
    return [Shown(int(row[-1]), _exposure(row[:-1])) for row in connection.execute(_NEXT, (after, limit))]


def last_number(connection: sqlite3.Connection) -> int:
    """The highest number ever given to a slate."""
    (last,) = connection.execute(_LAST).fetchone()
    return int(last)


def _row(exposure: Exposure) -> tuple[Any, ...]:
    return (
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
        _text_of(exposure.items),
        exposure.rung,
        exposure.candidates,
        json.dumps(exposure.experiments) if exposure.experiments else None,
    )


def _text_of(items: Sequence[ExposedItem]) -> str:
    """As `json.dumps` writes a list of objects, in half the time."""
    texts = [
        _ITEM(_text(item_id), position, _number(propensity), _number(score), _text(source))
        for item_id, position, propensity, score, source in items
    ]
    return f"[{', '.join(texts)}]"


def _number(value: float) -> str:
    return float.__repr__(value) if isfinite(value) and isinstance(value, float) else json.dumps(value)


def _exposure(row: tuple[Any, ...]) -> Exposure:
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
        rung=row[14],
        candidates=row[15],
        experiments=() if row[16] is None else tuple((name, arm) for name, arm in json.loads(row[16])),
    )
