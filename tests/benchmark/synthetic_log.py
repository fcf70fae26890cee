"""A made-up shop of any size that keeps nothing in memory: a year of events, drawn chunk by chunk by seeded generators.

A tenth of the visitors are signed in and carry both ids, the others only an anonymous one. Every part holds events of
all dates in no order, as if each came from another server; a hundredth of the rows repeat the id of an earlier row, a
thousandth cannot be used.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from recsys.clock import DAY, parse_instant
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA, QUARANTINE_SCHEMA

START = parse_instant("2023-01-01")
DAYS = 365
CHUNK_ROWS = 1 << 16
TYPES = ("view", "click", "add_to_cart", "purchase", "search")
_TYPE_SHARE = (0.6, 0.2, 0.1, 0.05, 0.05)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FAVOURITES = 5
_FOUR_DIGITS = np.frombuffer("".join(f"{n:04d}" for n in range(10_000)).encode(), np.uint8).reshape(-1, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticLog:
    """A `Source`.

    Args:
        rows: raw rows of the year.
        further_days: so many parts, each of one more day after the year.
        part_rows: raw rows of a part.
        shoppers, item_count: how many different ones there are to draw from; a few are drawn far more often.
        habit: share of the events that are about one of the shopper's five favourites.
    """

    rows: int
    further_days: int = 0
    part_rows: int = 250_000
    shoppers: int = 5_000_000
    item_count: int = 200_000
    habit: float = 0.0
    name: str = "synthetic"
    licence: str = "made up"
    time_zone: str = "UTC"
    cutoff: int = START + (DAYS - 28) * DAY
    order_only: bool = False

    def fingerprint(self) -> str:
        return f"{self.part_rows}-{self.shoppers}-{self.item_count}-{self.habit}"

    def parts(self) -> list[SourcePart]:
        days = [(0, DAYS)] * -(-self.rows // self.part_rows) + [(DAYS + n, 1) for n in range(self.further_days)]
        return [
            SourcePart(name=f"{number:06d}", digest="drawn", chunks=partial(self._chunks, number, *span))
            for number, span in enumerate(days)
        ]

    def items(self) -> pa.Table:
        numbers = np.arange(self.item_count)
        ids = texts("i", numbers, groups=2)
        category = texts("c", numbers % 500, groups=1)
        columns = {
            "item_id": ids,
            "title": ids,
            "category": pa.ListArray.from_arrays(pa.array(np.arange(self.item_count + 1), pa.int32()), category),
            "price": pa.array(prices(numbers)),
            "currency": pa.repeat("EUR", self.item_count),
            "available": pa.repeat(True, self.item_count),
        }
        return by(ITEM_SCHEMA, columns, self.item_count)

    def _chunks(self, part: int, first_day: int, days: int) -> Iterator[SourceChunk]:
        rng = np.random.default_rng([part, 7])
        first = part * self.part_rows
        last = first + self.part_rows if days == 1 else min(first + self.part_rows, self.rows)
        for begin in range(first, last, CHUNK_ROWS):
            count = min(CHUNK_ROWS, last - begin)
            bad = int(rng.binomial(count, 0.001))
            since, until = START + first_day * DAY, START + (first_day + days) * DAY
            yield SourceChunk(
                rows_in=count,
                events=self._events(rng, begin, rng.integers(since, until, count - bad)),
                quarantine=_refused(begin, bad),
            )

    def _favourites(self, number: np.ndarray) -> np.ndarray:
        """The item behind the number of a favourite, of the same popularity as any other."""
        drawn = ((number.astype(np.uint64) * _SPREAD) >> np.uint64(11)).astype(np.float64) / 2**53
        return (((1 - drawn) ** (-1 / 0.8) - 1) * self.item_count / 1_000).astype(np.int64) % self.item_count

    def _events(self, rng: np.random.Generator, begin: int, instant: np.ndarray) -> pa.Table:
        count = len(instant)
        number = begin + np.arange(count)
        repeats = rng.random(count) < 0.01
        number[repeats] = rng.integers(0, begin + 1, int(repeats.sum()))
        shopper = (rng.pareto(1.2, count) * self.shoppers / 20).astype(np.int64) % self.shoppers
        item = (rng.pareto(0.8, count) * self.item_count / 1_000).astype(np.int64) % self.item_count
        if self.habit:
            favourite = self._favourites(shopper * _FAVOURITES + rng.integers(0, _FAVOURITES, count))
            item = np.where(rng.random(count) < self.habit, favourite, item)
        kind = rng.choice(len(TYPES), count, p=_TYPE_SHARE).astype(np.int8)
        search = kind == TYPES.index("search")
        columns = {
            "event_id": texts("e", (number.astype(np.uint64) * _SPREAD >> np.uint64(4)).astype(np.int64), groups=5),
            "type": pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(TYPES)).cast(pa.string()),
            "occurred_at": pa.array(instant).cast(pa.timestamp("us", "UTC")),
            "user_id": texts("u", shopper, groups=2, where=shopper % 10 == 0),
            "anonymous_id": texts("v", shopper, groups=3),
            "session_id": texts("s", shopper * DAYS + (instant - START) // DAY, groups=3),
            "device": pa.DictionaryArray.from_arrays(
                pa.array((shopper % 3).astype(np.int8)), pa.array(["phone", "desktop", "tablet"])
            ).cast(pa.string()),
            "item_id": texts("i", item, groups=2, where=~search),
            "quantity": pa.array(np.ones(count, np.float32)),
            "price": pa.array(prices(item), mask=search),
            "currency": pa.repeat("EUR", count),
            "query": texts("looking for ", item % 5_000, groups=1, where=search),
        }
        return by(EVENT_SCHEMA, columns, count)


def texts(prefix: str, numbers: np.ndarray, *, groups: int, where: np.ndarray | None = None) -> pa.StringArray:
    """Each number with `prefix` and four digits for every group; null but where `where` says so."""
    lead = np.frombuffer(prefix.encode(), np.uint8)
    kept = numbers if where is None else numbers[where]
    width = len(lead) + 4 * groups
    out = np.empty((len(kept), width), np.uint8)
    out[:, : len(lead)] = lead
    for group in range(groups):
        digits = kept // 10_000 ** (groups - 1 - group) % 10_000
        out[:, len(lead) + 4 * group : len(lead) + 4 * group + 4] = _FOUR_DIGITS[digits]
    length = np.full(len(numbers), width) if where is None else np.where(where, width, 0)
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    valid = None if where is None else pa.py_buffer(np.packbits(where, bitorder="little"))
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(out.reshape(-1)), valid)


def prices(item: np.ndarray) -> np.ndarray:
    """What every item costs."""
    cents: np.ndarray = (item * 7919 % 20_000 + 99) / 100
    return cents


def by(schema: pa.Schema, columns: dict[str, pa.Array], rows: int) -> pa.Table:
    """A table of all columns of `schema`; those that are not given hold nothing."""
    return pa.table([columns.get(field.name, pa.nulls(rows, field.type)) for field in schema], schema=schema)


def _refused(begin: int, count: int) -> pa.Table:
    columns = {
        "origin": pa.repeat("synthetic", count),
        "row": pa.array(begin + np.arange(count)),
        "reason": pa.repeat("price is not a number", count),
        "raw": texts("view;cheap;", begin + np.arange(count), groups=3),
    }
    return by(QUARANTINE_SCHEMA, columns, count)
