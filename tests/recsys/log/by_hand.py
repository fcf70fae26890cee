"""A source written by hand, in as many parts as wanted, and the log that it must give, worked out in plain Python."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from recsys.data.chunk import SourceChunk, SourcePart
from recsys.event import QUARANTINE_SCHEMA
from tests.recsys.by_hand import event_table, items_table

Row = dict[str, object]


def sale(event_id: str, at: int, user: str | None = "ann", **more: object) -> Row:
    """A purchase of item a."""
    return {"event_id": event_id, "occurred_at": at, "user_id": user, "item_id": "a", **more}


@dataclass(frozen=True)
class Part:
    """One part of a `Shop`; it claims to have read `unseen` rows more than it hands over."""

    rows: Sequence[Row] = ()
    refused: Sequence[tuple[str, str]] = ()
    excluded: Mapping[str, int] = field(default_factory=dict)
    unseen: int = 0
    unfolded: int = 0
    version: str = "1"


@dataclass
class Shop:
    """A source whose parts are written by hand; `read` says which were read, in order."""

    contents: dict[str, Part]
    settings: str = "1"
    name: str = "shop"
    licence: str = "made up"
    time_zone: str = "UTC"
    cutoff: int = 0
    order_only: bool = False
    sold: Sequence[str] = ("a", "b")
    chunk_rows: int = 2
    read: list[str] = field(default_factory=list)
    digests: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        return f"settings-{self.settings}"

    def parts(self) -> list[SourcePart]:
        return [
            SourcePart(
                name=name, digest=self.digests.get(name, f"{name}-{part.version}"), chunks=partial(self._chunks, name)
            )
            for name, part in self.contents.items()
        ]

    def items(self) -> pa.Table:
        return items_table(self.sold)

    def of(self, *names: str) -> "Shop":
        """The same shop, so far with these parts only."""
        return Shop({n: p for n, p in self.contents.items() if n in names}, settings=self.settings, sold=self.sold)

    def _chunks(self, name: str) -> Iterator[SourceChunk]:
        self.read.append(name)
        part = self.contents[name]
        events = event_table(part.rows)
        for begin in range(0, events.num_rows, self.chunk_rows):
            some = events.slice(begin, self.chunk_rows)
            yield SourceChunk(rows_in=some.num_rows, events=some, quarantine=QUARANTINE_SCHEMA.empty_table())
        bad = [{"origin": name, "row": n, "reason": why, "raw": raw} for n, (why, raw) in enumerate(part.refused)]
        yield SourceChunk(
            rows_in=len(bad) + sum(part.excluded.values()) + part.unseen - part.unfolded,
            events=event_table([]),
            quarantine=pa.Table.from_pylist(bad, schema=QUARANTINE_SCHEMA),
            excluded=part.excluded,
            unfolded=part.unfolded,
        )


def shop(*rows: Row, **more: object) -> Shop:
    """A shop with a single part."""
    return Shop({"rows": Part(rows)}, **more)  # type: ignore[arg-type]


def shopper(row: Row) -> str:
    return str(row["user_id"]) if row.get("user_id") is not None else f"anonymous:{row['anonymous_id']}"


def expected(parts: Sequence[Sequence[Row]]) -> list[Row]:
    """The rows of the log in the order in which `EventLog.days` gives them: the first of every id, sorted."""
    first: dict[object, Row] = {}
    for row in (row for rows in parts for row in rows):
        first.setdefault(row["event_id"], row)
    day = 86_400_000_000
    return sorted(first.values(), key=lambda r: (r["occurred_at"] // day, shopper(r), r["occurred_at"], r["event_id"]))  # type: ignore[operator]
