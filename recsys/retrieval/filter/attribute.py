"""The shop's own attributes: texts on the outside, as `ITEM_SCHEMA` holds them, with a type that the text shows.

| value | text |
|---|---|
| text | itself |
| number | its shortest decimal writing |
| true, false | true, false |
| list of texts | the list as JSON |

So a value means the same whether it came with the catalogue, where attributes are texts, or through the API, where they
are JSON values, and it survives being stored as text. A text that is a decimal number is a number too, so that "250"
of a CSV file lies in the range from 200 to 300.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from recsys.errors import DataError
from recsys.retrieval.filter.growing import Growing, Names, Rows, among, distinct
from recsys.retrieval.filter.range import Range

AttributeValue = str | float | bool | Sequence[str]

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def attribute_text(value: AttributeValue) -> str:
    """A value as `ITEM_SCHEMA` stores it; what is none of the kinds above raises DataError."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 1e16 else repr(float(value))
    if isinstance(value, Sequence) and all(isinstance(text, str) for text in value):
        return json.dumps(list(value), ensure_ascii=False)
    raise DataError(f"an attribute cannot be {value!r}; give a text, a finite number, true, false or a list of texts")


def attribute_values(text: str) -> tuple[str, ...]:
    """The texts that a stored text stands for: those of a list, else the text alone."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            return (text,)
        if isinstance(found, list) and all(isinstance(value, str) for value in found):
            return tuple(found)
    return (text,)


def attribute_number(text: str) -> float:
    """The number that a stored text is; NaN if it is none."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else math.nan


class AttributeColumn:
    """One attribute of every item; an item may have several texts, or one that is a number, or none."""

    __slots__ = ("_code", "_holding", "_names", "_number")

    def __init__(self, size: int) -> None:
        self._code = Growing(np.int32, size=size)
        self._names = Names()
        self._holding: defaultdict[str, list[int]] = defaultdict(list)
        self._number: Growing | None = None  # most attributes are no numbers

    def grow(self, size: int) -> None:
        """Make it `size` long."""
        self._code.grow(size)
        if self._number is not None:
            self._number.grow(size)

    def set(self, rows: Rows, texts: Sequence[str | None] | pa.Array) -> None:
        """Write the stored texts [N] of `rows`; None is none."""
        names, place = distinct(texts)
        self._code[rows] = np.array([self._learnt(name) for name in names], np.int32)[place]
        numbers = np.array([math.nan if name is None else attribute_number(name) for name in names], np.float64)
        if self._number is None and not np.isnan(numbers).all():
            self._number = Growing(np.float64, size=self._code.size, fill=np.nan)
        if self._number is not None:
            self._number[rows] = numbers[place]

    def among(self, texts: Sequence[str], numbers: Sequence[float], rows: Rows) -> np.ndarray:
        """Which items have one of `texts` or are one of `numbers`."""
        wanted = sorted({code for text in texts for code in self._holding.get(text, ())})
        found = among(self._code[rows], wanted, len(self._names) + 1)
        if self._number is not None and numbers:
            value = self._number[rows]
            for number in numbers:
                found |= value == number
        return found

    def within(self, range_: Range, rows: Rows) -> np.ndarray:
        """Which items are a number within the range."""
        if self._number is None:
            return np.zeros(len(self._code[rows]), bool)
        return range_.holds(self._number[rows])

    def _learnt(self, text: str | None) -> int:
        known = len(self._names)
        code = self._names.number(text)
        if text is not None and code > known:
            for value in dict.fromkeys(attribute_values(text)):
                self._holding[value].append(code)
        return code
