"""Columns of a file -> typed columns. What cannot be read becomes null, without slowing down the rest.

Every conversion returns a column as long as its input. Null in, null out; null out of a value means "unreadable".
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import SourceError

INSTANT = pa.timestamp("us", tz="UTC")

_ZONED = r":\d{2}(\.\d+)?(Z|[+-]\d{2}(:?\d{2})?)$"
_MICROSECONDS_OF = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}

Convert = Callable[[pa.Array], pa.Array]


def piecewise(convert: Convert, column: pa.Array, result: pa.DataType) -> pa.Array:
    """`convert(column)`, with null for the values it refuses: where it fails, the halves are tried apart."""
    try:
        return convert(column)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return pa.nulls(1, result)
    middle = len(column) // 2
    halves = (column[:middle], column[middle:])
    return pa.concat_arrays([piecewise(convert, half, result) for half in halves])


def as_text(column: pa.Array) -> pa.Array:
    """Text without surrounding blanks; empty text is null, 123.0 becomes "123"."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return pc.cast(column, pa.string())
    trimmed = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    return pc.if_else(pc.equal(pc.binary_length(trimmed), 0), pa.scalar(None, pa.string()), trimmed)


def as_number(column: pa.Array) -> pa.Array:
    """float64 of a number or its text; NaN and infinity pass."""
    if _is_textual(column):
        return piecewise(lambda text: pc.cast(text, pa.float64()), as_text(column), pa.float64())
    return pc.cast(column, pa.float64(), safe=False)


def as_whole(column: pa.Array) -> pa.Array:
    """int32 of a whole number or its text; "3.0" is whole, "3.5" is unreadable."""
    return piecewise(lambda number: pc.cast(number, pa.int32()), as_number(column), pa.int32())


def as_instant(column: pa.Array, time_format: str, zone: str) -> pa.Array:
    """Instants [us, UTC] of a column that is typed as time already, or is written in `time_format`.

    `time_format` is a key of `TIME_FORMATS` or a pattern of strptime. Stamps without an offset are read in `zone`;
    an hour that occurs twice when clocks go back counts as the first, one that never occurs as the hour's end.

    Raises:
        SourceError: the column holds numbers, and `time_format` does not say which.
    """
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        moved = pc.cast(column, pa.timestamp("us", tz=column.type.tz), safe=False)
        return pc.cast(moved, INSTANT) if column.type.tz else _local(moved, zone)
    if not _is_textual(column) and time_format not in _MICROSECONDS_OF:
        raise SourceError(
            f"the time column holds {column.type}, which time_format {time_format!r} cannot read; "
            f"set it to one of {', '.join(_MICROSECONDS_OF)}"
        )
    read = TIME_FORMATS.get(time_format)
    if read is not None:
        return read(column, zone)
    return _local(pc.strptime(as_text(column), format=time_format, unit="us", error_is_null=True), zone)


def _is_textual(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


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
    zoned = pc.match_substring_regex(text, _ZONED)
    nothing = pa.scalar(None, pa.string())
    return pc.coalesce(
        piecewise(_zoned_iso, pc.if_else(zoned, text, nothing), INSTANT),
        piecewise(lambda naive: _naive_iso(naive, zone), pc.if_else(zoned, nothing, text), INSTANT),
    )


def _zoned_iso(text: pa.Array) -> pa.Array:
    return pc.cast(text, INSTANT)


def _naive_iso(text: pa.Array, zone: str) -> pa.Array:
    return _local(pc.cast(text, pa.timestamp("us")), zone)


def _epoch(unit: int) -> Callable[[pa.Array, str], pa.Array]:
    def whole(ticks: pa.Array) -> pa.Array:
        return pc.cast(pc.multiply_checked(pc.cast(ticks, pa.int64()), unit), INSTANT)

    def fractional(ticks: pa.Array) -> pa.Array:
        return pc.cast(pc.cast(pc.round(pc.multiply(pc.cast(ticks, pa.float64()), float(unit))), pa.int64()), INSTANT)

    def read(column: pa.Array, zone: str) -> pa.Array:
        ticks = as_text(column) if _is_textual(column) else column
        try:
            return whole(ticks)
        except pa.ArrowInvalid:
            return piecewise(fractional, ticks, INSTANT)

    return read


TIME_FORMATS: Mapping[str, Callable[[pa.Array, str], pa.Array]] = MappingProxyType(
    {"iso": _iso, **{name: _epoch(unit) for name, unit in _MICROSECONDS_OF.items()}}
)
"""How instants may be written; anything with a % is a pattern of strptime."""
