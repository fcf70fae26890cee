"""What of a store is exported: records numbered in the order in which they became durable, and how they become rows."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import pyarrow as pa

from recsys.event import Event, events_table
from recsys.log.exposures import EXPOSURE_SCHEMA
from serving.store.protocol import Exposure, OnlineStore

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


class ExposureFeed:
    """The slates of a store."""

    kind = "exposures"
    one = "slate"
    key = "recommendation_id"

    def __init__(self, store: OnlineStore) -> None:
        self._store = store

    async def after(self, number: int, *, limit: int) -> list[tuple[int, Exposure]]:
        """The next slates."""
        return [(one.number, one.exposure) for one in await self._store.shown(after=number, limit=limit)]

    async def last(self) -> int:
        """The highest number ever given to a slate."""
        return await self._store.last_shown()

    def id_of(self, record: Exposure) -> str:
        """The recommendation's id."""
        return record.recommendation_id

    def table(self, records: Sequence[Exposure]) -> pa.Table:
        """By `recsys.log.exposures.EXPOSURE_SCHEMA`."""
        columns = {
            **{name: [getattr(one, name) for one in records] for name in EXPOSURE_SCHEMA.names if name not in _MADE},
            "shown_at": [one.at for one in records],
            "items": [[item._asdict() for item in one.items] for one in records],
        }
        return pa.table(
            [pa.array(columns[field.name], field.type) for field in EXPOSURE_SCHEMA], schema=EXPOSURE_SCHEMA
        )


_MADE = ("shown_at", "items")
