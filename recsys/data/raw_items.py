"""Items that the adapters of public data sets put together."""

import pyarrow as pa
import pyarrow.compute as pc

from recsys.event import ITEM_SCHEMA


def with_defaults(item_id: pa.Array, described: pa.Table) -> pa.Table:
    """Items [R] by `ITEM_SCHEMA`: what `described` [R] does not say is null, a missing title is the id."""
    columns = {field.name: pa.nulls(len(item_id), field.type) for field in ITEM_SCHEMA}
    columns |= {name: described[name].combine_chunks() for name in described.column_names}
    columns["item_id"] = item_id
    columns["title"] = pc.coalesce(columns["title"], item_id)
    columns["category"] = pc.fill_null(columns["category"], pa.scalar([], ITEM_SCHEMA.field("category").type))
    columns["available"] = pc.fill_null(columns["available"], True)
    return pa.table(columns, schema=ITEM_SCHEMA)


def with_bare_items(described: pa.Table, taken: pa.Array) -> pa.Table:
    """`described`, by `ITEM_SCHEMA`, and those ids of `taken` that it lacks, of which nothing more is known; sorted."""
    bare = taken.filter(pc.invert(pc.is_in(taken, described["item_id"].combine_chunks())))
    return pa.concat_tables([described, with_defaults(bare, pa.table({}))]).sort_by("item_id")
