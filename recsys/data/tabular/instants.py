"""Columns that say when -> instants in microseconds UTC; unreadable ones become null."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.tabular.convert import as_text, piecewise
from recsys.errors import SourceError

INSTANT = pa.timestamp("us", tz="UTC")

_ZONED = r":\d{2}(\.\d+)?(Z|[+-]\d{2}(:?\d{2})?)$"
_DATED = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}(:?\d{2}(:?\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$"
_OFFSET = r"^(UTC|GMT)?([+-]\d{1,2}):?(\d{2})?$"
_MICROSECONDS_OF = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
_NOTHING = pa.scalar(None, pa.string())
_PARTS = {
    "%Y": r"\d{4}", "%y": r"\d{2}", "%m": r"\d{1,2}", "%H": r"\d{1,2}", "%I": r"\d{1,2}", "%M": r"\d{1,2}",
    "%S": r"\d{1,2}", "%b": r"\w+", "%B": r"\w+", "%p": r"[AaPp]\.?[Mm]\.?", "%z": r"(?:Z|[+-]\d{2}:?\d{2})",
    "%d": r"(?P<day>\d{1,2})",
}  # fmt: skip
"""What a pattern's parts look like, so that the day of the month can be told from the text."""


def as_instant(column: pa.Array, time_format: str, zone: str) -> pa.Array:
    """Instants [us, UTC] of a column that is typed as time already, or is written in `time_format`.

    `time_format` is a key of `TIME_FORMATS` or a pattern of strptime. Stamps without an offset are read in `zone`;
    an hour that occurs twice when clocks go back counts as the first, one that never occurs as the hour's end.

    Raises:
        SourceError: the column holds numbers, and `time_format` does not say which.
    """
    if pa.types.is_list(column.type):
        return pa.nulls(len(column), INSTANT)
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        moved = pc.cast(column, pa.timestamp("us", tz=column.type.tz), safe=False)
        return pc.cast(moved, INSTANT) if column.type.tz else _local(moved, zone)
    if not pa.types.is_string(column.type) and time_format == "iso":
        raise SourceError(
            f"the time column holds {column.type}, which time_format 'iso' cannot read; set it to one of "
            f"{', '.join(_MICROSECONDS_OF)}, or to a pattern such as '%Y%m%d'"
        )
    read = TIME_FORMATS.get(time_format)
    return _by_pattern(as_text(column), time_format, zone) if read is None else read(column, zone)


def by_row_zone(column: pa.Array, time_format: str, zones: pa.Array) -> pa.Array:
    """Instants of stamps whose zone, an IANA name or an offset, another column says [R]; null where it is unknown."""
    coded = as_text(zones).dictionary_encode()
    which = np.asarray(pc.fill_null(coded.indices, -1))
    places, pieces = [], []
    for number, name in enumerate(coded.dictionary.to_pylist()):
        rows = np.flatnonzero(which == number)
        zone = _zone_named(name)
        stamps = column.take(pa.array(rows))
        places.append(rows)
        pieces.append(pa.nulls(len(rows), INSTANT) if zone is None else as_instant(stamps, time_format, zone))
    unknown = np.flatnonzero(which < 0)
    order = np.argsort(np.concatenate([*places, unknown]), kind="stable")
    return pa.concat_arrays([*pieces, pa.nulls(len(unknown), INSTANT)]).take(pa.array(order))


def is_zone(name: str) -> bool:
    """Whether this is an IANA zone such as Europe/Berlin."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        return False
    return True


def _zone_named(name: str) -> str | None:
    """The zone that a text names: itself, or an offset as Arrow writes it."""
    offset = re.match(_OFFSET, name)
    if offset:
        return f"{offset[2][0]}{offset[2][1:]:0>2}:{offset[3] or '00'}"
    return "UTC" if name in ("Z", "GMT") else name if is_zone(name) else None


def _local(naive: pa.Array, zone: str) -> pa.Array:
    if zone == "UTC":
        return pc.cast(pc.cast(naive, pa.int64()), INSTANT)
    zoned = pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="latest")
    return pc.cast(zoned, INSTANT)


def _iso(column: pa.Array, zone: str) -> pa.Array:
    text = as_text(column)
    for convert in (_zoned_iso, lambda naive: _naive_iso(naive, zone)):
        try:
            return convert(text)
        except pa.ArrowInvalid:
            continue
    # Mixed or foreign spellings: " UTC" for Z, nanoseconds, a blank before the offset.
    text = pc.replace_substring_regex(text, r"\s*(UTC|GMT|Z)$", "Z")
    text = pc.replace_substring_regex(text, r"\s+([+-]\d{2}:?\d{2})$", r"\1")
    text = pc.replace_substring_regex(text, r"(\.\d{6})\d+", r"\1")
    text = pc.if_else(pc.match_substring_regex(text, _DATED), text, _NOTHING)
    zoned = pc.match_substring_regex(text, _ZONED)
    return pc.coalesce(
        piecewise(_zoned_iso, pc.if_else(zoned, text, _NOTHING), INSTANT),
        piecewise(lambda naive: _naive_iso(naive, zone), pc.if_else(zoned, _NOTHING, text), INSTANT),
    )


def _zoned_iso(text: pa.Array) -> pa.Array:
    return pc.cast(text, INSTANT)


def _naive_iso(text: pa.Array, zone: str) -> pa.Array:
    return _local(pc.cast(text, pa.timestamp("us")), zone)


def _by_pattern(text: pa.Array, pattern: str, zone: str) -> pa.Array:
    fraction = None
    if re.search(r"[.,]%f", pattern):  # Arrow reads whole seconds only
        digits = pc.struct_field(pc.extract_regex(text, r":\d{1,2}[.,](?P<digits>\d{1,9})"), [0])
        millionths = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.fill_null(digits, "0"), 9, "0"), 0, 6)
        fraction = pc.cast(millionths, pa.int64())
        text = pc.replace_substring_regex(text, r"(:\d{1,2})[.,]\d{1,9}", r"\1")
        pattern = re.sub(r"[.,]%f", "", pattern)
    read = pc.strptime(text, format=pattern, unit="us", error_is_null=True)
    read = pc.if_else(_overflown(text, read, pattern), pa.scalar(None, read.type), read)
    instant = read if read.type.tz else _local(read, zone)
    if fraction is None:
        return pc.cast(instant, INSTANT)
    return pc.cast(pc.add(pc.cast(instant, pa.int64()), fraction), INSTANT)


def _overflown(text: pa.Array, read: pa.Array, pattern: str) -> pa.Array:
    """Rows [R] whose day no month has: strptime takes 31.02. for 2 March."""
    early = np.asarray(pc.fill_null(pc.less_equal(pc.day(read), 3), False))
    parts = re.split(r"(%\w)", pattern)
    if pattern.count("%d") != 1 or not early.any() or any(p[:1] == "%" and p not in _PARTS for p in parts):
        return pa.array(np.zeros(len(text), bool))
    shape = "".join(_PARTS.get(part, re.sub(r"\\?\s+", r"\\s+", re.escape(part))) for part in parts)
    rows = np.flatnonzero(early)
    said = pc.struct_field(pc.extract_regex(text.take(pa.array(rows)), rf"^\s*{shape}\s*$"), [0])
    day = np.asarray(pc.fill_null(pc.cast(said, pa.int64()), 0))
    early[rows] = day > 3
    return pa.array(early)


def _epoch(unit: int) -> Callable[[pa.Array, str], pa.Array]:
    def whole(ticks: pa.Array) -> pa.Array:
        return pc.cast(pc.multiply_checked(pc.cast(ticks, pa.int64()), unit), INSTANT)

    def fractional(ticks: pa.Array) -> pa.Array:
        return pc.cast(pc.cast(pc.round(pc.multiply(pc.cast(ticks, pa.float64()), float(unit))), pa.int64()), INSTANT)

    def read(column: pa.Array, zone: str) -> pa.Array:
        try:
            return whole(column)
        except pa.ArrowInvalid:
            return piecewise(fractional, column, INSTANT)

    return read


TIME_FORMATS: Mapping[str, Callable[[pa.Array, str], pa.Array]] = MappingProxyType(
    {"iso": _iso, **{name: _epoch(unit) for name, unit in _MICROSECONDS_OF.items()}}
)
"""How instants may be written; anything with a % is a pattern of strptime."""
