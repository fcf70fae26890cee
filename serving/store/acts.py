"""What a shopper did, read from the embedded store: whole events, or the few columns of them that an answer needs."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from recsys.consent import OfVisitor, merged
from recsys.event import ACTS, CODE_OF_NAME, Event, EventColumns
from serving.store import consent, identity
from serving.store.protocol import Known
from serving.store.schema import COLUMNS, event_of

_ACTS = ", ".join(f"'{event_type}'" for event_type in sorted(ACTS))
_LATEST = (
    f"SELECT {{}} FROM events WHERE {{}} AND occurred_at >= ? AND occurred_at < ? AND type IN ({_ACTS}) "
    "ORDER BY occurred_at DESC, event_id DESC LIMIT ?"
)
_OF_USER, _OF_VISITOR = "user_id = ?", "anonymous_id = ? AND user_id IS NULL"
_FEW = "event_id, type, occurred_at, item_id, quantity, price, list_price, channel, device, position, query"
"""What answers need."""


def history(
    connection: sqlite3.Connection, *, user_id: str | None, anonymous_id: str | None, before: int, limit: int
) -> list[Event]:
    """The `limit` latest things that the shopper did before an instant, oldest first."""
    acts = _Acts(COLUMNS, before, limit)
    rows, _ = acts.of(connection, user_id=user_id, anonymous_id=anonymous_id)
    return [event_of(row) for row in rows]


def known(
    connection: sqlite3.Connection, *, user_id: str | None, anonymous_id: str | None, before: int, limit: int
) -> Known:
    """What a history needs of the same, and what the shopper agrees to."""
    rows, agreed = _Acts(_FEW, before, limit).of(connection, user_id=user_id, anonymous_id=anonymous_id)
    if not rows:
        return Known(agreed=agreed)
    _, types, *columns = zip(*rows, strict=True)
    said = EventColumns.told([tuple([CODE_OF_NAME[name] for name in types]), *columns])
    return Known(said, agreed)


@dataclass(frozen=True, slots=True)
class _Acts:
    """Reads `columns` of the `limit` latest things that a shopper did before an instant, the event id, the type and the
    instant among them first."""

    columns: str
    before: int
    limit: int

    def of(
        self, connection: sqlite3.Connection, *, user_id: str | None, anonymous_id: str | None
    ) -> tuple[list[tuple[Any, ...]], frozenset[str] | None]:
        """The rows in order of time and then of event id, and what the shopper agrees to."""
        parts: list[list[tuple[Any, ...]]] = []
        told: list[OfVisitor] = []
        before = self.before
        changes = identity.changes_of(connection, anonymous_id, before=before) if anonymous_id is not None else []
        user = user_id if user_id is not None or not changes else changes[-1].user
        if user is not None:
            parts.append(self._latest(connection, _OF_USER, name=user, span=(identity.LONG_AGO, before)))
            visitors = dict.fromkeys(identity.visitors_of(connection, user, before=before))
            for visitor in visitors if anonymous_id is None else {anonymous_id: None, **visitors}:
                is_asking = visitor == anonymous_id
                linked = changes if is_asking else identity.changes_of(connection, visitor, before=before)
                spans = identity.spans_of_user(linked, user, signing_in=is_asking and user_id is not None)
                parts += self._of_visitor(connection, visitor, spans)
                if (said := consent.of_visitor(connection, visitor)) is not None:
                    told.append(OfVisitor(said, *identity.last_link(linked, user, is_asking=is_asking)))
            agreed = merged(consent.of_user(connection, user), told)
        elif anonymous_id is not None:
            parts += self._of_visitor(connection, anonymous_id, identity.spans_of_visitor(changes))
            agreed = merged(consent.of_visitor(connection, anonymous_id))
        else:
            agreed = None
        return self._in_order([part for part in parts if part]), agreed

    def _of_visitor(
        self, connection: sqlite3.Connection, visitor: str, spans: Sequence[identity.Span]
    ) -> list[list[tuple[Any, ...]]]:
        known = [(first, min(last, self.before)) for first, last in spans]
        return [self._latest(connection, _OF_VISITOR, name=visitor, span=span) for span in known]

    def _latest(
        self, connection: sqlite3.Connection, whose: str, *, name: str, span: identity.Span
    ) -> list[tuple[Any, ...]]:
        return connection.execute(_statement(self.columns, whose), (name, *span, self.limit)).fetchall()

    def _in_order(self, parts: Sequence[list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        if len(parts) == 1:
            return parts[0][::-1]
        return sorted(chain.from_iterable(parts), key=_moment_then_id)[-self.limit :]


@cache
def _statement(columns: str, whose: str) -> str:
    return _LATEST.format(columns, whose)


def _moment_then_id(row: tuple[Any, ...]) -> tuple[int, str]:
    return row[2], row[0]
