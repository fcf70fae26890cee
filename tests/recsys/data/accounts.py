"""What a source gives, after checking that every row is accounted for and every item of an event is described."""

import pyarrow as pa
import pyarrow.compute as pc

from recsys.protocols import Source
from tests.recsys.data import raw_sets


def account(source: Source) -> tuple[int, pa.Table, int]:
    """Rows in, events, rows refused; in one reading."""
    chunks = raw_sets.chunks(source)
    events = pa.concat_tables([chunk.events for chunk in chunks])
    described = pc.is_in(events["item_id"], source.items()["item_id"].combine_chunks())
    assert pc.all(pc.or_(described, pc.is_null(events["item_id"]))).as_py() is not False
    return sum(chunk.rows_in for chunk in chunks), events, sum(chunk.quarantine.num_rows for chunk in chunks)


def events_of(source: Source) -> pa.Table:
    events = account(source)[1]
    events.validate(full=True)
    return events


def items_of(source: Source) -> dict[object, dict[str, object]]:
    return {item["item_id"]: item for item in raw_sets.items(source)}


def rows_in(source: Source) -> int:
    return account(source)[0]


def refused(source: Source) -> list[tuple[int, str, str]]:
    """Row, reason and original text of what was refused."""
    return [(row, reason, raw) for _, row, reason, raw in raw_sets.refused(source)]
