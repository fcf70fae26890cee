"""Delimited text (CSV, TSV, also compressed), read in blocks so that every line is accounted for.

Arrow's CSV reader is fast but loses lines: a stray quote swallows what follows, bad UTF-8 stops the whole file. So
the file is cut at line ends first, and Arrow parses blocks of lines whose number must come out right. Where it does
not, the halves of the block are parsed apart, down to the line at fault. A quoted value may hold line breaks only
where the settings say so (`multiline`), because finding the end of such a record costs time.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from recsys.data.tabular.block import Block, Refusal
from recsys.data.tabular.lines import SAMPLE_BYTES, numbered, pieces, sound
from recsys.data.tabular.multiline import Joiner, leaves_open
from recsys.errors import SourceError

_OPEN_QUOTE = "a quote is not closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DelimitedFile:
    """One text file; `header` names the columns of a file that has no header line."""

    path: Path
    origin: str
    delimiter: str = ","
    header: tuple[str, ...] | None = None
    multiline: bool = False
    encoding: str = "utf-8"

    def column_names(self) -> tuple[str, ...]:
        """The names in the header line, or `header`."""
        if self.header is not None:
            return self.header
        first = next(pieces(self.path, encoding=self.encoding, size=SAMPLE_BYTES), b"")
        line = first.split(b"\n", 1)[0].rstrip(b"\r")
        if not line:
            raise SourceError(f"{self.path} has no header line; name its columns in data.header if it never had one")
        try:
            return tuple(next(csv.reader([line.decode()], delimiter=self.delimiter)))
        except UnicodeDecodeError as error:
            raise SourceError(
                f"the header line of {self.path} is not UTF-8 ({error}); name the encoding, "
                "for instance data.encoding=cp1252 (Windows) or utf-16"
            ) from error

    @property
    def certain(self) -> bool:
        """The header says all."""
        return True

    def schema(self) -> pa.Schema:
        """The columns, all of them texts."""
        return pa.schema([(name, pa.string()) for name in self.column_names()])

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """The lines, piece by piece, with those of the columns `wanted` that there are."""
        names = self.column_names()
        parser = _Parser(
            names=names,
            wanted=tuple(name for name in wanted if name in names),
            delimiter=self.delimiter,
            multiline=self.multiline,
        )
        for lines, rows in self._records(len(names)):
            if len(rows) and rows[0] == 1 and self.header is None:
                lines, rows = lines[1:], rows[1:]
            yield self._block(parser, lines, rows)

    def _records(self, fields: int) -> Iterator[tuple[list[bytes], np.ndarray]]:
        lines = numbered(self.path, encoding=self.encoding)
        return Joiner(delimiter=self.delimiter, fields=fields).records(lines) if self.multiline else lines

    def _block(self, parser: "_Parser", lines: list[bytes], rows: np.ndarray) -> Block:
        lines, rows, refused = sound(lines, rows)
        columns, bad = parser.parse(lines)
        refused += [Refusal(int(rows[place]), reason, lines[place]) for place, reason in bad.items()]
        good = [line for place, line in enumerate(lines) if place not in bad] if bad else lines
        return Block(
            origin=self.origin,
            columns=columns,
            row=np.delete(rows, list(bad)),
            lines=good,
            refused=sorted(refused, key=lambda refusal: refusal.row),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parser:
    names: tuple[str, ...]
    wanted: tuple[str, ...]
    delimiter: str
    multiline: bool

    def parse(self, lines: list[bytes]) -> tuple[pa.Table, dict[int, str]]:
        """The columns of the good lines, and for every bad line its place and reason."""
        try:
            columns, bad = self._attempt(lines)
        except pa.ArrowInvalid:
            columns, bad = self._attempt([])
        if columns.num_rows + len(bad) == len(lines):
            return columns, bad
        if len(lines) == 1:
            return columns.slice(0, 0), {0: _OPEN_QUOTE}
        # A quick filter; Arrow has the last word.
        suspects = {n for n, line in enumerate(lines) if line.count(b'"') % 2 and leaves_open(line, self.delimiter)}
        if suspects:
            places = [place for place in range(len(lines)) if place not in suspects]
            columns, bad = self.parse([lines[place] for place in places])
            return columns, {places[place]: why for place, why in bad.items()} | dict.fromkeys(suspects, _OPEN_QUOTE)
        middle = len(lines) // 2
        head, bad_head = self.parse(lines[:middle])
        tail, bad_tail = self.parse(lines[middle:])
        return pa.concat_tables([head, tail]), bad_head | {middle + place: why for place, why in bad_tail.items()}

    def _attempt(self, lines: list[bytes]) -> tuple[pa.Table, dict[int, str]]:
        """One run of Arrow's parser; the numbers do not add up where a quote was left open."""
        bad: dict[int, str] = {}

        def refuse(row: pacsv.InvalidRow) -> str:
            bad[row.number - 1] = "too many fields" if row.actual_columns > row.expected_columns else "too few fields"
            return "skip"

        # An open quote in the last line would go unseen, if there were no last row for it to swallow.
        sentinel = self.delimiter.encode() * (len(self.names) - 1) + b"\n"
        data = b"\n".join([*lines, sentinel])
        table = pacsv.read_csv(
            pa.py_buffer(data),
            # One thread, or rows have no number.
            read_options=pacsv.ReadOptions(column_names=list(self.names), use_threads=False, block_size=len(data) + 1),
            parse_options=pacsv.ParseOptions(
                delimiter=self.delimiter,
                invalid_row_handler=refuse,
                ignore_empty_lines=False,
                newlines_in_values=self.multiline,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(self.wanted, pa.string()),
                include_columns=list(self.wanted),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
        return table.slice(0, max(table.num_rows - 1, 0)), bad
