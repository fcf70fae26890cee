"""What of a store is exported: records numbered in the order in which they became durable, and how they become rows."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import pyarrow as pa

from recsys.event import Event, events_table
from serving.store.protocol import OnlineStore

Record = TypeVar("Record")


class Feed(Protocol[Record]):
    """One kind of record of a store."""

    kind: str
    """How its files are named."""
    one: str
    """What a single one is called."""
    key: str
    """The column that tells records apart."""

    async def after(self, number: int, *, limit: int) -> Sequence[tuple[int, Record]]:
        """The next `limit` records after a number, each with its own; numbers only grow and are never given again."""
        ...

    async def last(self) -> int:
        """The highest number ever given; 0 before the first."""
        ...

    def id_of(self, record: Record) -> str:
        """What tells it apart."""
        ...

    def table(self, records: Sequence[Record]) -> pa.Table:
        """Records as rows, in their order."""
        ...


class EventFeed:
    """The events of a store."""

    kind = "events"
    one = "event"
    key = "event_id"

    def __init__(self, store: OnlineStore) -> None:
        self._store = store

    async def after(self, number: int, *, limit: int) -> list[tuple[int, Event]]:
        """The next events."""
        return [(one.number, one.event) for one in await self._store.arrived(after=number, limit=limit)]

    async def last(self) -> int:
        """The highest number ever given to an event."""
        return await self._store.last_number()

    def id_of(self, record: Event) -> str:
        """The event's id."""
        return record.event_id

    def table(self, records: Sequence[Event]) -> pa.Table:
        """By `recsys.event.EVENT_SCHEMA`."""
        return events_table(records)
