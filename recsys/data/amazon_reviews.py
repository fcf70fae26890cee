"""Amazon Reviews 2023 of the McAuley Lab: https://amazon-reviews-2023.github.io/ (571M reviews in 33 categories).

One review becomes one rating. The item is `parent_asin`, not `asin`: the metadata is kept by parent, and the colours
and sizes of one product are one thing to recommend.

What is from the end of the crawl is not used, because nobody knew it when the reviews were written: `average_rating`,
`rating_number`, `bought_together`, the sales ranks in `details`, and of a review its `helpful_vote`. Price, title,
features and description were crawled then too; they are taken for lasting properties of the item. Of the reviews'
titles and texts, pictures and `verified_purchase` nothing is kept: the log has no place for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import parse_instant
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.raw_files import RawFiles, digest_of
from recsys.data.raw_items import with_bare_items, with_defaults
from recsys.data.raw_rows import (
    Fault,
    Fields,
    chunk_of,
    joined_id,
    number_faults,
    settings_digest,
    settle,
    usual_faults,
)
from recsys.data.tabular.block import Block
from recsys.data.tabular.convert import as_number, as_text, cleaned
from recsys.data.tabular.instants import as_instant
from recsys.data.tabular.json_lines import JsonLines
from recsys.event import ITEM_SCHEMA, EventType

_VERSION = "1"
_ORIGIN = "https://amazon-reviews-2023.github.io/ (the links `review` and `meta` of a category)"
_LONGEST_TEXT = 2_000
_NO_MARKS = pa.array([], pa.string())
_LATEST = parse_instant("2100-01-01")
_AVAILABLE = "details.Date First Available"
_REVIEW = ("user_id", "parent_asin", "asin", "rating", "timestamp")
_LISTS = ("features[]", "description[]", "categories[]")
_META = ("parent_asin", "main_category", "title", "price", "store", _AVAILABLE, *_LISTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AmazonReviews:
    """Reads `{category}.jsonl` and `meta_{category}.jsonl` (or .jsonl.gz) from `folder`.

    Args:
        folder: where the files lie.
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        categories: which to read, such as All_Beauty; None reads every one that lies there.
        time_zone: hours and weekdays are read in it; the stamps are UTC and nobody knows where the reviewers live.
        name, licence: shown in summaries and stored in the bundle.
    """

    folder: Path
    cutoff: int
    categories: Sequence[str] | None = None
    time_zone: str = "UTC"
    name: str = "amazon_reviews"
    licence: str = "not stated by the McAuley Lab; research use, cite Hou et al. 2024, arXiv:2403.03952"
    order_only: bool = False

    def __post_init__(self) -> None:
        settle(self)

    def fingerprint(self) -> str:
        """Digest of what shapes the events; the categories are parts, so they are told apart there."""
        return settings_digest(self.name, _VERSION)

    def parts(self) -> list[SourcePart]:
        """One part per category: its reviews."""
        return [
            SourcePart(name=reviews.name, digest=digest_of(reviews, meta), chunks=partial(_chunks, reviews))
            for reviews, meta in self._files()
        ]

    def items(self) -> pa.Table:
        """Every item that is described or reviewed, sorted by id; some have no metadata, so nothing but an id."""
        files = self._files()
        described = _first_of_each(pa.concat_tables([_items(meta) for _, meta in files]))
        reviewed = pa.array([], pa.string())
        for reviews, _ in files:
            for block in JsonLines(path=reviews, origin=reviews.name).blocks(["parent_asin"]):
                reviewed = pc.unique(pa.concat_arrays([reviewed, pc.drop_null(_text(block, "parent_asin"))]))
        return with_bare_items(described, reviewed)

    def _files(self) -> list[tuple[Path, Path]]:
        """Reviews and metadata of every category; SourceError naming the first that is missing."""
        raw = RawFiles(self.folder, "Amazon Reviews 2023", _ORIGIN)
        categories = self._found() if self.categories is None else list(self.categories)
        return [
            (raw.path(f"{category}.jsonl"), raw.path(f"meta_{category}.jsonl"))
            for category in categories or ["All_Beauty"]
        ]

    def _found(self) -> list[str]:
        names = {path.name.partition(".jsonl")[0] for path in self.folder.glob("*.jsonl*")}
        return sorted(name for name in names if not name.startswith("meta_"))


def _chunks(reviews: Path) -> Iterator[SourceChunk]:
    for block in JsonLines(path=reviews, origin=reviews.name).blocks(_REVIEW):
        yield _chunk(block)


def _chunk(block: Block) -> SourceChunk:
    user, parent, variant = (_text(block, name) for name in ("user_id", "parent_asin", "asin"))
    rating, stamp = (_text(block, name) for name in ("rating", "timestamp"))
    fields: Fields = {
        "event_id": joined_id(user, pc.coalesce(variant, parent), stamp),
        "type": pa.repeat(EventType.RATING.value, len(user)),
        "occurred_at": as_instant(stamp, "epoch_ms", "UTC"),
        "user_id": user,
        "item_id": parent,
        "rating": pc.cast(as_number(rating), pa.float32(), safe=False),
    }
    return chunk_of(block, fields, _faults(fields, rating))


def _faults(fields: Fields, text: pa.Array) -> Iterator[Fault]:
    yield from usual_faults(fields, latest=_LATEST)
    rating = fields["rating"]
    yield pc.is_null(text), "rating is missing"
    yield from number_faults("rating", text, rating)
    yield pc.or_(pc.less(rating, 1), pc.greater(rating, 5)), "rating is not between 1 and 5"


def _items(meta: Path) -> pa.Table:
    pieces = [_described(block) for block in JsonLines(path=meta, origin=meta.name).blocks(_META)]
    return pa.concat_tables([ITEM_SCHEMA.empty_table(), *pieces])


def _described(block: Block) -> pa.Table:
    known = pc.is_valid(_text(block, "parent_asin"))
    text = {name: _text(block, name).filter(known) for name in _META if name not in _LISTS}
    features, description, path = (_texts(block, name).filter(known) for name in _LISTS)
    main, price = text["main_category"], as_number(text["price"])
    widest = _lists(np.arange(len(main)), main, len(main))
    usable = pc.and_(pc.is_finite(price), pc.greater_equal(price, 0))
    described = pa.table(
        {
            "title": text["title"],
            "category": pc.if_else(pc.greater(pc.list_value_length(path), 0), path, widest),
            "brand": text["store"],
            "price": pc.if_else(usable, price, pa.scalar(None, pa.float64())),
            "currency": pa.repeat("USD", len(main)),
            "created_at": _day(text[_AVAILABLE]),
            "attributes": pa.MapArray.from_arrays(
                widest.offsets, pa.repeat("main_category", len(widest.values)), widest.values
            ),
            "text": _words(description, features),
        }
    )
    return with_defaults(text["parent_asin"], described)


def _text(block: Block, name: str) -> pa.Array:
    """A column as text; null where nothing is left of it, or where there are lists or objects."""
    column = block.columns[name].combine_chunks()
    if pa.types.is_nested(column.type):
        return pa.nulls(len(column), pa.string())
    return cleaned(as_text(column), _NO_MARKS)


def _texts(block: Block, name: str) -> pa.Array:
    """A column of lists as lists of text; what is no list of texts is an empty one."""
    column = block.columns[name].combine_chunks()
    if not pa.types.is_list(column.type) or pa.types.is_nested(column.type.value_type):
        column = pa.nulls(len(column), pa.list_(pa.string()))
    row = np.asarray(pc.list_parent_indices(column))
    return _lists(row, pc.cast(pc.list_flatten(column), pa.string()), len(column))


def _words(description: pa.Array, features: pa.Array) -> pa.Array:
    """Description, then features, cut where a long one would fill the memory with little that is new."""
    both = pc.binary_join_element_wise(*(pc.binary_join(texts, " ") for texts in (description, features)), " ")
    return cleaned(pc.utf8_slice_codeunits(both, 0, _LONGEST_TEXT), _NO_MARKS)


def _day(text: pa.Array) -> pa.Array:
    """The first instant of a day written like "March 4, 2016"."""
    return as_instant(text, "%B %d, %Y", "UTC")


def _lists(row: np.ndarray, text: pa.Array, rows: int) -> pa.Array:
    """A list of texts for each of `rows` rows, out of texts [E] in the order of their rows [E]; nulls are dropped."""
    counts = np.bincount(row[np.asarray(pc.is_valid(text))], minlength=rows)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pc.drop_null(text))


def _first_of_each(items: pa.Table) -> pa.Table:
    """The first row of every item; one may be listed in two categories."""
    numbered = items.select(["item_id"]).append_column("row", pa.array(np.arange(items.num_rows)))
    first = numbered.group_by("item_id", use_threads=False).aggregate([("row", "min")])["row_min"]
    return items.take(first)
