"""What a row must be like for a rule to fit: a column and one test of its value, declared in the settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.tabular.convert import as_text
from recsys.data.tabular.records import Records
from recsys.errors import ConfigError


class Check(Protocol):
    """Says of every value whether it passes."""

    def __call__(self, column: pa.Array, number: Callable[[pa.Array], pa.Array]) -> pa.Array:
        """A mask [M]; null counts as no. `number` reads numbers the way the source writes them."""
        ...


@dataclass(frozen=True, slots=True)
class Condition:
    """`column` passes `test`; `words` say it to people."""

    column: str
    test: Check
    words: str

    def fits(self, records: Records, number: Callable[[pa.Array], pa.Array]) -> pa.Array:
        """The records [M] that pass."""
        return pc.fill_null(self.test(records.single(self.column), number), False)


def conditions_of(key: str, setting: object) -> tuple[Condition, ...]:
    """The conditions of a `when`: one, or a list all of which must hold.

    Raises:
        ConfigError: a condition names no column, or not exactly one test that exists.
    """
    found = setting if isinstance(setting, Sequence) and not isinstance(setting, str) else [setting]
    return tuple(_condition(key, one) for one in found)


def _condition(key: str, setting: object) -> Condition:
    tests = ", ".join(_TESTS)
    if not isinstance(setting, Mapping) or not isinstance(setting.get("column"), str):
        raise ConfigError(f"{key} is {setting!r}; write {{column: NAME, TEST: VALUE}}, where TEST is one of {tests}")
    names = [str(name) for name in setting if name != "column"]
    for name in names:
        if name not in _TESTS:
            near = get_close_matches(name, _TESTS, 1)
            raise ConfigError(f"{key} has no test {name!r}; " + (f"is it {near[0]!r}?" if near else f"use {tests}"))
    if len(names) != 1:
        raise ConfigError(f"{key} has {len(names)} tests of {setting['column']!r}; give one, and several as a list")
    value = setting[names[0]]
    return Condition(setting["column"], _TESTS[names[0]](key, value), f"{setting['column']} {names[0]} {_said(value)}")


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class _OneOf:
    texts: tuple[str, ...]
    numbers: tuple[float, ...]

    def __call__(self, column: pa.Array, number: Callable[[pa.Array], pa.Array]) -> pa.Array:
        mask = pc.is_in(as_text(column), pa.array(self.texts, pa.string()))
        return pc.or_(mask, pc.is_in(number(column), pa.array(self.numbers, pa.float64()))) if self.numbers else mask


@dataclass(frozen=True, slots=True)
class _Compared:
    compare: Callable[[pa.Array, float], pa.Array]
    limit: float

    def __call__(self, column: pa.Array, number: Callable[[pa.Array], pa.Array]) -> pa.Array:
        return self.compare(number(column), self.limit)


@dataclass(frozen=True, slots=True)
class _Texted:
    matches: Callable[..., pa.Array]
    text: str

    def __call__(self, column: pa.Array, number: Callable[[pa.Array], pa.Array]) -> pa.Array:
        return self.matches(as_text(column), self.text)


@dataclass(frozen=True, slots=True)
class _Missing:
    expected: bool

    def __call__(self, column: pa.Array, number: Callable[[pa.Array], pa.Array]) -> pa.Array:
        return pc.is_null(column) if self.expected else pc.is_valid(column)


def _one_of(key: str, value: object) -> Check:
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    numbers = tuple(float(one) for one in values if isinstance(one, int | float) and not isinstance(one, bool))
    texts = [(str(one), str(one).lower(), str(one).upper()) if isinstance(one, bool) else (str(one),) for one in values]
    return _OneOf(tuple(text for spellings in texts for text in spellings), numbers)


def _compared(compare: Callable[[pa.Array, float], pa.Array], key: str, value: object) -> Check:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key} compares with {value!r}, which is not a number")
    return _Compared(compare, float(value))


def _texted(matches: Callable[..., pa.Array], key: str, value: object) -> Check:
    return _Texted(matches, str(value))


def _missing(key: str, value: object) -> Check:
    if not isinstance(value, bool):
        raise ConfigError(f"{key} has missing: {value!r}; write missing: true or missing: false")
    return _Missing(value)


_TESTS: Mapping[str, Callable[[str, object], Check]] = MappingProxyType(
    {
        "equals": _one_of,
        "in": _one_of,
        "starts_with": partial(_texted, pc.starts_with),
        "ends_with": partial(_texted, pc.ends_with),
        "below": partial(_compared, pc.less),
        "above": partial(_compared, pc.greater),
        "missing": _missing,
    }
)
