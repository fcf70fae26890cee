"""What a source hands over: parts with a digest, and in each part accepted events, refused rows and a count for all."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from recsys.protocols import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChunk:
    """One piece of a part; `rows_in + unfolded = events + quarantine + excluded` always holds.

    Attributes:
        rows_in: raw rows read for this piece.
        unfolded: records that single rows gave beyond their first: an order with three lines is one row and three
            purchases, so two.
        events: accepted events, by `EVENT_SCHEMA`.
        quarantine: refused rows with reason and original text, by `QUARANTINE_SCHEMA`.
        excluded: records left out on purpose (not wrong, not wanted), counted by reason.
    """

    rows_in: int
    events: pa.Table
    quarantine: pa.Table
    excluded: Mapping[str, int] = field(default_factory=dict)
    unfolded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePart:
    """A piece of the raw data that arrives, changes and is read as a whole: a file, or the rows of one day.

    Attributes:
        name: names it among the source's parts; stays the same when the data folder moves.
        digest: of its bytes; a log that has taken in a part of this name and digest does not read it again.
        chunks: reads it, piece by piece, from the beginning at each call. It can be sent to another process (a
            `functools.partial` of a method of the source, never a lambda).
    """

    name: str
    digest: str
    chunks: Callable[[], Iterator[SourceChunk]]


def chunks_of(source: "Source") -> Iterator[SourceChunk]:
    """All chunks of all parts."""
    for part in source.parts():
        yield from part.chunks()
