"""Delimited text (CSV, TSV, also compressed), read in blocks so that every line is accounted for.

Arrow's CSV reader is fast but loses lines: a stray quote swallows what follows, bad UTF-8 stops the whole file. So
the file is cut at line ends first, and Arrow parses blocks of lines whose number must come out right. Where it does
not, the halves of the block are parsed apart, down to the line at fault. The price: a quoted value must not hold a
line break.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from recsys.data.tabular.block import Block, Refusal
from recsys.errors import SourceError

BLOCK_BYTES = 8 * 2**20
_LONGEST_LINE = 64 * 2**20
_OPEN_QUOTE = "a quote is not closed"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class DelimitedFile:
    """One text file; `header` names the columns of a file that has no header line."""

    path: Path
    origin: str
    delimiter: str = ","
    header: tuple[str, ...] | None = None

    def column_names(self) -> tuple[str, ...]:
        """The names in the header line, or `header`."""
        if self.header is not None:
            return self.header
        first = next(self._pieces(), b"").split(b"\n", 1)[0].rstrip(b"\r")
        if not first:
            raise SourceError(f"{self.path} has no header line; name its columns in `header` if it never had one")
        try:
            return tuple(next(csv.reader([first.decode()], delimiter=self.delimiter)))
        except UnicodeDecodeError as error:
            raise SourceError(f"the header line of {self.path} is not UTF-8 ({error}); re-encode the file") from error

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """The lines, piece by piece, with the columns `wanted`."""
        names = self.column_names()
        number = 1
        for piece in self._pieces():
            lines = piece.removesuffix(b"\n").split(b"\n")
            rows = np.arange(number, number + len(lines))
            number += len(lines)
            if rows[0] == 1 and self.header is None:
                lines, rows = lines[1:], rows[1:]
            yield self._block(names, wanted, lines, rows)

    def _pieces(self) -> Iterator[bytes]:
        """Whole lines, about `BLOCK_BYTES` at a time."""
        rest = b""
        try:
            with pa.input_stream(str(self.path), compression="detect") as stream:
                mark = _BYTE_ORDER_MARK
                while data := stream.read(BLOCK_BYTES):
                    piece, end, rest = (rest + data).rpartition(b"\n")
                    if len(rest) > _LONGEST_LINE:
                        raise SourceError(f"{self.path} holds a line of more than 64 MiB; is it a text table?")
                    if end:
                        yield (piece + end).removeprefix(mark)
                        mark = b""
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read to its end: {error}") from error
        if rest:
            yield rest.removeprefix(mark)

    def _block(self, names: Sequence[str], wanted: Sequence[str], lines: list[bytes], rows: np.ndarray) -> Block:
        lines, rows, refused = _sound_lines(lines, rows)
        parser = _Parser(names=tuple(names), wanted=tuple(wanted), delimiter=self.delimiter)
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


def _sound_lines(lines: list[bytes], rows: np.ndarray) -> tuple[list[bytes], np.ndarray, list[Refusal]]:
    """Lines without their carriage returns; empty ones are dropped, undecodable ones refused."""
    whole = b"\n".join(lines)
    if b"\r" in whole:
        lines = [line.removesuffix(b"\r") for line in lines]
        whole = b"\n".join(lines)
    if all(lines) and b"\r" not in whole and _is_text(whole):
        return lines, rows, []
    refused = []
    keep = []
    for place, line in enumerate(lines):
        if not (line.isascii() or _is_text(line)):
            refused.append(Refusal(int(rows[place]), "is not UTF-8", line))
        elif b"\r" in line:
            refused.append(Refusal(int(rows[place]), "holds a stray carriage return", line))
        elif line:
            keep.append(place)
    return [lines[place] for place in keep], rows[keep], refused


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parser:
    names: tuple[str, ...]
    wanted: tuple[str, ...]
    delimiter: str

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
        suspects = {place for place, line in enumerate(lines) if line.count(b'"') % 2 and self._leaves_open(line)}
        if suspects:
            places = [place for place in range(len(lines)) if place not in suspects]
            columns, bad = self.parse([lines[place] for place in places])
            return columns, {places[place]: why for place, why in bad.items()} | dict.fromkeys(suspects, _OPEN_QUOTE)
        middle = len(lines) // 2
        head, bad_head = self.parse(lines[:middle])
        tail, bad_tail = self.parse(lines[middle:])
        return pa.concat_tables([head, tail]), bad_head | {middle + place: why for place, why in bad_tail.items()}

    def _leaves_open(self, line: bytes) -> bool:
        """Whether a quote in this line would swallow the next line; a quick filter, Arrow has the last word."""
        try:
            return len(list(csv.reader([line.decode() + "\n", "\n"], delimiter=self.delimiter))) == 1
        except csv.Error:
            return False

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
                delimiter=self.delimiter, invalid_row_handler=refuse, ignore_empty_lines=False
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(self.wanted, pa.string()),
                include_columns=list(self.wanted),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
        return table.slice(0, max(table.num_rows - 1, 0)), bad
