"""What may be said of an item, and what becomes of what was said before: the rules that every store keeps to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Body = dict[str, Any]
"""Members of an item as the API takes them, plain JSON."""


class Written(StrEnum):
    """How much of an item a store holds."""

    WHOLE = "whole"
    PART = "part"
    GONE = "gone"


class ItemOutcome(StrEnum):
    """What came of a change."""

    CREATED = "created"
    REPLACED = "replaced"
    PATCHED = "patched"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StoredItem:
    """The latest of an item: `body` is all of it (whole), what differs from the bundle's row (part; a null is to be
    forgotten) or nothing (gone). `revision` is that of the last change."""

    item_id: str
    revision: int
    written: Written
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ItemChange(ABC):
    """One change of one item. `known` says that the bundle has the item, whatever the store holds."""

    item_id: str
    known: bool

    @abstractmethod
    def applied(self, stored: tuple[Written, Body] | None) -> tuple[ItemOutcome, tuple[Written, Body] | None]:
        """What comes of it where this is `stored`, and what is to be stored instead; None leaves all as it is."""

    def offered(self, stored: tuple[Written, Body] | None) -> bool:
        """Whether there is such an item before the change."""
        return self.known if stored is None else stored[0] is not Written.GONE


@dataclass(frozen=True, slots=True)
class PutItem(ItemChange):
    """The item is this from now on."""

    body: Body

    def applied(self, stored: tuple[Written, Body] | None) -> tuple[ItemOutcome, tuple[Written, Body] | None]:
        outcome = ItemOutcome.REPLACED if self.offered(stored) else ItemOutcome.CREATED
        return outcome, (Written.WHOLE, self.body)


@dataclass(frozen=True, slots=True)
class PatchItem(ItemChange):
    """These members of the item change, by JSON merge patch (RFC 7396): null takes a member away."""

    patch: Body

    def applied(self, stored: tuple[Written, Body] | None) -> tuple[ItemOutcome, tuple[Written, Body] | None]:
        if not self.offered(stored):
            return ItemOutcome.UNKNOWN, None
        written, body = stored or (Written.PART, {})
        return ItemOutcome.PATCHED, (written, merged(body, self.patch, nulls=written is Written.PART))


@dataclass(frozen=True, slots=True)
class DeleteItem(ItemChange):
    """The item is no longer offered."""

    def applied(self, stored: tuple[Written, Body] | None) -> tuple[ItemOutcome, tuple[Written, Body] | None]:
        if not self.offered(stored):
            return ItemOutcome.UNKNOWN, None
        return ItemOutcome.DELETED, (Written.GONE, {})


def merged(body: Mapping[str, Any], patch: Mapping[str, Any], *, nulls: bool = False) -> Body:
    """A JSON merge patch: objects are merged, null takes a member away (or, with `nulls`, stays to say so later),
    everything else is replaced. With `nulls` no object may be null itself: what comes after could not tell that it was.
    """
    result = dict(body)
    for name, value in patch.items():
        if value is None and not nulls:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, Mapping) else {}, value, nulls=nulls)
        else:
            result[name] = value
    return result
