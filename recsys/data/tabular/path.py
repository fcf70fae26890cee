"""Where in a row a value stands: `price`, `context.page.url`, `products[].price`, `event_params[key=term].value.text`.

`a.b` is the field b of the object a; `a[]` are the elements of the list a; `a[key=x]` is the first element of a list of
objects whose field `key` says "x". A column whose whole name reads like a path is that column.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NAME = r"[^.\[\]]+"
_BRACKET = r"\[(?:[^=\]]+=[^\]]+)?\]"
_STEP = re.compile(rf"\[([^=\]]+)=([^\]]+)\]|(\[\])|({_NAME})")
_PATH = re.compile(rf"{_NAME}(?:{_BRACKET})*(?:\.{_NAME}(?:{_BRACKET})*)*")
_WRAPPERS = {"list": "element", "bag": "array_element"}
"""How some Parquet writers wrap a list: an object of one list of objects of one element."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object, or the value at one key of a map."""

    name: str

    def of(self, array: pa.Array) -> pa.Array:
        """The field of every row [R]; null where there is none."""
        if pa.types.is_map(array.type):
            return pc.map_lookup(array, pa.scalar(self.name, array.type.key_type), "first")
        if pa.types.is_struct(array.type) and array.type.get_field_index(self.name) >= 0:
            return pc.struct_field(array, [array.type.get_field_index(self.name)])
        return pa.nulls(len(array))

    def type_in(self, kind: pa.DataType) -> pa.DataType | None:
        """The field's type in objects of type `kind`."""
        if pa.types.is_map(kind):
            return kind.item_type
        known = pa.types.is_struct(kind) and kind.get_field_index(self.name) >= 0
        return kind.field(self.name).type if known else None


@dataclass(frozen=True, slots=True)
class Select:
    """The first element of a list of objects whose field `key` is `value`."""

    key: str
    value: str

    def of(self, array: pa.Array) -> pa.Array:
        """The element of every row [R]; null where there is none."""
        if element_type(array.type) is None:
            return pa.nulls(len(array))
        lengths, elements = elements_of(array)
        keys = pc.cast(Field(self.key).of(elements), pa.string())
        places = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(keys, self.value), False)))
        rows, first = np.unique(np.repeat(np.arange(len(array)), lengths)[places], return_index=True)
        chosen = np.full(len(array), -1)
        chosen[rows] = places[first]
        return elements.take(pa.array(chosen, mask=chosen < 0))

    def type_in(self, kind: pa.DataType) -> pa.DataType | None:
        """The elements' type in lists of type `kind`."""
        return element_type(kind)


@dataclass(frozen=True, slots=True)
class Each:
    """The elements of a list."""

    def type_in(self, kind: pa.DataType) -> pa.DataType | None:
        """The elements' type in lists of type `kind`."""
        return element_type(kind)


Step = Field | Select | Each


def steps_of(text: str) -> tuple[Step, ...] | None:
    """The steps of a path; None where the text is none, like "Price [EUR]"."""
    if not _PATH.fullmatch(text):
        return None
    found = (match.groups() for match in _STEP.finditer(text))
    return tuple(Field(name) if name else Each() if each else Select(key, value) for key, value, each, name in found)


def list_of(text: str) -> str | None:
    """The list of whose elements a path speaks: "products" of "products[].price"; None where it speaks of none."""
    base, each, _ = text.partition("[]")
    return base if each else None


def root_of(text: str) -> str:
    """The column that a path begins with."""
    return re.split(r"[.\[]", text, maxsplit=1)[0]


def lookup(columns: pa.Table, text: str) -> pa.Array:
    """The values of a path [R]: single ones, or lists of single ones; null where there are none."""
    steps: tuple[Step, ...] | None = ()
    name = text
    if text not in columns.column_names:
        steps, name = steps_of(text), root_of(text)
    if steps is None or name not in columns.column_names:
        return pa.nulls(columns.num_rows)
    return _walk(columns[name].combine_chunks(), steps[1:])


def type_of(schema: pa.Schema, text: str) -> pa.DataType | None:
    """The type of a path's values, or of the lists of them; None where the schema has no such path."""
    if text in schema.names:
        return schema.types[schema.names.index(text)]
    steps = steps_of(text)
    if steps is None or root_of(text) not in schema.names:
        return None
    kind: pa.DataType | None = schema.types[schema.names.index(root_of(text))]
    for step in steps[1:]:
        kind = None if kind is None else step.type_in(_decoded(kind))
    return kind


def leaf_paths(schema: pa.Schema) -> Iterator[str]:
    """Every path of a schema that leads to single values."""
    for field in schema:
        yield from _paths_below(field.name, field.type)


def is_object(kind: pa.DataType) -> bool:
    """Whether values of this type are objects or maps, or lists of them: nothing that a field could hold."""
    inner: pa.DataType | None = kind
    while inner is not None:
        kind, inner = inner, element_type(inner)
    return bool(pa.types.is_struct(kind) or pa.types.is_map(kind))


def element_type(kind: pa.DataType) -> pa.DataType | None:
    """The type of a list's elements; None where it is no list."""
    wrapper = _wrapper(kind)
    if wrapper is not None:
        inner = kind.field(0).type.value_type
        wrapped = pa.types.is_struct(inner) and inner.num_fields == 1 and inner.field(0).name == _WRAPPERS[wrapper]
        return _decoded(inner.field(0).type if wrapped else inner)
    return _decoded(kind.value_type) if _is_list(kind) else None


def elements_of(lists: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """How many elements every list has [R] (0 for null), and all of them in a row."""
    kind = element_type(lists.type)
    if _wrapper(lists.type) is not None:
        lists = pc.struct_field(lists, [0])
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    elements = pc.list_flatten(lists)
    if pa.types.is_dictionary(elements.type):
        elements = elements.dictionary_decode()
    if not elements.type.equals(kind):
        elements = pc.struct_field(elements, [0])
    return lengths, elements


def as_lists(lengths: np.ndarray, values: pa.Array, missing: np.ndarray) -> pa.Array:
    """Lists [R] of single values, from their elements in a row; null where `missing`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(missing) if missing.any() else None)


def _walk(array: pa.Array, steps: tuple[Step, ...]) -> pa.Array:
    for number, step in enumerate(steps):
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if isinstance(step, Each):
            return _of_each(array, steps[number + 1 :])
        array = step.of(array)
    return _of_each(array, ()) if element_type(array.type) is not None else _single(array)


def _of_each(lists: pa.Array, steps: tuple[Step, ...]) -> pa.Array:
    if element_type(lists.type) is None:
        return pa.nulls(len(lists))
    lengths, elements = elements_of(lists)
    values = _walk(elements, steps)
    if pa.types.is_list(values.type):
        values = pa.nulls(len(values))
    return as_lists(lengths, values, np.asarray(pc.is_null(lists)))


def _single(array: pa.Array) -> pa.Array:
    """Single values in one type for each meaning; objects are null."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_nested(array.type):
        return pa.nulls(len(array))
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        return pc.cast(array, pa.string())
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type) or pa.types.is_binary_view(array.type):
        return pc.cast(array, pa.binary()).view(pa.string())  # not looked at: whoever reads the file checks it
    return array


def _wrapper(kind: pa.DataType) -> str | None:
    if not pa.types.is_struct(kind) or kind.num_fields != 1 or not _is_list(kind.field(0).type):
        return None
    name: str = kind.field(0).name
    return name if name in _WRAPPERS else None


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    plain = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind)
    return bool(plain or pa.types.is_fixed_size_list(kind))


def _paths_below(name: str, kind: pa.DataType) -> Iterator[str]:
    element = element_type(kind)
    if element is not None:
        yield from _paths_below(f"{name}[]", element)
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _paths_below(f"{name}.{kind.field(number).name}", kind.field(number).type)
    else:
        yield name
