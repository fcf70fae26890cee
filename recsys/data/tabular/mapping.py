"""The settings of a table source -> its mapping of rows to events, checked for what contradicts itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from recsys.data.tabular.events import ANY_OTHER, EventMapping
from recsys.data.tabular.fitting import Need
from recsys.data.tabular.items import ItemMapping
from recsys.data.tabular.path import list_of
from recsys.data.tabular.reading import InstantReading, RankReading, Reading, WholeReading
from recsys.data.tabular.rule import Template, check_type, constants_of, explode_of, readings_of, rule_of
from recsys.data.tabular.spelling import Settings, Style
from recsys.errors import ConfigError

_ESSENTIAL = ("occurred_at", "type")
_SHOPPER = ("user_id", "anonymous_id")


def event_mapping_of(
    *,
    columns: Settings,
    constants: Settings,
    type_values: Mapping[str, str | None],
    rules: Sequence[object],
    explode: object,
    missing: Sequence[str],
    style: Style,
    items: ItemMapping,
) -> EventMapping:
    """The mapping that the settings of these names spell (see `recsys.data.table.TableSource`).

    Raises:
        ConfigError: settings that contradict each other or name what does not exist.
    """
    if isinstance(rules, Mapping | str):
        raise ConfigError(
            f"data.rules is {rules!r}; write a list, one rule after the other, each beginning with a dash"
        )
    base = Template(
        readings=readings_of("data.columns", columns, style),
        constants=constants_of("data.constants", constants),
        explode=explode_of("data.explode", explode),
    )
    both = sorted(set(base.readings) & set(base.constants))
    if both:
        raise ConfigError(f"data gives {', '.join(both)} both as a column and as a constant; drop one (set it to null)")
    mapping = EventMapping(
        base=base,
        rules=tuple(rule_of(f"data.rules[{number}]", one, base, style) for number, one in enumerate(rules)),
        type_values=_type_values(type_values),
        missing=tuple(missing),
        style=style,
        items=items,
    )
    _check_complete(mapping)
    _check_lists(mapping)
    return mapping


def event_needs(mapping: EventMapping) -> list[Need]:
    """What columns every event file must have."""
    essential = [name for name in (*_ESSENTIAL, *_SHOPPER) if name in mapping.base.readings]
    shopper = [name for name in essential if name in _SHOPPER]
    needs = [
        Need(
            reading.needs(),
            essential=name in essential and (name not in _SHOPPER or len(shopper) == 1),
            textual=is_textual(reading),
        )
        for template in mapping.templates()
        for name, reading in template.readings.items()
    ]
    if len(shopper) == 2 and all(mapping.base.readings[name].needs() for name in shopper):
        either = tuple(choice for name in shopper for choice in mapping.base.readings[name].needs())
        needs.append(Need(either, essential=True))
    needs += item_needs(mapping.items)
    needs += [Need(((condition.column,),)) for rule in mapping.rules for condition in rule.conditions]
    needs += [Need(((name,),), whole=True) for name in _lists(mapping)]
    mapped = [tuple(tuple(map(mapping.column_of, names)) for names in need.choices) for need in needs]
    return [replace(need, choices=choices) for choices, need in zip(mapped, needs, strict=True)]


def item_needs(mapping: ItemMapping) -> list[Need]:
    """What columns every file must have in which items are described."""
    return [
        Need(reading.needs(), essential=reading is mapping.item_id, textual=is_textual(reading))
        for reading in mapping.all_readings()
    ]


def is_textual(reading: Reading) -> bool:
    """Whether this reads times that are no numbers."""
    return isinstance(reading, InstantReading) and reading.time_format == "iso"


def _type_values(type_values: Mapping[str, str | None]) -> dict[str, str | None]:
    for word, value in type_values.items():
        if isinstance(word, bool):
            raise ConfigError(f"data.type_values has the word {word!r}, which YAML read as yes or no; put it in quotes")
        if value is not None:
            check_type(f"data.type_values.{word}", value)
    return {str(word): value for word, value in type_values.items()}


def _check_complete(mapping: EventMapping) -> None:
    base = mapping.base
    had = ", ".join(sorted(base.readings))
    if "occurred_at" not in base.readings:
        raise ConfigError(f"data.columns does not say which column is 'occurred_at'; it has: {had}")
    if not any("item_id" in template.readings for template in mapping.templates()):
        raise ConfigError(f"data.columns does not say which column is 'item_id'; it has: {had}")
    if not set(_SHOPPER) & set(base.readings):
        raise ConfigError(f"data.columns needs user_id or anonymous_id; it has: {had}")
    if "type" not in {*base.readings, *base.constants} and not mapping.rules:
        raise ConfigError("data has no event type; map columns.type, or set constants.type, for instance to purchase")
    if mapping.type_values.get(ANY_OTHER) is not None and "type" not in base.readings:
        raise ConfigError(f"data.type_values.{ANY_OTHER} has no column to speak of; map columns.type")


def _check_lists(mapping: EventMapping) -> None:
    """Every list that is taken apart must be read by a column, or its elements would be lost without a word."""
    for template in mapping.templates():
        if template.explode and template.left_out is None:
            read = template.wanted() | mapping.items.wanted()
            for name in template.explode.lists:
                if not any(list_of(text) == name for text in read):
                    raise ConfigError(
                        f"data.explode takes {name!r} apart, but no column reads its elements; "
                        f"write columns.item_id: {name}[].NAME, or {name}[] where they are single values"
                    )


def _lists(mapping: EventMapping) -> Iterator[str]:
    """The lists that are taken apart or that a rank is sought in."""
    for template in mapping.templates():
        yield from template.explode.lists if template.explode else ()
        position = template.readings.get("position")
        if isinstance(position, WholeReading) and isinstance(position.number, RankReading):
            yield position.number.ranked.removesuffix("[]")
