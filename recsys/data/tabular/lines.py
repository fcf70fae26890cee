"""Text files as lines: read in pieces of whole lines, with those set apart that no parser should see."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys.data.tabular.block import Refusal
from recsys.errors import SourceError

BLOCK_BYTES = 8 * 2**20
SAMPLE_BYTES = 2**18
"""Enough for a header line, and for a look at what keys JSON lines have."""
_LONGEST_LINE = 64 * 2**20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def pieces(path: Path, *, encoding: str, size: int) -> Iterator[bytes]:
    """Whole lines as UTF-8, about `size` bytes at a time; compressed files (.gz, .bz2, .zst) are unpacked.

    Raises:
        SourceError: the file cannot be read to its end, is in another encoding, or has no line ends.
    """
    rest = b""
    mark = _BYTE_ORDER_MARK
    try:
        with pa.input_stream(str(path), compression="detect") as packed:
            stream = packed if encoding == "utf-8" else pa.transcoding_input_stream(packed, encoding, "utf-8")
            while data := stream.read(size):
                piece, end, rest = (rest + data).rpartition(b"\n")
                if len(rest) > _LONGEST_LINE:
                    raise SourceError(f"{path} holds a line of more than 64 MiB; is it a text table?")
                if end:
                    yield (piece + end).removeprefix(mark)
                    mark = b""
    except UnicodeError as error:
        raise SourceError(f"{path} is not written in data.encoding={encoding} ({error}); latin-1 reads any") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read to its end: {error}") from error
    if rest:
        yield rest.removeprefix(mark)


def numbered(path: Path, *, encoding: str) -> Iterator[tuple[list[bytes], np.ndarray]]:
    """The lines, piece by piece, and their numbers [R]: what an editor shows, the first is 1."""
    number = 1
    for piece in pieces(path, encoding=encoding, size=BLOCK_BYTES):
        lines = piece.removesuffix(b"\n").split(b"\n")
        yield lines, np.arange(number, number + len(lines))
        number += len(lines)


def sound(lines: list[bytes], rows: np.ndarray) -> tuple[list[bytes], np.ndarray, list[Refusal]]:
    """Lines without their carriage returns; empty ones are dropped, those that hold no text are refused."""
    whole = b"\n".join(lines)
    if b"\r" in whole:
        lines = [line.removesuffix(b"\r") for line in lines]
        whole = b"\n".join(lines)
    if all(lines) and b"\r" not in whole and b"\0" not in whole and _is_text(whole):
        return lines, rows, []
    refused = []
    keep = []
    for place, line in enumerate(lines):
        if not (line.isascii() or _is_text(line)):
            refused.append(Refusal(int(rows[place]), "is not UTF-8", line))
        elif b"\0" in line:
            refused.append(Refusal(int(rows[place]), "holds a NUL byte", line))
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
