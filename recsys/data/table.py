"""Anybody's log: CSV, JSON lines or Parquet files whose columns are explained in YAML (`conf/data/table.yaml`).

Every row is accounted for: it becomes one event or several, or is quarantined with a reason and its original text, or
is left out on purpose. Files are read in pieces, so memory does not grow with them.

Nothing but a row, the settings and its file's name make its events, with one exception: a stamp more than a day ahead
of the clock is refused. A log keeps that verdict; where the file is read anew on a later day, into another log, such a
row may have become an event.
"""

import codecs
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from logging import getLogger
from threading import Lock

import numpy as np
import pyarrow as pa

from recsys.clock import DAY, Clock, SystemClock, parse_instant
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.raw_files import digest_of, items_part
from recsys.data.tabular.block import Block
from recsys.data.tabular.events import EventMapping, Mapped
from recsys.data.tabular.files import FORMS, Dialect, TableFile, open_files
from recsys.data.tabular.fitting import require
from recsys.data.tabular.item_files import ORDER_BITS, observe_files
from recsys.data.tabular.item_history import ItemHistory
from recsys.data.tabular.items import ItemMapping, item_mapping_of
from recsys.data.tabular.mapping import event_mapping_of, event_needs, item_needs
from recsys.data.tabular.spelling import Style, check_marks, check_time_format, check_zone, names_of
from recsys.errors import ConfigError

Names = str | Sequence[str]
Setting = Names | Mapping[str, object] | None
"""A column, several, or a column with what to do to it; null means: not mapped."""

_VERSION = "3"
_NO_SETTINGS = frozenset({"files", "item_files", "clock", "cutoff"})
_REMEDIES = {
    "UTF-8": "data.encoding, for instance cp1252",
    "time": "data.time_format and data.columns.occurred_at",
    "type": "data.type_values",
    "not a number": "data.decimal, data.thousands and data.strip",
    "fields": "data.delimiter and data.header",
    "quote": "data.multiline",
}
"""Where to look first when nothing fits, by a word of the reason."""
_log = getLogger(__name__)


@dataclass(slots=True)
class _Gathered:
    """What reading the event files has told of the items so far. It stays behind when the source is sent elsewhere."""

    files: str = ""
    reading: int = 0
    read: set[str] = field(default_factory=set)
    history: ItemHistory = field(default_factory=ItemHistory)
    lock: Lock = field(default_factory=Lock)

    def __reduce__(self) -> tuple[type["_Gathered"], tuple[()]]:
        return _Gathered, ()

    def begin(self, files: str) -> int:
        """A ticket for adding to what is known of these files; of other files everything is forgotten."""
        with self.lock:
            if files != self.files:
                self.files, self.reading, self.read, self.history = files, self.reading + 1, set(), ItemHistory()
            return self.reading

    def add(self, ticket: int, origin: str, described: pa.Table, before: int) -> None:
        """Take in what accepted events of a file say of their items; `before` is added to the rows' numbers."""
        with self.lock:
            if ticket != self.reading or origin in self.read:
                return
            time = np.asarray(described["time"].combine_chunks())
            order = np.asarray(described["row"].combine_chunks()) + before
            said = described.drop_columns(["item_id", "time", "row"])
            self.history.observe(described["item_id"].combine_chunks(), time, order, said)

    def finish(self, ticket: int, origin: str) -> None:
        """A file was read to its end."""
        with self.lock:
            if ticket == self.reading:
                self.read.add(origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """Reads a shop's own log. `conf/data/table.yaml` explains every setting with examples.

    Args:
        files: a path or pattern, or several: CSV, JSON lines (both also .gz, .bz2, .zst) or Parquet. Relative to where
            you start.
        columns: canonical event field -> column, or several, or a mapping with what to do to it. Without `event_id`,
            ids are derived from file, row and content, so that reading again changes nothing.
        constants: canonical event field -> the value that all rows have.
        type_values: the file's word for a type -> canonical type, or null to leave such rows out (and count them).
        rules: what becomes of rows that meet conditions; the first that fits decides.
        explode: the list within a row whose elements give an event each.
        time_format: iso, epoch_s, epoch_ms, epoch_us, or a pattern of strptime such as "%d.%m.%Y %H:%M".
        stamp_zone: the IANA zone of stamps that carry no offset.
        decimal, thousands, strip: the marks in numbers that are written as text, and signs beside them such as "€".
        missing: texts that stand for nothing, such as "NULL".
        form: csv, jsonl or parquet; None tells by the files' names.
        delimiter, header, multiline, encoding: of text files; `header` names the columns where the file does not,
            `multiline` allows line breaks within quotes.
        item_files: where items are described; None: in the event files, as far as `item_columns` says.
        item_columns: canonical item field -> column; `valid_from` says since when a row of `item_files` is true.
        item_attributes: columns kept as free attributes of an item, or attribute -> column.
        item_delimiter, item_header: of `item_files`, where they differ.
        category_separator: splits a category written as one text, "shoes > boots".
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        time_zone: the shop's IANA zone; hours and weekdays are read in it.
        name, licence: shown in summaries and stored in the bundle.
        clock: stamps more than a day ahead of it are refused.

    Raises:
        ConfigError: settings that contradict each other or name what does not exist.
    """

    files: Names
    columns: Mapping[str, Setting]
    cutoff: int
    licence: str
    time_zone: str
    name: str = "table"
    order_only: bool = False
    constants: Mapping[str, object] = field(default_factory=dict)
    type_values: Mapping[str, str | None] = field(default_factory=dict)
    rules: Sequence[Mapping[str, object]] = ()
    explode: Setting = None
    time_format: str = "iso"
    stamp_zone: str = "UTC"
    decimal: str = "."
    thousands: str | None = None
    strip: Names = ()
    missing: Names = ()
    form: str | None = None
    delimiter: str = ","
    header: Sequence[str] | None = None
    multiline: bool = False
    encoding: str = "utf-8"
    item_files: Names | None = None
    item_columns: Mapping[str, Setting] = field(default_factory=dict)
    item_attributes: Names | Mapping[str, Setting] = ()
    item_delimiter: str | None = None
    item_header: Sequence[str] | None = None
    category_separator: str | None = None
    clock: Clock = field(default_factory=SystemClock)
    _gathered: _Gathered = field(default_factory=_Gathered, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.cutoff, str):
            object.__setattr__(self, "cutoff", parse_instant(self.cutoff))
        self._check_text_files()
        check_time_format("data.time_format", self.time_format)
        for key in ("stamp_zone", "time_zone"):
            check_zone(f"data.{key}", getattr(self, key))
        check_marks("data", self.decimal, self.thousands or "")
        if self.item_files is not None and self.item_columns.get("item_id") is None:
            raise ConfigError("data.item_files needs item_columns.item_id, the column that holds the item's id")
        if self.item_files is None and self.item_columns.get("valid_from") is not None:
            raise ConfigError(
                "data.item_columns.valid_from is for item_files; what events say is true from the event on"
            )
        self._event_mapping()
        self._item_mapping()

    def fingerprint(self) -> str:
        """Digest of every setting that shapes the events and items."""
        shaping = [name for name in self.__dataclass_fields__ if name not in _NO_SETTINGS and name[0] != "_"]
        text = json.dumps({name: _plain(getattr(self, name)) for name in shaping}, sort_keys=True)
        return hashlib.sha256(f"{_VERSION}/{text}".encode()).hexdigest()[:16]

    def parts(self) -> list[SourcePart]:
        """One part per event file, and one without events per file of items, because the log holds the items, too.

        Raises:
            SourceError: a file is missing, or columns are: all those that are, of all files.
        """
        mapping = self._event_mapping()
        files, item_files = self._event_files(), self._item_files()
        needs, more = event_needs(mapping), item_needs(self._item_mapping())
        require([*((file, needs) for file in files), *((file, more) for file in item_files)])
        state = _state_of(files)
        events = [
            SourcePart(name=file.origin, digest=digest_of(file.path), chunks=partial(self._read, file, number, state))
            for number, file in enumerate(files)
        ]
        return [*events, *(items_part(file.path, file.origin) for file in item_files)]

    def items(self) -> pa.Table:
        """Every item that is described or occurs in an accepted event, with one row for each change.

        What events say of their items is true from the event on. Event files that this source has read to the end
        (and that are still the same) are not read again.
        """
        files = self._event_files()
        state = _state_of(files)
        self._gathered.begin(state)
        for number, file in enumerate(files):
            if file.origin not in self._gathered.read:
                for _ in self._read(file, number, state):
                    pass
        history = self._gathered.history.copied()
        mapping = self._item_mapping()
        observe_files(history, self._item_files(), mapping, names_of(self.missing))
        return history.items(mapping)

    def _read(self, file: TableFile, number: int, state: str) -> Iterator[SourceChunk]:
        """One chunk per piece of a file."""
        mapping = self._event_mapping()
        latest = self.clock.now() + DAY
        ticket = self._gathered.begin(state)
        rows = 0
        for block in self._blocks(file, mapping):
            mapped = mapping.read(block, latest=latest)
            self._gathered.add(ticket, file.origin, mapped.described, number << ORDER_BITS)
            if not rows:
                _warn_if_useless(mapped)
            rows += mapped.chunk.rows_in
            yield mapped.chunk
        self._gathered.finish(ticket, file.origin)

    def _blocks(self, file: TableFile, mapping: EventMapping) -> Iterator[Block]:
        for block in file.blocks(mapping.wanted()):
            yield from block.pieces(mapping.block_rows)

    def _event_files(self) -> list[TableFile]:
        return open_files(names_of(self.files), self._dialect(self.delimiter, self.header))

    def _item_files(self) -> list[TableFile]:
        if self.item_files is None:
            return []
        return open_files(
            names_of(self.item_files),
            self._dialect(self.item_delimiter or self.delimiter, self.item_header),
        )

    def _dialect(self, delimiter: str, header: Sequence[str] | None) -> Dialect:
        return Dialect(
            form=self.form,
            delimiter=delimiter,
            header=None if header is None else tuple(header),
            multiline=self.multiline,
            encoding=codecs.lookup(self.encoding).name,
        )

    def _style(self) -> Style:
        return Style(
            time_format=self.time_format,
            zone=self.stamp_zone,
            decimal=self.decimal,
            thousands=self.thousands or "",
            strip=names_of(self.strip),
        )

    def _event_mapping(self) -> EventMapping:
        return event_mapping_of(
            columns=self.columns,
            constants=self.constants,
            type_values=self.type_values,
            rules=self.rules,
            explode=self.explode,
            missing=names_of(self.missing),
            style=self._style(),
            items=self._mapping_of_items({}, {}) if self.item_files is not None else self._item_mapping(),
        )

    def _item_mapping(self) -> ItemMapping:
        return self._mapping_of_items(self.item_columns, self.item_attributes)

    def _mapping_of_items(
        self, columns: Mapping[str, Setting], attributes: Names | Mapping[str, Setting]
    ) -> ItemMapping:
        currency = self.constants.get("currency")
        return item_mapping_of(
            columns,
            attributes,
            style=self._style(),
            separator=self.category_separator,
            currency=None if currency is None else str(currency),
            own_files=self.item_files is not None,
        )

    def _check_text_files(self) -> None:
        if self.form is not None and self.form not in FORMS:
            raise ConfigError(f"data.form is {self.form!r}; use {', '.join(FORMS)}, or null to tell by the file's name")
        for key in ("delimiter", "item_delimiter"):
            mark = getattr(self, key)
            if mark is not None and len(mark) != 1:
                raise ConfigError(f"data.{key} is {mark!r}; give a single character")
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise ConfigError(
                f"data.encoding is {self.encoding!r}, which is unknown; try utf-8, cp1252, latin-1 or utf-16"
            ) from error


def _state_of(files: Sequence[TableFile]) -> str:
    """What the file system says of files: equal states mean that none was touched in between."""
    stats = [(file, file.path.stat()) for file in files]
    return "\n".join(f"{file.origin} {file.path} {stat.st_size} {stat.st_mtime_ns}" for file, stat in stats)


def _warn_if_useless(first_piece: Mapped) -> None:
    """Say early that a mapping does not fit: the first piece of a file gave no event, or no value of a property."""
    chunk = first_piece.chunk
    for name in sorted(first_piece.unread):
        _log.warning("no %s of an item could be read; look at data.item_columns", name)
    if chunk.events.num_rows or not chunk.quarantine.num_rows:
        return
    first = chunk.quarantine.slice(0, 1).to_pylist()[0]
    hint = next((remedy for word, remedy in _REMEDIES.items() if word in first["reason"]), "data.columns")
    _log.warning(
        "none of the first %d rows of %s became an event; row %d: %s: %.200s\nLook at %s.",
        chunk.rows_in, first["origin"], first["row"], first["reason"], first["raw"], hint,
    )  # fmt: skip


def _plain(value: object) -> object:
    """A setting as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
