"""How the settings spell the reading of a field: a column's name, several names, or a column with what to do to it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

import pyarrow as pa

from recsys.data.tabular.instants import TIME_FORMATS, is_zone
from recsys.data.tabular.reading import (
    Inputs,
    InstantReading,
    ListReading,
    NamedReading,
    NumberReading,
    RankReading,
    Reading,
    TextReading,
    WholeReading,
)
from recsys.errors import ConfigError

Settings = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a whole source writes times and numbers, where a column does not say otherwise."""

    time_format: str = "iso"
    zone: str = "UTC"
    decimal: str = "."
    thousands: str = ""
    strip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """What several columns of one field mean: joined with `between`, and whether some may be missing."""

    between: str = " "
    partly: bool = False
    most: int | None = None


def reading_of(key: str, setting: object, kind: pa.DataType, *, style: Style, joining: Joining) -> Reading:
    """The reading that `setting` spells for a field of type `kind`.

    Args:
        key: the setting's name, for messages.
        setting: a column, several, or a mapping with `column` or `first` and what else the kind knows.
        kind: the canonical field's Arrow type.
        style: how the source writes times and numbers.
        joining: what several columns mean to this field.

    Raises:
        ConfigError: a key that the kind does not know, or a value that cannot work.
    """
    spelt = _spelt(key, setting)
    make, known = _KINDS[kind]
    check_keys(key, spelt, known | {"column", "first", "optional"})
    return make(key, spelt, style, joining)


def check_keys(key: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises ConfigError, with what was probably meant, where a name is not known."""
    for name in names:
        if name not in known:
            near = get_close_matches(str(name), list(known), 1)
            hint = f"is it {near[0]!r}?" if near else f"it may have: {', '.join(sorted(known))}"
            raise ConfigError(f"{key} has no {name!r}; {hint}")


def each_of(setting: object) -> Sequence[object]:
    """One thing or several, as several."""
    return setting if isinstance(setting, Sequence) and not isinstance(setting, str) else [setting]


def names_of(setting: object) -> tuple[str, ...]:
    """One name or several."""
    return tuple(str(name) for name in each_of(setting))


def _spelt(key: str, setting: object) -> Settings:
    if isinstance(setting, Mapping):
        return {str(name): value for name, value in setting.items()}
    if not names_of(setting) or not all(isinstance(name, str) for name in each_of(setting)):
        raise ConfigError(f"{key} is {setting!r}; give a column's name, several, or {{column: NAME, ...}}")
    return {"column": setting}


def _inputs(key: str, spelt: Settings, joining: Joining) -> Inputs:
    if ("column" in spelt) == ("first" in spelt):
        raise ConfigError(f"{key} needs either column: NAME or first: [NAME, ELSE THIS, ...]")
    choices = [spelt["column"]] if "column" in spelt else each_of(spelt["first"])
    inputs = Inputs(
        choices=tuple(names_of(choice) for choice in choices),
        between=joining.between,
        partly=joining.partly,
        optional=_is_set(key, spelt, "optional"),
    )
    longest = max(len(names) for names in inputs.choices)
    if joining.most is not None and longest > joining.most:
        raise ConfigError(f"{key} names {longest} columns; it takes one, or alternatives as first: [NAME, ELSE THIS]")
    return inputs


def _text(key: str, spelt: Settings, style: Style, joining: Joining) -> Reading:
    return TextReading(
        inputs=_inputs(key, spelt, joining),
        strip=_strip(spelt),
        values=words_of(f"{key}.values", spelt.get("values", {})),
    )


def words_of(key: str, setting: object) -> dict[str, str]:
    """A mapping of texts to texts."""
    if not isinstance(setting, Mapping):
        raise ConfigError(f"{key} is {setting!r}; write {{WORD IN THE FILE: WORD TO USE}}")
    for word in setting:
        if isinstance(word, bool):
            raise ConfigError(f"{key} has the word {word!r}, which YAML read as yes or no; put it in quotes")
    return {str(word): str(meaning) for word, meaning in setting.items()}


def _number(key: str, spelt: Settings, style: Style, joining: Joining) -> NumberReading:
    decimal = str(spelt.get("decimal", style.decimal))
    thousands = str(spelt.get("thousands", "" if "decimal" in spelt else style.thousands) or "")
    check_marks(key, decimal, thousands)
    if spelt.get("per") not in (None, "quantity"):
        raise ConfigError(f"{key}.per is {spelt['per']!r}; a total can be divided by: quantity")
    return NumberReading(
        inputs=_inputs(key, spelt, joining),
        decimal=decimal,
        thousands=thousands,
        strip=_strip(spelt) or style.strip,
        scale=_float(key, spelt, "scale", 1.0),
        add=_float(key, spelt, "add", 0.0),
        per="quantity" if spelt.get("per") else None,
    )


def _whole(key: str, spelt: Settings, style: Style, joining: Joining) -> Reading:
    if "rank_in" in spelt:
        check_keys(key, spelt, {"rank_in"})
        text = str(spelt["rank_in"])
        return WholeReading(number=RankReading(ranked=text if "[]" in text else f"{text}[]"))
    return WholeReading(number=_number(key, spelt, style, joining))


def _instant(key: str, spelt: Settings, style: Style, joining: Joining) -> Reading:
    time_format, zone = str(spelt.get("format", style.time_format)), str(spelt.get("zone", style.zone))
    check_time_format(f"{key}.format", time_format)
    check_zone(f"{key}.zone", zone)
    column = spelt.get("zone_column")
    return InstantReading(
        inputs=_inputs(key, spelt, joining),
        time_format=time_format,
        zone=zone,
        zone_column=None if column is None else str(column),
    )


def _list(key: str, spelt: Settings, style: Style, joining: Joining) -> Reading:
    for name, flags in (("named", False), ("agreed", True)):
        if name in spelt:
            columns = words_of(f"{key}.{name}", spelt[name])
            return NamedReading(columns=columns, flags=flags, optional=_is_set(key, spelt, "optional"))
    separator = spelt.get("separator")
    inputs = _inputs(key, spelt, Joining(most=1))
    return ListReading(inputs=inputs, separator=None if separator is None else str(separator))


def check_marks(key: str, decimal: str, thousands: str) -> None:
    """Raises ConfigError unless these two marks can tell a number."""
    if decimal not in (".", ",") or decimal == thousands or len(thousands) > 1 or thousands.isalnum():
        raise ConfigError(
            f"{key} has decimal {decimal!r} and thousands {thousands!r}; decimal is '.' or ',', "
            "thousands another single mark, or empty"
        )


def check_time_format(key: str, time_format: str) -> None:
    """Raises ConfigError unless times can be read so."""
    if time_format not in TIME_FORMATS and "%" not in time_format:
        raise ConfigError(f"{key} is {time_format!r}; use {', '.join(TIME_FORMATS)} or a pattern with %")


def check_zone(key: str, zone: str) -> None:
    """Raises ConfigError unless this is an IANA zone."""
    if not is_zone(zone):
        raise ConfigError(f"{key} is {zone!r}, which is no IANA zone such as Europe/Berlin")


def _strip(spelt: Settings) -> tuple[str, ...]:
    return names_of(spelt["strip"]) if spelt.get("strip") else ()


def _float(key: str, spelt: Settings, name: str, default: float) -> float:
    value = spelt.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or (name == "scale" and not value):
        raise ConfigError(f"{key}.{name} is {value!r}; give a number" + (" that is not 0" if name == "scale" else ""))
    return float(value)


def _is_set(key: str, spelt: Settings, name: str) -> bool:
    value = spelt.get(name, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{key}.{name} is {value!r}; write true or false")
    return value


_NUMERIC = frozenset({"decimal", "thousands", "strip", "scale", "add"})
_KINDS: Mapping[pa.DataType, tuple[Callable[[str, Settings, Style, Joining], Reading], frozenset[str]]] = (
    MappingProxyType(
        {
            pa.string(): (_text, frozenset({"strip", "values"})),
            pa.bool_(): (_text, frozenset({"strip", "values"})),
            pa.float32(): (_number, _NUMERIC | {"per"}),
            pa.float64(): (_number, _NUMERIC | {"per"}),
            pa.int32(): (_whole, _NUMERIC | {"rank_in"}),
            pa.timestamp("us", tz="UTC"): (_instant, frozenset({"format", "zone", "zone_column"})),
            pa.list_(pa.string()): (_list, frozenset({"separator", "named", "agreed"})),
        }
    )
)
"""How a field of each type is read, and what its setting may say beside the column."""
