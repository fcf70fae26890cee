"""What a source hands over: accepted events, refused rows, and a count for every row it read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChunk:
    """One piece of a source.

    Attributes:
        rows_in: raw rows read for this piece.
        events: accepted rows, by `EVENT_SCHEMA`. One raw row gives at most one event.
        quarantine: refused rows with reason and original text, by `QUARANTINE_SCHEMA`.
        excluded: rows left out on purpose (not wrong, not wanted), counted by reason.
    """

    rows_in: int
    events: pa.Table
    quarantine: pa.Table
    excluded: Mapping[str, int] = field(default_factory=dict)
