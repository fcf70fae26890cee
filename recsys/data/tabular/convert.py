"""Columns of a file -> typed columns. What cannot be read becomes null, without slowing down the rest.

Every conversion returns a column as long as its input. Null in, null out; null out of a value means "unreadable".
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.tabular.path import as_lists, elements_of

_NOTHING = pa.scalar(None, pa.string())
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(nan|NaN|NAN|inf|Inf|INF|infinity|Infinity)$"

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


def cleaned(column: pa.Array, missing: pa.Array) -> pa.Array:
    """Texts without surrounding blanks, also in lists; null where nothing is left or the text is one of `missing`."""
    if pa.types.is_list(column.type):
        lengths, elements = elements_of(column)
        return as_lists(lengths, cleaned(elements, missing), np.asarray(pc.is_null(column)))
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.string())
    if not pa.types.is_string(column.type):
        return column
    trimmed = pc.utf8_trim_whitespace(column)
    blank = pc.equal(pc.binary_length(trimmed), 0)
    return pc.if_else(pc.or_(blank, pc.is_in(trimmed, missing)) if len(missing) else blank, _NOTHING, trimmed)


def as_text(column: pa.Array) -> pa.Array:
    """The text of a value: 123.0 becomes "123", NaN null."""
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_list(column.type):
        return pa.nulls(len(column), pa.string())
    text = pc.cast(column, pa.string())
    return pc.if_else(pc.is_nan(column), _NOTHING, text) if pa.types.is_floating(column.type) else text


def without(text: pa.Array, affixes: Sequence[str]) -> pa.Array:
    """Texts without these beginnings and ends ("€", ".0") and the blanks beside them; a sign in front stays."""
    if not affixes:
        return text
    choice = "|".join(re.escape(affix) for affix in sorted(affixes, key=len, reverse=True))
    front = pc.replace_substring_regex(text, rf"^([+-]?)\s*(?:{choice})\s*", r"\1")
    return pc.replace_substring_regex(front, rf"\s*(?:{choice})$", "")


def as_number(column: pa.Array, *, decimal: str = ".", thousands: str = "", strip: Sequence[str] = ()) -> pa.Array:
    """float64 of a number or its text; NaN and infinity pass.

    Args:
        column: numbers, or their texts.
        decimal: the decimal mark of texts.
        thousands: what groups of three digits are separated by in texts; no other grouping is read.
        strip: beginnings and ends of texts to take off first, such as currency signs.
    """
    if not pa.types.is_string(column.type):
        return pc.cast(_plain(column), pa.float64(), safe=False)
    text = without(column, strip)
    if thousands:
        grouped = rf"^[+-]?\d{{1,3}}({re.escape(thousands)}\d{{3}})+({re.escape(decimal)}\d*)?$"
        text = pc.if_else(pc.match_substring_regex(text, grouped), pc.replace_substring(text, thousands, ""), text)
    if decimal != ".":
        wrong = pc.match_substring(text, ".")
        text = pc.replace_substring(pc.if_else(wrong, _NOTHING, text), decimal, ".")
    try:
        return pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        text = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, _NOTHING)
        return piecewise(lambda part: pc.cast(part, pa.float64()), text, pa.float64())


def as_whole(number: pa.Array) -> pa.Array:
    """int32 of float64; 3.0 is whole, 3.5 is unreadable."""
    return piecewise(lambda part: pc.cast(part, pa.int32()), number, pa.int32())


def scaled(number: pa.Array, factor: float) -> pa.Array:
    """`number * factor`; 1999 * 0.01 is 19.99 to the last digit."""
    inverse = round(1 / factor) if 0 < abs(factor) < 1 else 0
    if inverse and abs(factor * inverse - 1) < 1e-12:
        return pc.divide(number, float(inverse))
    return pc.multiply(number, float(factor))


def joined(texts: Sequence[pa.Array], between: str) -> pa.Array:
    """The texts of a row with `between` between them; missing ones are skipped, null where there are none."""
    whole = texts[0]
    for text in texts[1:]:
        both = pc.binary_join_element_wise(whole, text, between)
        whole = pc.coalesce(both, whole, text)
    return whole


def listed(columns: Sequence[pa.Array], missing: np.ndarray | None = None) -> pa.Array:
    """list<string> [R] of the texts that every row has in `columns`, in their order; null where `missing` [R]."""
    rows = len(columns[0])
    places = np.arange(rows * len(columns)).reshape(len(columns), rows).T.ravel()
    flat = pa.concat_arrays(columns).take(pa.array(places))
    given = np.asarray(pc.is_valid(flat)).reshape(rows, len(columns)).sum(axis=1)
    return as_lists(given, pc.drop_null(flat), np.zeros(rows, bool) if missing is None else missing)


def _plain(column: pa.Array) -> pa.Array:
    return pa.nulls(len(column), pa.float64()) if pa.types.is_list(column.type) else column
