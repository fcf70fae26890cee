"""Puts lines together again where a quoted value holds line breaks, without letting a stray quote swallow the rest.

A quote that is left open starts a record of several lines only if a later line closes it, the whole then has as many
fields as the header, and no line between would be a row of its own. Otherwise the line with the open quote stands
alone and is refused, and the next one is read as if nothing had happened.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MOST_LINES = 1_000
"""A value of more lines is taken for a quote that was never closed."""

Numbered = tuple[list[bytes], np.ndarray]


def leaves_open(line: bytes, delimiter: str) -> bool:
    """Whether a quote in this line, which has an odd number of them, would swallow the next line."""
    try:
        return len(list(csv.reader([line.decode("utf-8", "replace") + "\n", "\n"], delimiter=delimiter))) == 1
    except csv.Error:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Joiner:
    """Lines -> records of `fields` fields."""

    delimiter: str
    fields: int

    def records(self, pieces: Iterator[Numbered]) -> Iterator[Numbered]:
        """The pieces with broken records joined; a record has the number of its first line."""
        held: list[bytes] = []
        rows = np.empty(0, np.int64)
        for lines, numbers in pieces:
            held, rows = [*held, *lines], np.concatenate([rows, numbers])
            records, starts, taken = self._join(held, last=False)
            yield records, rows[starts]
            held, rows = held[taken:], rows[taken:]
        if held:
            records, starts, _ = self._join(held, last=True)
            yield records, rows[starts]

    def _join(self, lines: list[bytes], *, last: bool) -> tuple[list[bytes], np.ndarray, int]:
        """Records, where they start, and how many lines they took; the tail waits for lines that may close it."""
        records: list[bytes] = []
        starts: list[int] = []
        position = 0
        odd = [place for place, line in enumerate(lines) if line.count(b'"') % 2]
        for place in [place for place in odd if leaves_open(lines[place], self.delimiter)]:
            if place < position:
                continue
            records += lines[position:place]
            starts += range(position, place)
            position = place
            end = self._end(lines, place)
            if end is None:
                if not last and len(lines) - place <= MOST_LINES:
                    return records, np.array(starts, np.int64), place
                continue
            records.append(b"\n".join(line.removesuffix(b"\r") for line in lines[place : end + 1]))
            starts.append(place)
            position = end + 1
        records += lines[position:]
        starts += range(position, len(lines))
        return records, np.array(starts, np.int64), len(lines)

    def _end(self, lines: list[bytes], start: int) -> int | None:
        """The line that completes the record begun at `start`; `start` if it stands alone, None if lines are wanting.

        Lines are tried one by one: a sound row right behind a stray quote settles the matter at once.
        """
        for end in range(start + 1, min(len(lines), start + MOST_LINES)):
            if lines[end].count(b'"') % 2 and self._count(b"\n".join(lines[start : end + 1])) == self.fields:
                return end
            if self._count(lines[end]) == self.fields:
                return start
        return None

    def _count(self, record: bytes) -> int:
        """The fields of one record; 0 where it is not exactly one."""
        text = record.replace(b"\r", b"").decode("utf-8", "replace")
        try:
            read = list(csv.reader([text], delimiter=self.delimiter, strict=True))
        except csv.Error:
            return 0
        return len(read[0]) if len(read) == 1 else 0
