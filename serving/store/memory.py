"""The store of unit tests and trials: in this process's memory, gone when it is closed.

It is the embedded store's schema in an SQLite database without a file, so it means the same in every respect; nothing
is durable, no other process or replica sees it.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from recsys.errors import StoreError
from recsys.event import Event
from recsys.log.erase import Named
from recsys.log.erasures import Erasures
from serving.store import acts, erasing, items, notes, schema
from serving.store import exposures as slates
from serving.store.identity import FAR_OFF
from serving.store.item import ItemChange, ItemOutcome, StoredItem
from serving.store.protocol import Arrival, Exposure, Forgotten, Held, Known, Note, Place, Shown

Found = TypeVar("Found")


class MemoryStore:
    """An `OnlineStore` in memory; one replica only."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Begin with nothing."""
        if self._connection is None:
            self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            schema.prepare(self._connection)

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """True for each new event, False for a known id."""
        return self._done(lambda connection: schema.insert(connection, events))

    async def history(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> list[Event]:
        """The `limit` latest things that the shopper did, oldest first."""
        until = FAR_OFF if before is None else before
        return self._done(
            lambda connection: acts.history(
                connection, user_id=user_id, anonymous_id=anonymous_id, before=until, limit=limit
            )
        )

    async def known(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> Known:
        """What a history needs of the same, and what the shopper agrees to."""
        until = FAR_OFF if before is None else before
        return self._done(
            lambda connection: acts.known(
                connection, user_id=user_id, anonymous_id=anonymous_id, before=until, limit=limit
            )
        )

    async def arrived(self, *, after: int, limit: int) -> list[Arrival]:
        """The next events after a number."""
        return self._done(lambda connection: schema.arrived(connection, after=after, limit=limit))

    async def last_number(self) -> int:
        """The highest number ever given to an event."""
        return self._done(erasing.last_number)

    async def origin(self) -> str | None:
        """What tells this store from others."""
        return self._done(erasing.origin_of)

    async def forget(self, shopper: Named, *, at: int) -> Forgotten:
        """Erase a shopper; there is no file that could hold them still."""
        return self._done(lambda connection: erasing.forget(connection, shopper, at=at))[0]

    def places(self, forgotten: Forgotten) -> tuple[Place, ...]:
        """The tables."""
        return erasing.places(forgotten)

    async def erasures(self) -> Erasures:
        """Everybody who was ever erased."""
        return self._done(erasing.erasures)

    async def held(self, shopper: Named, *, after: int, limit: int) -> Held:
        """What is known of a shopper."""
        return self._done(lambda connection: schema.held(connection, shopper, after=after, limit=limit))

    async def record_exposures(self, exposures: Sequence[Exposure]) -> None:
        """Keep slates."""
        self._done(lambda connection: slates.write(connection, exposures))

    async def exposure(self, recommendation_id: str) -> Exposure | None:
        """A recorded slate, or None."""
        return self._done(lambda connection: slates.read(connection, recommendation_id))

    async def shown(self, *, after: int, limit: int) -> list[Shown]:
        """The next slates after a number."""
        return self._done(lambda connection: slates.since(connection, after=after, limit=limit))

    async def last_shown(self) -> int:
        """The highest number ever given to a slate."""
        return self._done(slates.last_number)

    async def change_items(self, changes: Sequence[ItemChange], *, at: int) -> list[ItemOutcome]:
        """What came of each change."""
        return self._done(lambda connection: items.write(connection, changes, at=at))

    async def items_since(self, revision: int, *, limit: int) -> list[StoredItem]:
        """The next `limit` items by revision."""
        return self._done(lambda connection: items.since(connection, revision, limit=limit))

    async def write_note(self, name: str, note: Note) -> None:
        """Keep it."""
        self._done(lambda connection: notes.write(connection, name, note))

    async def note(self, name: str) -> Note | None:
        """The latest of that name, or None."""
        return self._done(lambda connection: notes.read(connection, name))

    async def check(self) -> None:
        """Raise StoreError if it is not open."""
        self._done(lambda connection: connection.execute("SELECT 1 FROM events LIMIT 1").fetchone())

    async def close(self) -> None:
        """Forget everything."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _done(self, work: Callable[[sqlite3.Connection], Found]) -> Found:
        """All of it or nothing."""
        if self._connection is None:
            raise StoreError("the event store in memory is not open")
        self._connection.execute("BEGIN")
        try:
            found = work(self._connection)
        except Exception as failure:
            self._connection.execute("ROLLBACK")
            raise StoreError(f"event store in memory: {failure}; send it otherwise") from failure
        self._connection.execute("COMMIT")
        return found
