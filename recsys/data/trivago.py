"""Trivago: searches for hotels with the lists, prices and filters that led to a click (RecSys Challenge 2019).

https://recsys.trivago.cloud/challenge/dataset/ (an account, and agreement to the terms: research). 15.9M actions of
1 to 6 November 2018 in `train.csv`: `user_id,session_id,timestamp,step,action_type,reference,platform,city,device,
current_filters,impressions,prices`, with `|` between the values of the last three; 927k hotels in
`item_metadata.csv`: `item_id,properties`. `train.parquet` with the same columns is read as well. The columns are
explained at https://github.com/recsyschallenge/2019/blob/master/docs/problem_definition.md.

| action | becomes |
|---|---|
| clickout item | a click, with the position and price that the hotel had in the list, and an impression for every hotel listed, at the same instant (the list is logged only then) |
| interaction item image, info, rating, deals | a view: a closer look at one hotel on the page |
| search for item | a view: the shopper asked for that hotel by its name and got it |
| search for destination, poi | a search with the place as its query |
| filter selection, change of sort order | a search of the current city, as narrowed and sorted then |

Decisions:
- Active filters are `filter:...`, a new order is `sort:...`. They stand at the clicks and searches, not at each
  impression; a filter that was switched off is simply missing. ("Sort by Price" is a filter to trivago.)
- `session_id` and `step` do not tell actions apart: some sessions go on a day later and count from 1 again. With the
  second they do; that is the `event_id`, and what impressions carry as `recommendation_id`.
- `platform` is the country's site, so `store`; they are web sites, so the channel is `web`.
- Where an action on a hotel names none ("unknown"), it is no event.
- Prices are whole numbers without a currency. A hotel's properties are its text; they name no price and no category.
- Times are Unix seconds. Visitors live all over the world: hours are read in UTC.
"""  # noqa: E501

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY, SECOND, Clock, SystemClock
from recsys.data.chunk import SourceChunk, SourcePart, chunks_of
from recsys.data.item_versions import with_items_of
from recsys.data.raw_files import RawFiles, digest_of, items_part
from recsys.data.raw_rows import (
    Fault,
    Fields,
    Listed,
    RawTable,
    Unfolding,
    chunk_of,
    described,
    event_table,
    joined_id,
    listed,
    named_types,
    open_raw,
    part_name,
    pieces,
    raw_text,
    settings_digest,
    settle,
    ticks,
    usual_faults,
)
from recsys.data.tabular.block import Block
from recsys.data.tabular.convert import as_number
from recsys.data.tabular.instants import as_instant
from recsys.data.tabular.items import with_defaults
from recsys.event import EventType

ORIGIN = "https://recsys.trivago.cloud/challenge/dataset/ (after registration)"
COLUMNS = (
    "user_id",
    "session_id",
    "timestamp",
    "step",
    "action_type",
    "reference",
    "platform",
    "city",
    "device",
    "current_filters",
    "impressions",
    "prices",
)
ITEM_COLUMNS = ("item_id", "properties")
_TYPES = {
    "clickout item": EventType.CLICK,
    "interaction item image": EventType.VIEW,
    "interaction item info": EventType.VIEW,
    "interaction item rating": EventType.VIEW,
    "interaction item deals": EventType.VIEW,
    "search for item": EventType.VIEW,
    "search for destination": EventType.SEARCH,
    "search for poi": EventType.SEARCH,
    "filter selection": EventType.SEARCH,
    "change of sort order": EventType.SEARCH,
}
_OF_PLACES = pa.array(["search for destination", "search for poi"])
_ACTIONS, _HOTELS = ("train.csv", "train.parquet"), "item_metadata.csv"
_ACTIONS_AT_ONCE = 16_384
_VERSION = "1"
_NOTHING = pa.scalar(None, pa.string())
_log = logging.getLogger(__name__)

Texts = Mapping[str, pa.Array]
"""Raw column -> its texts [R]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trivago:
    """Reads `train.csv` (or `train.parquet`, or `file`) and `item_metadata.csv` (also compressed).

    Args:
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        folder: where the files lie.
        file: the name of the actions' file in `folder`, if it is another; then the hotels may lack their description.
        impressions: also read the lists that were shown.
        time_zone: hours and weekdays are read in it.
        name, licence: shown in summaries and stored in the bundle.
        clock: stamps more than a day ahead of it are refused.
    """

    cutoff: int
    folder: Path = Path("data/trivago")
    file: str | None = None
    impressions: bool = True
    time_zone: str = "UTC"
    name: str = "trivago"
    licence: str = "trivago's terms for the RecSys Challenge 2019: research, agreed to at registration"
    order_only: bool = False
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        settle(self)

    def fingerprint(self) -> str:
        """Digest of the settings that shape the log."""
        return settings_digest(self.name, _VERSION, self.time_zone, self.impressions)

    def parts(self) -> list[SourcePart]:
        """The actions, and the file that describes the hotels."""
        path = self._files().path(*(_ACTIONS if self.file is None else (self.file,)))
        open_raw(path, COLUMNS)
        hotels = self._hotels()
        actions = SourcePart(name=part_name(path), digest=digest_of(path), chunks=partial(self._read, path))
        return [actions] if hotels is None else [actions, items_part(hotels.path, part_name(hotels.path))]

    def items(self) -> pa.Table:
        """Every hotel that is described or occurs in an event."""
        file = self._hotels()
        if file is None:
            _log.warning("%s has no %s, so nothing is known of the hotels but their ids", self.folder, _HOTELS)
        tables = [pa.schema([("item_id", pa.string()), ("text", pa.string())]).empty_table()]
        for block in described(file, ITEM_COLUMNS) if file is not None else ():
            text = pc.replace_substring(raw_text(block, "properties"), "|", ", ")
            tables.append(pa.table({"item_id": raw_text(block, "item_id"), "text": text}))
        rows = pa.concat_tables(tables)
        rows = rows.filter(pc.is_valid(rows["item_id"]))
        last = rows.group_by("item_id", use_threads=False).aggregate([("text", "last")])
        hotels = with_defaults(last["item_id"].combine_chunks(), pa.table({"text": last["text_last"]}))
        return with_items_of(chunks_of(self), hotels)

    def _hotels(self) -> RawTable | None:
        """The file that describes the hotels; None where it may be missing, and is."""
        files = self._files()
        path = files.path(_HOTELS) if self.file is None else files.find(_HOTELS)
        return None if path is None else open_raw(path, ITEM_COLUMNS)

    def _files(self) -> RawFiles:
        return RawFiles(folder=self.folder, data_set="Trivago RecSys Challenge 2019", origin=ORIGIN)

    def _read(self, path: Path) -> Iterator[SourceChunk]:
        latest = self.clock.now() + DAY
        for whole in open_raw(path, COLUMNS).blocks(COLUMNS):
            for block in pieces(whole, _ACTIONS_AT_ONCE):
                yield _chunk(block, latest=latest, impressions=self.impressions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """The lists of R actions, taken apart: E hotels with a price each.

    Attributes:
        hotel: ids, rows and positions [E].
        price: [E] float64, null where it is unreadable.
        uneven: actions [R] with more hotels than prices or fewer; they have no hotels here.
        clicked: where among the E each action [R] has its own hotel; null where it has none.
    """

    hotel: Listed
    price: pa.Array
    uneven: pa.Array
    clicked: pa.Array

    @classmethod
    def of(cls, text: Texts, clicks: pa.Array) -> "_Shown":
        hotels, prices = (pc.if_else(clicks, text[name], _NOTHING) for name in ("impressions", "prices"))
        bars = [pc.fill_null(pc.count_substring(column, "|"), -1) for column in (hotels, prices)]
        even = pc.equal(*bars)
        hotel = listed(pc.if_else(even, hotels, _NOTHING), "|")
        price = as_number(listed(pc.if_else(even, prices, _NOTHING), "|").value)
        own = np.asarray(pc.fill_null(pc.equal(hotel.value, text["reference"].take(pa.array(hotel.row))), False))
        place = np.full(len(even), -1)
        place[hotel.row[own][::-1]] = np.flatnonzero(own)[::-1]  # the first of several
        return cls(hotel=hotel, price=price, uneven=pc.invert(even), clicked=pa.array(place, mask=place < 0))

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the lists of each action [R]."""
        rows = len(self.uneven)
        yield self.uneven, "impressions and prices differ in number"
        yield self.hotel.rows_with(pc.is_null(self.hotel.value), rows), "an item of the list is missing"
        sound = pc.and_(pc.is_finite(self.price), pc.greater_equal(self.price, 0))
        yield self.hotel.rows_with(pc.invert(pc.fill_null(sound, False)), rows), "a price of the list is not a number"

    def impressions(self, fields: Fields) -> Unfolding:
        """One for every hotel, at the instant of the click."""
        row, position = pa.array(self.hotel.row), pa.array(self.hotel.position)
        kept = ("occurred_at", "user_id", "session_id", "channel", "device", "store", "placement", "recommendation_id")
        columns = {name: fields[name].take(row) for name in kept} | {
            "event_id": joined_id(fields["event_id"].take(row), position),
            "type": pa.repeat(EventType.IMPRESSION.value, len(row)),
            "item_id": self.hotel.value,
            "price": self.price,
            "position": pc.cast(position, pa.int32()),
        }
        return Unfolding(self.hotel.row, event_table(columns, len(row)))


def _chunk(block: Block, *, latest: int, impressions: bool) -> SourceChunk:
    text = {name: raw_text(block, name) for name in COLUMNS}
    event_type = named_types(text["action_type"], _TYPES)
    shown = _Shown.of(text, pc.equal(event_type, EventType.CLICK.value))
    fields = _fields(text, event_type) | {
        "position": pc.cast(pa.array(shown.hotel.position).take(shown.clicked), pa.int32()),
        "price": shown.price.take(shown.clicked),
    }
    return chunk_of(
        block, fields, _faults(text, fields, shown, latest), shown.impressions(fields) if impressions else None
    )


def _fields(text: Texts, event_type: pa.Array) -> dict[str, pa.Array]:
    """What an action is, but for its list."""
    occurred_at = as_instant(text["timestamp"], "epoch_s", "UTC")
    identity = joined_id(text["session_id"], ticks(occurred_at, SECOND), text["step"])
    clicks, searches = (pc.equal(event_type, word.value) for word in (EventType.CLICK, EventType.SEARCH))
    place = pc.if_else(pc.is_in(text["action_type"], _OF_PLACES), text["reference"], text["city"])
    return {
        "event_id": identity,
        "type": event_type,
        "occurred_at": occurred_at,
        "user_id": text["user_id"],
        "session_id": text["session_id"],
        "channel": pa.repeat("web", len(identity)),
        "device": text["device"],
        "store": text["platform"],
        "item_id": pc.if_else(searches, _NOTHING, text["reference"]),
        "query": pc.if_else(searches, place, _NOTHING),
        "filters": _filters(text),
        "placement": pc.if_else(clicks, "search", _NOTHING),
        "recommendation_id": pc.if_else(clicks, identity, _NOTHING),
    }


def _filters(text: Texts) -> pa.Array:
    """The active filters, and the new order where one was chosen."""
    active = pc.binary_join_element_wise("filter", pc.replace_substring(text["current_filters"], "|", "|filter:"), ":")
    order = pc.binary_join_element_wise("sort", text["reference"], ":")
    order = pc.if_else(pc.equal(text["action_type"], "change of sort order"), order, _NOTHING)
    return pc.split_pattern(pc.coalesce(pc.binary_join_element_wise(active, order, "|"), active, order), "|")


def _faults(text: Texts, fields: Fields, shown: _Shown, latest: int) -> Iterator[Fault]:
    yield from usual_faults(fields, latest=latest)
    yield pc.invert(pc.match_substring_regex(fields["item_id"], r"^\d+$")), "item is no number"
    yield pc.or_(pc.is_null(text["session_id"]), pc.is_null(text["step"])), "session or step is missing"
    yield from shown.faults()
