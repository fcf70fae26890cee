"""How events and slates lie in Redis: short, in the right order as bytes, and read back in one go.

A row is `EVENT_ID \\0 [code, instant, item, ...]`, the values as JSON without the empty ones at its end. Sorted sets
order rows of one instant by their bytes, which is the order of event ids, as everywhere else; a \\0 in an id is written
\\0\\xff, a byte that no text in UTF-8 holds and that sorts after the \\0 at its end.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from itertools import zip_longest
from operator import attrgetter, itemgetter
from typing import Any

from recsys.consent import OfVisitor, Statement, merged
from recsys.event import ACTS, EVENT_TYPE_OF_CODE, Event, EventColumns, EventType
from serving.store.draft import Draft
from serving.store.identity import FAR_OFF, LONG_AGO
from serving.store.protocol import ExposedItem, Exposure
from serving.store.redis_script import Argument

MOST = 2**53
"""Instants up to here, in microseconds from 1970, are exact as scores of sorted sets: until the year 2255."""
_VALUES = 21
_NOTHING: list[Any] = [None] * _VALUES
_END, _NUL_INSIDE = b"\0", b"\0\xff"
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
decode = json.JSONDecoder().decode
in_order = attrgetter("occurred_at", "event_id")
_moment_then_id = itemgetter(0, 1)
_OF_HISTORY = (0, 1, 2, 12, 13, 15, 6, 7, 11, 17)
"""Where the columns of a history stand in a row: type, instant, item, quantity, price, list price, channel, device,
position, query."""
_OF_SLATE = tuple(field.name for field in fields(Exposure) if field.name != "items")


def arguments_of(event: Event) -> tuple[Argument, ...]:
    """The nine arguments of `append.lua` that say one event; ValueError where it cannot be kept."""
    if not -MOST <= event.occurred_at <= MOST:
        raise ValueError(f"occurred_at={event.occurred_at} of event {event.event_id!r} is not an instant before 2255")
    user, visitor, ends = event.user_id, event.anonymous_id, event.type is EventType.UNLINK
    told = b""
    if user is not None and visitor is not None:
        told = _sortable(user) + _END + _sortable(event.event_id) + _END + (b"1" if ends else b"0")
    return (
        event.event_id,
        row_of(event),
        event.occurred_at,
        "" if user is None else f"={user}",
        "" if visitor is None else f"={visitor}",
        "1" if event.type in ACTS else "0",
        told,
        "1" if ends else "0",
        "" if event.consent is None else encode(sorted(set(event.consent))),
    )


def row_of(event: Event) -> bytes:
    """One event as a row; what most events say comes first, what few say costs nothing in the others."""
    values = [
        event.type.code,
        event.occurred_at,
        event.item_id,
        event.anonymous_id,
        event.user_id,
        event.session_id,
        event.channel,
        event.device,
        event.consent,
        event.placement,
        event.recommendation_id,
        event.position,
        None if event.quantity == 1 else event.quantity,
        event.price,
        event.currency,
        event.list_price,
        event.store,
        event.query,
        event.filters,
        event.rating,
        event.offer_id,
    ]
    while values[-1] is None:
        values.pop()
    return _sortable(event.event_id) + _END + encode(values).encode()


def events_of(rows: Sequence[bytes]) -> list[Event]:
    """The events of rows, in their order; all of them are parsed at once."""
    parts = [row.rpartition(_END) for row in rows]
    values = decode(b"".join((b"[", b",".join([part[2] for part in parts]), b"]")).decode())
    return [_event(part[0].replace(_NUL_INSIDE, _END).decode(), one) for part, one in zip(parts, values, strict=True)]


def columns_of(rows: Sequence[bytes], *, limit: int) -> EventColumns:
    """What a history needs of the `limit` latest of some rows; no event is made of them."""
    if not rows:
        return EventColumns()
    parts = [row.rpartition(_END) for row in rows]
    values = decode(b"".join((b"[", b",".join([part[2] for part in parts]), b"]")).decode())
    told = zip([one[1] for one in values], [part[0] for part in parts], values, strict=True)
    ordered = sorted(told, key=_moment_then_id)[-limit:]
    columns = [*zip_longest(*[one[2] for one in ordered])]
    nothing = (None,) * len(ordered)
    columns += [nothing] * (_VALUES - len(columns))
    return EventColumns.told([columns[place] for place in _OF_HISTORY])


def agreed_of(statements: Sequence[Sequence[bytes]]) -> frozenset[str] | None:
    """What a shopper agrees to, given what `history.lua` tells of statements: of each when the visitor's link began and
    ended (empty, both, where it is the shopper's own), its instant, and the purposes, once or oftener."""
    user, visitors = None, []
    for linked_at, ended_at, at, *said in statements:
        statement = Statement(int(at), frozenset.intersection(*(frozenset(decode(one.decode())) for one in said)))
        if linked_at == ended_at == b"":
            user = statement
        else:
            visitors.append(OfVisitor(statement, _instant(linked_at), _instant(ended_at)))
    return merged(user, visitors)


def _instant(said: bytes) -> int:
    return FAR_OFF if said == b"+inf" else LONG_AGO if said == b"-inf" else int(said)


def exposure_text(exposure: Exposure) -> str:
    """One slate as JSON; of its items only the values, because there are many."""
    said = {name: value for name in _OF_SLATE if (value := getattr(exposure, name)) not in (None, ())}
    return encode({**said, "items": exposure.items})


def exposure_of(text: bytes) -> Exposure:
    """The slate that was written as this."""
    said = decode(text.decode())
    items = tuple(ExposedItem(*values[: len(ExposedItem._fields)]) for values in said.pop("items"))
    experiments = tuple((name, arm) for name, arm in said.pop("experiments", ()))
    return Exposure(**said, items=items, experiments=experiments)


def _sortable(name: str) -> bytes:
    return name.encode().replace(_END, _NUL_INSIDE)


def _event(event_id: str, values: list[Any]) -> Event:
    (
        code,
        occurred_at,
        item_id,
        anonymous_id,
        user_id,
        session_id,
        channel,
        device,
        consent,
        placement,
        recommendation_id,
        position,
        quantity,
        price,
        currency,
        list_price,
        store,
        query,
        filters,
        rating,
        offer_id,
    ) = values + _NOTHING[len(values) :]
    return Draft(
        event_id,
        EVENT_TYPE_OF_CODE[code],
        occurred_at,
        user_id,
        anonymous_id,
        session_id,
        channel,
        device,
        store,
        item_id,
        1.0 if quantity is None else quantity,
        price,
        list_price,
        currency,
        query,
        filters,
        rating,
        offer_id,
        placement,
        recommendation_id,
        position,
        consent,
    ).event()
