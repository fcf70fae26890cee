"""JSON taken apart object by object: slower than Arrow, but not put off by values of different types."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from recsys.data.tabular.path import Each, Field, Select, Step, as_lists, steps_of

EXACT = 2**53
"""Whole numbers from here on do not survive as float64."""

Object = Mapping[str, object]


def loaded(line: bytes) -> Object | None:
    """The object of a line; None where it is none."""
    try:
        found = json.loads(line)
        if b"\\u" in line:
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def values_at(objects: Sequence[Object], path: str) -> pa.Array:
    """What stands at a path of every object [R]: single values or, if there is one list, lists of them.

    Mixed types become text, and among lists a single value is a list of one.
    """
    alone, steps = (Field(path),), steps_of(path) or (Field(path),)
    values = [_value(found, alone if path in found else steps) for found in objects]
    if not any(isinstance(value, list) for value in values):
        return _column(values)
    lists = [value if isinstance(value, list | None) else [value] for value in values]
    lengths = np.array([len(value) if value is not None else 0 for value in lists], np.int64)
    elements = _column([one for value in lists if value is not None for one in value])
    return as_lists(lengths, elements, np.array([value is None for value in lists]))


def schema_of(objects: Sequence[Object]) -> pa.Schema:
    """The paths that occur in objects whose types do not agree, all of them as text."""
    tree: dict[str, object] = {}
    for found in objects:
        _collect(tree, found)
    return pa.schema([pa.field(name, type_of_tree(branch)) for name, branch in tree.items()])


def type_of_tree(branch: object) -> pa.DataType:
    """The type of nested dictionaries of types; the key [] makes a list of what is below it."""
    if not isinstance(branch, dict):
        return branch
    if "[]" in branch:
        return pa.list_(type_of_tree(branch["[]"]))
    return pa.struct([pa.field(name, type_of_tree(below)) for name, below in branch.items()])


def _value(found: object, steps: Sequence[Step]) -> object:
    for number, step in enumerate(steps):
        if isinstance(step, Each):
            return [_value(one, steps[number + 1 :]) for one in found] if isinstance(found, list) else None
        if isinstance(step, Select):
            elements = found if isinstance(found, list) else []
            found = next((e for e in elements if isinstance(e, dict) and e.get(step.key) == step.value), None)
        else:
            found = found.get(step.name) if isinstance(found, dict) else None
    return found


def _column(values: Sequence[object]) -> pa.Array:
    single = [None if isinstance(value, dict | list) else value for value in values]
    kinds = {type(value) for value in single} - {type(None)}
    if len(kinds) == 1 and kinds != {int}:
        return pa.array(single)
    if kinds and kinds <= {int, float} and all(abs(n) < EXACT for n in single if isinstance(n, int)):
        return pa.array(single, pa.float64() if float in kinds else pa.int64())
    return pa.array([None if value is None else _text(value) for value in single], pa.string())


def _text(value: object) -> str:
    """As Arrow would write it: true, 3 for 3.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else str(value)


def _collect(tree: dict[str, object], found: object) -> None:
    pairs = found.items() if isinstance(found, dict) else [("[]", one) for one in found] if found else []  # type: ignore[attr-defined]
    for name, value in pairs:
        if isinstance(value, dict | list) and value:
            below = tree.setdefault(name, {})
            if isinstance(below, dict):
                _collect(below, value)
        elif not isinstance(tree.get(name), dict):
            tree[name] = pa.string()
