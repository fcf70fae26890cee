"""Why a record is no event."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import parse_instant
from recsys.data.tabular.instants import INSTANT
from recsys.data.tabular.reading import Read
from recsys.event import EventType

EARLIEST = parse_instant("1990-01-01")
"""Older stamps are a unit mistaken (seconds read as milliseconds), not a visit."""

_LINKING = pa.array([EventType.LINK.value, EventType.UNLINK.value])
_OFFERING = pa.array([EventType.OFFER.value, EventType.REDEEM.value])
_WITHOUT_ITEM = pa.array([EventType.SEARCH.value, *_LINKING.to_pylist(), *_OFFERING.to_pylist()])
_PRICES = ("price", "list_price")

Fault = tuple[pa.Array, str]


def first_fault(
    fields: Mapping[str, pa.Array], read: Mapping[str, Read], *, uneven: np.ndarray, latest: int
) -> pa.Array:
    """The gravest reason why each record [M] is no event; null where there is none.

    Args:
        fields: the canonical fields.
        read: the fields that come out of the file, and where it had something to read.
        uneven: records of rows whose lists should have been equally long.
        latest: later events are in the future, in microseconds UTC.
    """
    reason = pa.nulls(len(uneven), pa.string())
    for mask, text in _faults(fields, read, uneven, latest):
        if pc.any(mask).as_py():
            reason = pc.if_else(pc.and_(pc.fill_null(mask, False), pc.is_null(reason)), text, reason)
    return reason


def _faults(
    fields: Mapping[str, pa.Array], read: Mapping[str, Read], uneven: np.ndarray, latest: int
) -> Iterator[Fault]:
    yield pa.array(uneven), "lists differ in length"
    occurred_at = fields["occurred_at"]
    yield pc.and_(pc.is_null(occurred_at), pc.invert(read["occurred_at"].given)), "time is missing"
    yield pc.is_null(occurred_at), "time is unreadable"
    yield pc.less(occurred_at, pa.scalar(EARLIEST, INSTANT)), "time is before 1990"
    yield pc.greater(occurred_at, pa.scalar(latest, INSTANT)), "time is in the future"
    yield pc.is_null(fields["type"]), "type is unknown"
    yield from _shopper_faults(fields)
    yield from _item_faults(fields)
    yield from _number_faults("quantity", fields, read)
    yield pc.less_equal(fields["quantity"], 0), "quantity is not positive"
    for name in _PRICES:
        yield from _number_faults(name, fields, read)
        yield pc.less(fields[name], 0), f"{name} is negative"
    yield from _number_faults("rating", fields, read)
    yield pc.and_(pc.equal(fields["type"], EventType.RATING.value), pc.is_null(fields["rating"])), "rating is missing"
    if "position" in read:
        position = fields["position"]
        unreadable = pc.and_(pc.is_null(position), read["position"].given)
        yield pc.or_kleene(unreadable, pc.less(position, 0)), "position is not a whole number from 0"


def _shopper_faults(fields: Mapping[str, pa.Array]) -> Iterator[Fault]:
    user, visitor = pc.is_null(fields["user_id"]), pc.is_null(fields["anonymous_id"])
    yield pc.and_(user, visitor), "shopper is missing"
    yield pc.and_(pc.is_in(fields["type"], _LINKING), pc.or_(user, visitor)), "a link needs user_id and anonymous_id"


def _item_faults(fields: Mapping[str, pa.Array]) -> Iterator[Fault]:
    needs_item = pc.invert(pc.is_in(fields["type"], _WITHOUT_ITEM))
    yield pc.and_(pc.is_null(fields["item_id"]), needs_item), "item is missing"
    offering = pc.is_in(fields["type"], _OFFERING)
    yield pc.and_(pc.is_null(fields["offer_id"]), offering), "offer is missing"


def _number_faults(name: str, fields: Mapping[str, pa.Array], read: Mapping[str, Read]) -> Iterator[Fault]:
    if name in read:
        yield pc.and_(pc.is_null(fields[name]), read[name].given), f"{name} is not a number"
    yield pc.invert(pc.is_finite(fields[name])), f"{name} is not a number"
