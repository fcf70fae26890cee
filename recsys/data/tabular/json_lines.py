"""JSON lines (one object per line, also compressed), read in blocks so that every line is accounted for.

Arrow parses a block at once, and only the paths that are wanted. It is believed only where every line begins and ends
like an object and the number of rows is that of the lines: then each line was one object. Where Arrow gives up, the
broken lines are found one by one and refused; if it gives up again, because values of one path are of different
types, the block is taken apart object by object.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from recsys.data.tabular.block import Block, Refusal
from recsys.data.tabular.json_values import EXACT, loaded, schema_of, type_of_tree, values_at
from recsys.data.tabular.lines import SAMPLE_BYTES, numbered, pieces, sound
from recsys.data.tabular.path import Each, Field, Select, Step, lookup, steps_of, type_of
from recsys.errors import SourceError

_BROKEN = "is not a JSON object"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLines:
    """One file of JSON lines."""

    path: Path
    origin: str
    encoding: str = "utf-8"

    @property
    def certain(self) -> bool:
        """A path may occur first in a later line."""
        return False

    def schema(self) -> pa.Schema:
        """The paths and types that occur in the first lines."""
        piece = next(pieces(self.path, encoding=self.encoding, size=SAMPLE_BYTES), b"")
        lines, _, _ = sound(piece.split(b"\n"), np.arange(piece.count(b"\n") + 1))
        if lines and (lines[0].strip() == b"{" or lines[0].lstrip().startswith(b"[")):
            raise SourceError(
                f"{self.path} does not hold one JSON object per line, it begins with {lines[0][:20].decode()!r}; "
                "convert it, for instance with: jq -c '.[]' file.json > file.jsonl"
            )
        objects = [found for found in map(loaded, lines) if found is not None]
        try:
            return _read([line for line in lines if loaded(line) is not None], None).schema
        except pa.ArrowInvalid:
            return schema_of(objects)

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """The lines, piece by piece, with the paths `wanted`; null where a line has nothing there."""
        parser = _Parser(wanted=tuple(wanted))
        parser.learn(self.schema())
        for whole, numbers in numbered(self.path, encoding=self.encoding):
            lines, rows, refused = sound(whole, numbers)
            columns, bad = parser.parse(lines)
            refused += [Refusal(int(rows[place]), _BROKEN, lines[place]) for place in bad]
            yield Block(
                origin=self.origin,
                columns=columns,
                row=np.delete(rows, bad),
                lines=_without(lines, bad),
                refused=sorted(refused, key=lambda refusal: refusal.row),
            )


@dataclass(slots=True, kw_only=True)
class _Parser:
    """Remembers what types the wanted paths had; text until something else is seen."""

    wanted: tuple[str, ...]
    types: dict[str, pa.DataType] = field(default_factory=dict)

    def learn(self, schema: pa.Schema) -> None:
        """Take over the types of the wanted paths; what only looks like a time stays text."""
        for text in self.wanted:
            kind = type_of(schema, text)
            if kind is not None and not pa.types.is_null(kind):
                self.types[text] = _plain(kind)

    def parse(self, lines: list[bytes]) -> tuple[pa.Table, list[int]]:
        """The wanted columns of the good lines, and the places of the bad ones."""
        cut_off = [place for place, line in enumerate(lines) if not _looks_whole(line)]
        bad = [place for place in cut_off if loaded(lines[place]) is None]
        columns = self._attempt(_without(lines, bad))
        if columns is not None:
            return columns, bad
        objects = [loaded(line) for line in lines]
        bad = [place for place, found in enumerate(objects) if found is None]
        columns = self._attempt(_without(lines, bad)) if bad else None
        if columns is None:
            whole = [found for found in objects if found is not None]
            columns = pa.table({text: values_at(whole, text) for text in self.wanted})
            for text, column in zip(self.wanted, columns.columns, strict=True):
                kind = column.type.value_type if "[]" in text and pa.types.is_list(column.type) else column.type
                self.types[text] = kind
        return columns, bad

    def _attempt(self, lines: list[bytes]) -> pa.Table | None:
        """The columns by Arrow; None where they cannot be trusted."""
        lines = [line if _looks_whole(line) else line.strip() for line in lines]
        try:
            return self._exact(_read(lines, self._schema()), len(lines))
        except pa.ArrowInvalid:
            pass
        try:
            self.learn(_read(lines, None).schema)
            return self._exact(_read(lines, self._schema()), len(lines))
        except pa.ArrowInvalid:
            return None

    def _exact(self, table: pa.Table, rows: int) -> pa.Table | None:
        """The wanted columns, unless objects and lines differ in number or a long number lost its last digits."""
        found = {text: _either(table, text) for text in self.wanted}
        columns = {text: column for text, column in found.items() if column is not None}
        if table.num_rows != rows or len(columns) < len(found):
            return None
        plain = [column.values if pa.types.is_list(column.type) else column for column in columns.values()]
        numbers = [column for column in plain if pa.types.is_floating(column.type)]
        lossy = any(pc.any(pc.greater_equal(pc.abs(number), EXACT)).as_py() for number in numbers)
        return None if lossy else pa.table(columns)

    def _schema(self) -> pa.Schema:
        """The wanted paths and nothing else; each of them as a key of its own, too, if that has a dot in it."""
        tree: dict[str, object] = {}
        for text in self.wanted:
            steps = steps_of(text) or (Field(text),)
            if "." in text:
                _grow(tree, (Field(text),), self.types.get(text, pa.string()))
            for number, step in enumerate(steps):
                if isinstance(step, Select):
                    _grow(tree, [*steps[:number], Each(), Field(step.key)], pa.string())
            _grow(tree, steps, self.types.get(text, pa.string()))
        return pa.schema([pa.field(name, type_of_tree(branch)) for name, branch in tree.items()])


def _either(table: pa.Table, text: str) -> pa.Array | None:
    """The values of a path, be it a field of an object or one key with a dot in it; None where both occur."""
    alone = lookup(table, text)
    if "." not in text:
        return alone
    within = lookup(table.drop_columns([text]), text)
    both = alone.null_count < len(alone) and within.null_count < len(within)
    return None if both else within if alone.null_count == len(alone) else alone


def _read(lines: list[bytes], schema: pa.Schema | None) -> pa.Table:
    if not lines:
        fields = schema if schema is not None else ()
        return pa.table({one.name: pa.nulls(0, one.type) for one in fields})
    data = b"\n".join(lines) + b"\n"
    return pajson.read_json(
        pa.py_buffer(data),
        read_options=pajson.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pajson.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore"
        ),
    )


def _looks_whole(line: bytes) -> bool:
    """Arrow takes an object over two lines; between two lines that look like this there is none."""
    return line.startswith(b"{") and line.endswith(b"}")


def _without(lines: list[bytes], bad: list[int]) -> list[bytes]:
    dropped = set(bad)
    return [line for place, line in enumerate(lines) if place not in dropped] if bad else lines


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type to ask for: texts for what looks like a time, and for what was always null."""
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, _plain(one.type)) for one in kind.fields])
    return pa.string() if pa.types.is_timestamp(kind) or pa.types.is_null(kind) else kind


def _grow(tree: dict[str, object], steps: Sequence[Step], leaf: pa.DataType) -> None:
    """Hang a path's steps into a tree of the objects' fields; a list is a field that holds the key []."""
    names = [step.name if isinstance(step, Field) else "[]" for step in steps]
    node = tree
    for name in names[:-1]:
        below = node.setdefault(name, {})
        if not isinstance(below, dict):
            node[name] = below = {}
        node = below
    node.setdefault(names[-1], leaf)
