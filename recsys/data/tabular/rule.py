"""What becomes of a row: rules that choose by the row's values which events it gives, and how their fields are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from recsys.data.tabular.condition import Condition, conditions_of
from recsys.data.tabular.reading import NumberReading, Reading
from recsys.data.tabular.records import Explode
from recsys.data.tabular.spelling import Joining, Settings, Style, check_keys, names_of, reading_of
from recsys.errors import ConfigError
from recsys.event import EVENT_SCHEMA, EventType

EVENT_FIELDS = frozenset(EVENT_SCHEMA.names)
_NO_CONSTANTS = frozenset({"occurred_at", "event_id"})
_TYPES = frozenset(event_type.value for event_type in EventType)
_JOINING = {"occurred_at": Joining(between=" "), "query": Joining(between=" ", partly=True)}
_IDS = Joining(between="-")
_ALONE = Joining(most=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One event that a row gives, or one for each element of a list.

    Attributes:
        readings: canonical field -> how it is read.
        constants: canonical field -> the value of all rows.
        type: the canonical type, where neither a column nor a constant says it.
        left_out: the reason why such rows are left out on purpose; None where they are not.
        explode: the list whose elements give an event each.
    """

    readings: Mapping[str, Reading]
    constants: Mapping[str, object]
    type: str | None = None
    left_out: str | None = None
    explode: Explode | None = None

    def wanted(self) -> set[str]:
        """The columns to read."""
        return {name for reading in self.readings.values() for name in reading.wanted()}

    def changed(
        self,
        *,
        type: object,
        columns: Mapping[str, Reading | None],
        constants: Settings,
        explode: Explode | None,
    ) -> "Template":
        """This template with another type, other columns and constants; null takes one away."""
        readings = {n: r for n, r in self.readings.items() if n not in constants and columns.get(n, r) is not None}
        kept = {n: v for n, v in self.constants.items() if n not in columns and constants.get(n, v) is not None}
        return replace(
            self,
            type=None if type is None else str(type),
            readings=readings | {n: r for n, r in columns.items() if r is not None},
            constants=kept | {n: v for n, v in constants.items() if v is not None},
            explode=explode or self.explode,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Rows that meet all `conditions` give the events of `templates`."""

    conditions: tuple[Condition, ...] = ()
    templates: tuple[Template, ...] = field(default_factory=tuple)


def readings_of(key: str, columns: Settings, style: Style) -> dict[str, Reading]:
    """Canonical event field -> its reading; what is mapped to null is not mapped.

    Raises:
        ConfigError: no such field, or a spelling that cannot work.
    """
    check_keys(key, columns, EVENT_FIELDS)
    readings = {
        name: reading_of(
            f"{key}.{name}",
            setting,
            EVENT_SCHEMA.field(name).type,
            style=style,
            joining=_JOINING.get(name, _IDS if EVENT_SCHEMA.field(name).type == pa.string() else _ALONE),
        )
        for name, setting in columns.items()
        if setting is not None
    }
    quantity = readings.get("quantity")
    if isinstance(quantity, NumberReading) and quantity.per:
        raise ConfigError(f"{key}.quantity cannot be divided by the quantity; per belongs to prices")
    return readings


def constants_of(key: str, constants: Settings) -> dict[str, object]:
    """Canonical event field -> the value of all rows; what is set to null is not set.

    Raises:
        ConfigError: no such field, or a value of another type.
    """
    check_keys(key, constants, EVENT_FIELDS - _NO_CONSTANTS)
    found = {name: value for name, value in constants.items() if value is not None}
    for name, value in found.items():
        try:
            pa.scalar(value, EVENT_SCHEMA.field(name).type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
            raise ConfigError(f"{key}.{name} is {value!r}, which is no {EVENT_SCHEMA.field(name).type}") from error
    if "type" in found:
        check_type(f"{key}.type", found["type"])
    return found


def check_type(key: str, value: object) -> None:
    """Raises ConfigError unless this is a canonical type."""
    if value not in _TYPES:
        raise ConfigError(
            f"{key} is {value!r}, which is no type of event here; use one of {', '.join(t.value for t in EventType)}"
        )


def explode_of(key: str, setting: object) -> Explode | None:
    """The list to take apart: a path, several walked in step, or {column: ..., separator: ...}."""
    if setting is None:
        return None
    if isinstance(setting, Mapping):
        check_keys(key, setting, {"column", "separator"})
        separator = setting.get("separator")
        found = Explode(lists=names_of(setting.get("column", ())), separator=str(separator) if separator else None)
    else:
        found = Explode(lists=names_of(setting))
    if not found.lists or any("[]" in name for name in found.lists):
        raise ConfigError(
            f"{key} is {setting!r}; name the list itself, such as items or order.lines; columns then read "
            "its elements as items[].price, or items[] where they are single values"
        )
    return found


def rule_of(key: str, setting: object, base: Template, style: Style) -> Rule:
    """The rule that a setting spells, its events being `base` with changes.

    Raises:
        ConfigError: the rule says neither what type a row gives nor what events, or says it in a way that cannot work.
    """
    if not isinstance(setting, Mapping):
        raise ConfigError(f"{key} is {setting!r}; write {{when: {{column: NAME, equals: VALUE}}, type: TYPE}}")
    check_keys(key, setting, {"when", "type", "events"})
    if ("type" in setting) == ("events" in setting):
        raise ConfigError(f"{key} needs either type: (one, several, or null to leave the row out) or events: [...]")
    conditions = () if setting.get("when") is None else conditions_of(f"{key}.when", setting["when"])
    if "type" in setting and setting["type"] is None:
        reason = "rule " + " and ".join(condition.words for condition in conditions) if conditions else "rule for all"
        return Rule(conditions=conditions, templates=(replace(base, left_out=reason),))
    events = setting["events"] if "events" in setting else [{"type": name} for name in names_of(setting["type"])]
    if not isinstance(events, Sequence) or isinstance(events, str) or not events:
        raise ConfigError(f"{key}.events is {events!r}; give a list of {{type: ..., columns: {{...}}}}")
    templates = [_template(f"{key}.events[{number}]", one, base, style) for number, one in enumerate(events)]
    return Rule(conditions=conditions, templates=tuple(templates))


def _template(key: str, setting: object, base: Template, style: Style) -> Template:
    if not isinstance(setting, Mapping):
        raise ConfigError(f"{key} is {setting!r}; write {{type: TYPE, columns: {{...}}, constants: {{...}}}}")
    check_keys(key, setting, {"type", "columns", "constants", "explode"})
    columns, constants = setting.get("columns") or {}, setting.get("constants") or {}
    readings = readings_of(f"{key}.columns", columns, style)
    fixed = constants_of(f"{key}.constants", constants)
    if "type" in setting:
        check_type(f"{key}.type", setting["type"])
    explode = explode_of(f"{key}.explode", setting.get("explode"))
    if explode and base.explode:
        raise ConfigError(f"{key}.explode comes on top of data.explode; a row's list is taken apart once, drop one")
    return base.changed(
        type=setting.get("type"),
        columns={str(name): readings.get(name) for name in columns},
        constants={str(name): fixed.get(name) for name in constants},
        explode=explode,
    )
