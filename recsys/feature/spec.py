"""The feature spec: what the encoder is told about each event, fixed at training and stored in the bundle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from recsys.errors import BundleError, ConfigError
from recsys.event import INTERACTIONS, EventType
from recsys.feature.coding import Vocabulary
from recsys.feature.statistics import Statistics
from recsys.feature.token import TOKEN_FEATURES, narrowest
from recsys.registry import registered
from recsys.state import History, is_one_of

SPEC_VERSION = 2
Told = TypeVar("Told")
_NOT_STORED = {"statistics", "_told"}
_IS_INTERACTION = is_one_of(INTERACTIONS)


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
        time_zone: the shop's zone, in which hour, weekday and day are read.
        max_length: L, the most events of a history that the encoder sees (the query token counts as one).
        memory: the most things a shopper did that any part of an answer sees, offline as online; the latest ones.
        query: see `QueryKind`.
        token: names of the token features that are on, see `recsys/feature/token.py`; none is named twice.
        order_only: the log holds an order but no times: features of time are off, whatever `token` says.
        channels, devices: their names from before the cut-off.
        known_types: event types that occurred before the cut-off; others are read as `type_alias` says.
        type_alias: the known type that stands in for types never trained on. A log of purchases alone makes a view
            count as interest in the item, which is what the encoder learnt a purchase to be.
        statistics: what was learnt before the cut-off; needed by some features.
    """

    time_zone: str = "UTC"
    max_length: int = 200
    memory: int = 1_000
    query: QueryKind = QueryKind.TOKEN
    token: tuple[str, ...] = ()
    order_only: bool = False
    channels: Vocabulary = field(default_factory=Vocabulary)
    devices: Vocabulary = field(default_factory=Vocabulary)
    known_types: tuple[EventType, ...] = ()
    type_alias: EventType = EventType.PURCHASE
    statistics: Statistics | None = field(default=None, repr=False, compare=False)
    _told: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        if strange := [name for name in self.token if name not in TOKEN_FEATURES]:
            raise ConfigError(f"features.token names {strange}; there are: {', '.join(TOKEN_FEATURES)}")
        if len(set(self.token)) < len(self.token):
            raise ConfigError(f"features.token={list(self.token)} names a feature twice; name each once")
        object.__setattr__(self, "token", tuple(name for name in TOKEN_FEATURES if name in self.token))

    @property
    def names(self) -> tuple[str, ...]:
        """The token features that are on and can be read from this log, in the order of the table of all."""
        return self._once("names", self._names)

    def _names(self) -> tuple[str, ...]:
        return tuple(name for name in self.token if not (self.order_only and TOKEN_FEATURES[name].timed))

    def _once(self, name: object, work: Callable[[], Told]) -> Told:
        """What `work` tells, worked out the first time that anyone asks for it by that name: every answer asks."""
        if name not in self._told:
            self._told[name] = work()
        told: Told = self._told[name]
        return told

    @property
    def columns(self) -> frozenset[str]:
        """What the encoder reads of events, beside item, type and time."""
        return self._once("columns", lambda: frozenset(c for name in self.names for c in TOKEN_FEATURES[name].columns))

    def kind(self, name: str) -> type[np.signedinteger]:
        """The kind of number that holds the classes of a feature."""
        return self._once(("kind", name), lambda: narrowest(TOKEN_FEATURES[name].classes(self)))

    @property
    def off(self) -> tuple[str, ...]:
        """The token features that were asked for and cannot be read from this log."""
        return tuple(name for name in self.token if name not in self.names)

    @property
    def lookback(self) -> int:
        """How many events before its own instant a feature looks back on: with the `max_length` events that are shown
        they fill the memory, so that the oldest event shown looks back as far online as it did in training."""
        return self.memory - self.max_length

    def learnt(self) -> Statistics:
        """The statistics; ConfigError where a feature needs them and nothing was learnt."""
        if self.statistics is None:
            needed = [name for name in self.names if TOKEN_FEATURES[name].learnt]
            raise ConfigError(f"the features {needed} read statistics, and the spec has none; give it statistics=...")
        return self.statistics

    def classes(self) -> dict[str, int]:
        """Number of classes of every feature that is on."""
        return {name: TOKEN_FEATURES[name].classes(self) for name in self.names}

    def shown(self, events: History) -> np.ndarray:
        """Which events [E] the encoder is shown: interactions with items it knows and, where it was trained on them and
        reads their words, searches; [E] bool."""
        return self.is_shown(events.type, events.item, events.query)

    def is_shown(self, type_code: np.ndarray, item: np.ndarray, query: np.ndarray) -> np.ndarray:
        """The same by the columns of the events: types [E], items [E] and tokens of search texts [E, Q]."""
        shown: np.ndarray = _IS_INTERACTION[type_code] & (item > 0)
        if "query" in self.names and EventType.SEARCH in self.known_types:
            shown |= (type_code == EventType.SEARCH.code) & (query[:, 0] > 0)
        return shown

    def type_codes(self) -> np.ndarray:
        """Lookup from an event's type code to the code the encoder is shown, [C] int64."""
        return self._once("type_codes", self._type_codes)

    def _type_codes(self) -> np.ndarray:
        table = np.full(max(t.code for t in EventType) + 1, self.type_alias.code, np.int64)
        table[0] = 0
        for known in self.known_types:
            table[known.code] = known.code
        return table

    def to_json(self) -> dict[str, Any]:
        """Plain values for the bundle; the statistics are arrays and go elsewhere (`Statistics.arrays`)."""
        names = [name for name in self.__dataclass_fields__ if name not in _NOT_STORED]
        stored = {name: getattr(self, name) for name in names}
        vocabularies = {"channels": list(self.channels.names), "devices": list(self.devices.names)}
        return {"version": SPEC_VERSION, **stored, **vocabularies}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any], statistics: Statistics | None = None) -> "FeatureSpec":
        """Back from a bundle; an unknown version, key or feature raises BundleError."""
        fields = dict(stored)
        version = fields.pop("version", None)
        unknown = fields.keys() - (set(cls.__dataclass_fields__) - _NOT_STORED)
        if version != SPEC_VERSION or unknown:
            raise BundleError(
                f"the bundle's feature spec has version {version!r} and unknown keys {sorted(unknown)}; "
                f"this release reads version {SPEC_VERSION}: serve it with the release that wrote it, or train again"
            )
        fields["token"] = tuple(fields.get("token", ()))
        for name in ("channels", "devices"):
            fields[name] = Vocabulary(tuple(fields.get(name, ())))
        try:
            return cls(**fields, statistics=statistics)
        except ConfigError as error:
            raise BundleError(
                f"the bundle's feature spec is not one that this release reads: {error}; serve it with the release "
                "that wrote it, or train again"
            ) from error
