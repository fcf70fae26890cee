"""What a log says of itself: where its rows came from, and what became of each of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSummary:
    """What became of the raw rows, and what the log holds.

    `rows_in + unfolded = events + duplicates + quarantined + excluded + erased` always holds; writing fails otherwise.

    Attributes:
        source, licence: as the source says.
        fingerprint: digest of what the content follows from: the source's settings, the parts, the erasures.
        schema_version: see `recsys/event.py`.
        order_only: literature mode: the data holds an order but no times.
        rows_in: raw rows read.
        unfolded: events that single rows gave beyond their first.
        events: rows of the log.
        duplicates: rows with an event id that was there before.
        quarantined: refused rows, kept with reason and original text.
        excluded: rows left out on purpose.
        erased: rows of shoppers who were erased.
        shoppers, items: how many different ones the events name.
        moments: how many different pairs of shopper and instant (baskets).
        first, last: the first and the last instant, ISO 8601; empty where there is no event.
        quarantine_reasons, excluded_reasons, types: rows by reason and events by type.
    """

    source: str
    licence: str
    fingerprint: str
    schema_version: int
    order_only: bool = False
    rows_in: int
    unfolded: int = 0
    events: int
    duplicates: int
    quarantined: int
    excluded: int
    erased: int = 0
    shoppers: int
    items: int
    moments: int
    first: str
    last: str
    quarantine_reasons: dict[str, int]
    excluded_reasons: dict[str, int]
    types: dict[str, int]
