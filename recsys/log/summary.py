"""What a log says of itself: where its rows came from, and what became of each of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSummary:
    """What became of the raw rows, and what the log holds.

    `rows_in = events + duplicates + quarantined + excluded` always holds; writing fails otherwise.
    """

    source: str
    licence: str
    fingerprint: str
    schema_version: int
    order_only: bool
    rows_in: int
    events: int
    duplicates: int
    quarantined: int
    excluded: int
    shoppers: int
    items: int
    moments: int
    first: str
    last: str
    quarantine_reasons: dict[str, int]
    excluded_reasons: dict[str, int]
    types: dict[str, int]
