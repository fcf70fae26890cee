"""The canonical shape of events and items: column names, types and Arrow schemas, all in this one file.

Events (one row is one shopper doing one thing to at most one item; a basket is several rows of one instant):

| column | type | meaning |
|---|---|---|
| event_id | string | unique; the key of de-duplication |
| type | string | one of `EventType` |
| occurred_at | timestamp[us, UTC] | when it happened |
| user_id / anonymous_id | string | the shopper: known, anonymous, or both (which links them, but for `unlink`) |
| session_id | string | the shop's own session key, where there is one |
| channel, device, store | string | where: web, app, shop floor; phone, desktop; which store or market |
| item_id | string | the item, where the event has one |
| quantity | float32 | units; positive |
| price | float64 | what one unit cost the shopper, in `currency` |
| list_price | float64 | what one unit costs without any discount |
| currency | string | ISO 4217 |
| query | string | the search text |
| filters | list<string> | what a search was narrowed or sorted by, "key:value" |
| rating | float32 | what the shopper gave, in the shop's own units |
| offer_id | string | the campaign, coupon or offer that this is about |
| placement, recommendation_id, position | string, string, int32 | which slate it came from and its rank there, from 0 |
| consent | list<string> | purposes the shopper agrees to from now on; null says nothing (`recsys/consent.py`) |

Items (one row is what was known of one item from `valid_from` on, null: ever since; the latest earlier row is the truth
at an instant):

| column | type | meaning |
|---|---|---|
| item_id, title, brand | string | |
| category | list<string> | the path, from the widest to the narrowest |
| price, currency | float64, string | the list price of one unit |
| available | bool | can be bought |
| created_at | timestamp[us, UTC] | when it came into the shop, where the shop says so |
| attributes | map<string, string> | anything else |
| text | string | words that describe it, beyond the title |
| valid_from | timestamp[us, UTC] | when this became known |

Schema version 2. A change adds a version here and a migration in `recsys/log`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 2


class EventType(StrEnum):
    """What a shopper (or the shop, for impressions and offers) did. New types go to the end: codes are stored."""

    VIEW = "view"
    CLICK = "click"
    SEARCH = "search"
    ADD_TO_CART = "add_to_cart"
    REMOVE_FROM_CART = "remove_from_cart"
    PURCHASE = "purchase"
    RETURN = "return"
    IMPRESSION = "impression"
    WISHLIST = "wishlist"
    RATING = "rating"
    OFFER = "offer"
    REDEEM = "redeem"
    LINK = "link"
    UNLINK = "unlink"
    CONSENT = "consent"

    @property
    def code(self) -> int:
        """A stable small integer, from 1; 0 is kept for padding."""
        return _CODES[self]


_CODES = {event_type: number for number, event_type in enumerate(EventType, start=1)}
TYPE_ROWS = _CODES[EventType.UNLINK] + 1
"""Rows of a model's table of event types: the types that came later are part of no history, and released weights have
as many."""
CODE_OF_NAME: dict[str, int] = {event_type.value: number for event_type, number in _CODES.items()}
EVENT_TYPE_OF_CODE = {number: event_type for event_type, number in _CODES.items()}

INTERACTIONS = frozenset(
    {
        EventType.VIEW,
        EventType.CLICK,
        EventType.ADD_TO_CART,
        EventType.PURCHASE,
        EventType.WISHLIST,
        EventType.RATING,
    }
)
"""Event types by which a shopper shows interest in an item."""

ACTS = INTERACTIONS | {EventType.SEARCH, EventType.REMOVE_FROM_CART, EventType.RETURN, EventType.REDEEM}
"""Event types by which a shopper does something; the others are what the shop does, or says who somebody is."""

EVENT_SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("occurred_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("anonymous_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("device", pa.string()),
        pa.field("store", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("quantity", pa.float32()),
        pa.field("price", pa.float64()),
        pa.field("list_price", pa.float64()),
        pa.field("currency", pa.string()),
        pa.field("query", pa.string()),
        pa.field("filters", pa.list_(pa.string())),
        pa.field("rating", pa.float32()),
        pa.field("offer_id", pa.string()),
        pa.field("placement", pa.string()),
        pa.field("recommendation_id", pa.string()),
        pa.field("position", pa.int32()),
        pa.field("consent", pa.list_(pa.string())),
    ],
    metadata={"attune.schema": "event", "attune.schema_version": str(SCHEMA_VERSION)},
)

ITEM_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("category", pa.list_(pa.string()), nullable=False),
        pa.field("brand", pa.string()),
        pa.field("price", pa.float64()),
        pa.field("currency", pa.string()),
        pa.field("available", pa.bool_(), nullable=False),
        pa.field("created_at", pa.timestamp("us", tz="UTC")),
        pa.field("attributes", pa.map_(pa.string(), pa.string())),
        pa.field("text", pa.string()),
        pa.field("valid_from", pa.timestamp("us", tz="UTC")),
    ],
    metadata={"attune.schema": "item", "attune.schema_version": str(SCHEMA_VERSION)},
)

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("raw", pa.string(), nullable=False),
    ],
    metadata={"attune.schema": "quarantine", "attune.schema_version": str(SCHEMA_VERSION)},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event in memory; fields as in `EVENT_SCHEMA`, `occurred_at` in microseconds UTC."""

    event_id: str
    type: EventType
    occurred_at: int
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    channel: str | None = None
    device: str | None = None
    store: str | None = None
    item_id: str | None = None
    quantity: float = 1.0
    price: float | None = None
    list_price: float | None = None
    currency: str | None = None
    query: str | None = None
    filters: tuple[str, ...] | None = None
    rating: float | None = None
    offer_id: str | None = None
    placement: str | None = None
    recommendation_id: str | None = None
    position: int | None = None
    consent: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventColumns:
    """What a history needs of E events, column by column, in order of `occurred_at` and then of event id.

    Fields as in `EVENT_SCHEMA`, but `type` is `EventType.code` and `occurred_at` microseconds UTC. A column that says
    nothing of any event, or of every one a quantity of 1, is None.
    """

    type: Sequence[int] = ()
    occurred_at: Sequence[int] = ()
    item_id: Sequence[str | None] | None = None
    quantity: Sequence[float] | None = None
    price: Sequence[float | None] | None = None
    list_price: Sequence[float | None] | None = None
    channel: Sequence[str | None] | None = None
    device: Sequence[str | None] | None = None
    position: Sequence[int | None] | None = None
    query: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.occurred_at)

    @classmethod
    def of(cls, events: Iterable[Event]) -> "EventColumns":
        """Of events in any order."""
        ordered = sorted(events, key=lambda event: (event.occurred_at, event.event_id))
        rest = [tuple([getattr(event, name) for event in ordered]) for name in _REST]
        return cls.told([tuple([_CODES[event.type] for event in ordered]), *rest])

    @classmethod
    def told(cls, columns: Iterable[tuple[Any, ...]]) -> "EventColumns":
        """Of all columns [E] in the order of the fields, a quantity that nobody gave being None: those that say nothing
        are left out."""
        code, occurred_at, item_id, quantity, *rest = columns
        count = len(occurred_at)
        is_given = quantity.count(None) + quantity.count(1.0) < count
        price, list_price, channel, device, position, query = [
            None if column.count(None) == count else column for column in rest
        ]
        return cls(
            type=code,
            occurred_at=occurred_at,
            item_id=None if item_id.count(None) == count else item_id,
            quantity=tuple([1.0 if units is None else units for units in quantity]) if is_given else None,
            price=price,
            list_price=list_price,
            channel=channel,
            device=device,
            position=position,
            query=query,
        )


_REST = [column.name for column in fields(EventColumns) if column.name != "type"]


def events_table(events: Sequence[Event]) -> pa.Table:
    """Events in memory as a table by `EVENT_SCHEMA`, in their order."""
    columns = [pa.array([getattr(event, field.name) for event in events], field.type) for field in EVENT_SCHEMA]
    return pa.table(columns, schema=EVENT_SCHEMA)
