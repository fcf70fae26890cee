"""The feature spec: what the encoder is told about each event, fixed at training and stored in the bundle."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from recsys.errors import BundleError, ConfigError
from recsys.event import EventType
from recsys.registry import registered

SPEC_VERSION = 1


class QueryKind(StrEnum):
    """How a sequence is asked what comes next.

    TOKEN puts a query token, with its own time, before every moment; needed where baskets exist. LAST reads the
    last event's own output; right only where no two events of a shopper share an instant.
    """

    TOKEN = "token"
    LAST = "last"


@registered
@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """Features of every event and of every question.

    Args:
        time_zone: the shop's zone, in which hour and weekday are read.
        max_length: L, the most events of a history that the encoder sees (the query token counts as one).
        memory: the most events of a shopper that any part of an answer sees, offline as online; the latest ones.
        query: see `QueryKind`.
        calendar: whether hour, weekday and the gap to the moment before are features (off where a log has only order).
        known_types: event types that occurred before the cut-off; others are read as `type_alias` says.
        type_alias: the known type that stands in for types never trained on. A log of purchases alone makes a view
            count as interest in the item, which is what the encoder learnt a purchase to be.
    """

    time_zone: str = "UTC"
    max_length: int = 200
    memory: int = 1_000
    query: QueryKind = QueryKind.TOKEN
    calendar: bool = True
    known_types: tuple[EventType, ...] = ()
    type_alias: EventType = EventType.PURCHASE

    def __post_init__(self) -> None:
        object.__setattr__(self, "query", QueryKind(self.query))
        object.__setattr__(self, "known_types", tuple(EventType(t) for t in self.known_types))
        object.__setattr__(self, "type_alias", EventType(self.type_alias))
        if self.max_length < 2:
            raise ConfigError(f"features.max_length is {self.max_length}; it must be at least 2")
        if self.memory < self.max_length:
            raise ConfigError(
                f"features.memory is {self.memory}, less than features.max_length={self.max_length}; raise the memory"
            )

    def type_codes(self) -> np.ndarray:
        """Lookup from an event's type code to the code the encoder is shown, [C] int64."""
        table = np.full(max(t.code for t in EventType) + 1, self.type_alias.code, np.int64)
        table[0] = 0
        for known in self.known_types:
            table[known.code] = known.code
        return table

    def to_json(self) -> dict[str, Any]:
        """Plain values for the bundle."""
        return {"version": SPEC_VERSION, **asdict(self)}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "FeatureSpec":
        """Back from a bundle; an unknown version or key raises BundleError."""
        fields = dict(stored)
        version = fields.pop("version", None)
        unknown = fields.keys() - set(cls.__dataclass_fields__)
        if version != SPEC_VERSION or unknown:
            raise BundleError(
                f"the bundle's feature spec has version {version!r} and unknown keys {sorted(unknown)}; "
                f"this release reads version {SPEC_VERSION}: serve it with the release that wrote it, or train again"
            )
        return cls(**fields)
