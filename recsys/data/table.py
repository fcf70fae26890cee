"""Anybody's log: CSV or Parquet files whose columns are explained in YAML (`conf/data/table.yaml`).

Every row is accounted for: it becomes an event, or is quarantined with a reason and its original text, or is left
out on purpose. Files are read in pieces, so memory does not grow with them.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY, Clock, SystemClock, parse_instant
from recsys.data.chunk import SourceChunk, SourcePart, chunks_of
from recsys.data.tabular.convert import TIME_FORMATS
from recsys.data.tabular.events import EventMapping
from recsys.data.tabular.files import TableFile, digest_of, open_files, require_columns
from recsys.data.tabular.items import ItemMapping, with_defaults
from recsys.errors import ConfigError
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, EventType

Names = str | Sequence[str]

_VERSION = "2"
_EVENT_FIELDS = frozenset(EVENT_SCHEMA.names) - {"consent"}
_ITEM_FIELDS = frozenset(ITEM_SCHEMA.names)
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """Reads a shop's own log.

    Args:
        files: a path or pattern, or several: CSV (also .gz, .bz2, .zst) or Parquet. Relative to where you start.
        columns: canonical event field -> column. `event_id` may name several columns that identify an event
            together; without it, ids are derived from file, row and content, so that reading again changes nothing.
        constants: canonical event field -> the value that all rows have.
        type_values: the file's word for a type -> canonical type, or null to leave such rows out (and count them).
        time_format: iso, epoch_s, epoch_ms, epoch_us, or a pattern of strptime such as "%d.%m.%Y %H:%M".
        stamp_zone: the IANA zone of stamps that carry no offset.
        delimiter, header: of delimited files; `header` names the columns where the file itself does not.
        item_files: where items are described; None: in the event files, as far as `item_columns` says.
        item_columns: canonical item field -> column, or several for `title` and `category`.
        item_attributes: columns kept as free attributes of an item.
        category_separator: splits a category written as one text, "shoes > boots".
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        time_zone: the shop's IANA zone; hours and weekdays are read in it.
        name, licence: shown in summaries and stored in the bundle.
        clock: stamps more than a day ahead of it are refused.

    Raises:
        ConfigError: settings that contradict each other or name what does not exist.
    """

    files: Names
    columns: Mapping[str, Names]
    cutoff: int
    licence: str
    time_zone: str
    name: str = "table"
    order_only: bool = False
    constants: Mapping[str, str | float] = field(default_factory=lambda: _NOTHING)
    type_values: Mapping[str, str | None] = field(default_factory=lambda: _NOTHING)
    time_format: str = "iso"
    stamp_zone: str = "UTC"
    delimiter: str = ","
    header: Sequence[str] | None = None
    item_files: Names | None = None
    item_columns: Mapping[str, Names] = field(default_factory=lambda: _NOTHING)
    item_attributes: Sequence[str] = ()
    category_separator: str | None = None
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        if isinstance(self.cutoff, str):
            object.__setattr__(self, "cutoff", parse_instant(self.cutoff))
        _check_fields("columns", [*self.columns], _EVENT_FIELDS)
        _check_fields("constants", [*self.constants], _EVENT_FIELDS - {"occurred_at", "event_id", "item_id"})
        _check_fields("item_columns", [*self.item_columns], _ITEM_FIELDS - {"attributes"})
        self._check_needs()
        _check_types([value for value in [*self.type_values.values(), self.constants.get("type")] if value is not None])
        if self.time_format not in TIME_FORMATS and "%" not in self.time_format:
            raise ConfigError(
                f"data.time_format is {self.time_format!r}; use {', '.join(TIME_FORMATS)} or a pattern with %"
            )
        for key in ("stamp_zone", "time_zone"):
            _check_zone(key, getattr(self, key))
        if len(self.delimiter) != 1:
            raise ConfigError(f"data.delimiter is {self.delimiter!r}; give a single character")

    def fingerprint(self) -> str:
        """Digest of every setting that shapes the events."""
        settings = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("files", "item_files", "clock", "cutoff")
        }
        text = json.dumps(settings, sort_keys=True, default=_plain)
        return hashlib.sha256(f"{_VERSION}/{text}".encode()).hexdigest()[:16]

    def parts(self) -> list[SourcePart]:
        """One part per file."""
        wanted = self._event_mapping().wanted()
        files = self._event_files()
        for file in files:
            require_columns(file, wanted)
        return [
            SourcePart(name=file.origin, digest=digest_of(file).hex(), chunks=partial(self._read, file))
            for file in files
        ]

    def _read(self, file: TableFile) -> Iterator[SourceChunk]:
        """One chunk per piece of a file."""
        mapping = self._event_mapping()
        latest = self.clock.now() + DAY
        for block in file.blocks(mapping.wanted()):
            yield mapping.read(block, latest=latest)

    def items(self) -> pa.Table:
        """Every item that is described or occurs in an accepted event, sorted by id."""
        seen = self._items_of_events()
        described = self._described_items()
        if self.item_files is None:
            described = described.filter(pc.is_in(described["item_id"], seen))
        bare = seen.filter(pc.invert(pc.is_in(seen, described["item_id"].combine_chunks())))
        return pa.concat_tables([described, with_defaults(bare, pa.table({}))]).sort_by("item_id")

    def _items_of_events(self) -> pa.Array:
        seen = pa.array([], pa.string())
        for chunk in chunks_of(self):
            seen = pc.unique(pa.concat_arrays([seen, *chunk.events["item_id"].chunks]))
        return pc.drop_null(seen)

    def _described_items(self) -> pa.Table:
        mapping = self._item_mapping()
        files = self._item_files() or self._event_files()
        for file in files:
            require_columns(file, mapping.wanted())
        if self.item_files is None and mapping.wanted() == list(mapping.columns["item_id"]):
            return ITEM_SCHEMA.empty_table()
        return mapping.read(files)

    def _event_files(self) -> list[TableFile]:
        return self._open(self.files)

    def _item_files(self) -> list[TableFile]:
        return [] if self.item_files is None else self._open(self.item_files)

    def _open(self, patterns: Names) -> list[TableFile]:
        header = None if self.header is None else tuple(self.header)
        return open_files(_names(patterns), delimiter=self.delimiter, header=header)

    def _event_mapping(self) -> EventMapping:
        return EventMapping(
            columns={name: _names(column)[0] for name, column in self.columns.items() if name != "event_id"},
            event_id=_names(self.columns.get("event_id", ())),
            constants=self.constants,
            type_values=self.type_values,
            time_format=self.time_format,
            zone=self.stamp_zone,
        )

    def _item_mapping(self) -> ItemMapping:
        columns = {name: _names(column) for name, column in self.item_columns.items()}
        columns.setdefault("item_id", _names(self.columns["item_id"]))
        currency = self.constants.get("currency")
        return ItemMapping(
            columns=columns,
            attributes=tuple(self.item_attributes),
            separator=self.category_separator,
            currency=None if currency is None else str(currency),
            report=self.item_files is not None,
            time_format=self.time_format,
            zone=self.stamp_zone,
        )

    def _check_needs(self) -> None:
        for name in ("occurred_at", "item_id"):
            if name not in self.columns:
                raise ConfigError(
                    f"data.columns does not say which column is {name!r}; it has: {_listed(self.columns)}"
                )
        if not {"user_id", "anonymous_id"} & set(self.columns):
            raise ConfigError(f"data.columns needs user_id or anonymous_id; it has: {_listed(self.columns)}")
        if "type" not in {*self.columns, *self.constants}:
            raise ConfigError(
                "data has no event type; map columns.type, or set constants.type, for instance to purchase"
            )
        both = set(self.columns) & set(self.constants)
        if both:
            raise ConfigError(f"data gives {_listed(both)} both as a column and as a constant; drop one")
        if self.item_files is not None and "item_id" not in self.item_columns:
            raise ConfigError("data.item_files needs item_columns.item_id, the column that holds the item's id")


def _names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _listed(names: Mapping[str, object] | set[str]) -> str:
    return ", ".join(sorted(names))


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, Sequence) else str(value)


def _check_fields(key: str, names: list[str], known: frozenset[str]) -> None:
    unknown = sorted(set(names) - known)
    if unknown:
        raise ConfigError(
            f"data.{key} names {', '.join(unknown)}, which is no field here; known: {_listed(set(known))}"
        )


def _check_types(values: list[str | float]) -> None:
    known = [event_type.value for event_type in EventType]
    for value in values:
        if value not in known:
            raise ConfigError(f"data maps a type to {value!r}, which does not exist; use one of {', '.join(known)}")


def _check_zone(key: str, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"data.{key} is {zone!r}, which is no IANA zone such as Europe/Berlin") from error
