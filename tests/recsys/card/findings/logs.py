"""A clean log, ways to look at one, and what is found in it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa

from recsys.card.card import DataCard
from recsys.card.findings.checks import findings
from recsys.card.findings.finding import Checked, Finding, Thresholds
from recsys.clock import DAY, HOUR, SECOND
from recsys.log.summary import LogSummary
from tests.recsys.card.logs import START, Row, bought, card

DAYS = 60
NOW = START + 1_000 * DAY
CUTOFF = START + 50 * DAY
SUMMARY = LogSummary(
    source="shop",
    licence="made up",
    fingerprint="f",
    schema_version=2,
    order_only=False,
    rows_in=1_000,
    events=1_000,
    duplicates=0,
    quarantined=0,
    excluded=0,
    shoppers=1,
    items=1,
    moments=1,
    first="2024-01-01T00:00:00+00:00",
    last="2024-03-01T00:00:00+00:00",
    quarantine_reasons={},
    excluded_reasons={},
    types={},
)


def clean(*, shoppers: int = 60, seed: int = 0) -> list[Row]:
    """Sixty days of a shop: everyone buys two things about twice a week, by day, at prices that now and then change."""
    return list(_clean(shoppers, seed))


@cache
def _clean(shoppers: int, seed: int) -> tuple[Row, ...]:
    rng = np.random.default_rng(seed)
    rows = []
    for shopper in range(shoppers):
        for day in range(DAYS):
            if rng.random() < 0.7:
                continue
            second = int(rng.integers(8 * 3_600, 22 * 3_600))
            for item in rng.choice(40, 2, replace=False).tolist():
                full = 2.0 + item + (0.5 if day > 30 else 0.0)
                price = round(full * (0.8 if rng.random() < 0.2 else 1.0), 2)
                prices = {"price": price, "list_price": full, "currency": "EUR"}
                at = day * DAY + second * SECOND
                rows.append(
                    bought(at, f"s{shopper}", f"i{item}", session_id=f"{shopper}-{day}", channel="web", **prices)
                )
    return tuple(rows)


def found(
    rows: Sequence[Row] | DataCard,
    *,
    summary: LogSummary = SUMMARY,
    now: int = NOW,
    thresholds: Thresholds | None = None,
    versions: pa.Table | None = None,
    items: pa.Table | None = None,
    **view: object,
) -> dict[str, Finding]:
    """Findings by name."""
    if not isinstance(rows, DataCard):
        rows = card(rows, items=items, versions=versions, **{"cutoff": CUTOFF, **view})
    settings = thresholds or Thresholds()
    return {one.name: one for one in findings(Checked(card=rows, summary=summary, now=now, thresholds=settings))}


def moved(rows: Sequence[Row], hours: float) -> list[Row]:
    """The same log on clocks that are ahead."""
    return [{**row, "occurred_at": int(row["occurred_at"]) + int(hours * HOUR)} for row in rows]  # type: ignore[call-overload]


def with_rows(**counts: object) -> LogSummary:
    """A summary with other counts."""
    return replace(SUMMARY, **counts)  # type: ignore[arg-type]
