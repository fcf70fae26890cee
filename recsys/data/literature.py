"""Literature mode: prepared files of papers, which hold an order but no times.

Instants are made up and say nothing but the order: the events of one shopper are a second apart. No feature of time
may read them (`Source.order_only`), and no cut in time of the shoppers' histories means anything:

- Whole histories (`sasrec_file`, `s3rec_file`): every shopper begins at `START`, and `CUTOFF` lies after all events.
  The split meant for them is leave-one-out.
- Training and test rows apart (`srgnn_file`): see there; `CUTOFF` stands between the two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import SECOND, parse_instant
from recsys.data.chunk import SourceChunk
from recsys.data.raw_rows import first_fault
from recsys.data.tabular.block import Refusal, quarantine
from recsys.data.tabular.lines import numbered, sound
from recsys.errors import ConfigError
from recsys.event import EVENT_SCHEMA, INTERACTIONS

START = parse_instant("2000-01-01")
CUTOFF = parse_instant("2001-01-01")
"""Not a setting: the made-up instants are laid out around it."""

_NUMBER = r"^[1-9][0-9]*$"
_STRANGE = "holds something else than whole numbers from 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Neighbouring rows of a prepared file, R of them readable.

    Attributes:
        origin: the file.
        row: their numbers in the file [R] int64.
        ids: the ids of each row, a list array [R] of text.
        refused: rows that are not what the format says.
    """

    origin: str
    row: np.ndarray
    ids: pa.Array
    refused: list[Refusal]

    def counts(self) -> np.ndarray:
        """How many ids each row has [R] int64."""
        return np.asarray(pc.list_value_length(self.ids)).astype(np.int64)

    def flat(self) -> pa.Array:
        """The ids of all rows, one after the other."""
        return pc.list_flatten(self.ids)

    def chunk(self, events: pa.Table) -> SourceChunk:
        """What became of these rows: `events`, each from one of them."""
        return SourceChunk(
            rows_in=len(self.row) + len(self.refused),
            events=events,
            quarantine=quarantine(self.origin, self.refused),
            unfolded=events.num_rows - len(self.row),
        )


def lines_of_ids(path: Path, *, least: int, most: int | None = None, otherwise: str) -> Iterator[Rows]:
    """The lines of a text file, ids with blanks between; rows are numbered as an editor shows them, from 1.

    Lines with less than `least` or more than `most` ids are refused with the reason `otherwise`.
    """
    for whole, numbers in numbered(path, encoding="utf-8"):
        lines, row, refused = sound(whole, numbers)
        ids = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pa.array(lines, pa.string())))
        yield rows_of_ids(
            ids,
            origin=path.name,
            row=row,
            raw=lines.__getitem__,
            refused=refused,
            least=least,
            most=most,
            otherwise=otherwise,
        )


def rows_of_ids(
    ids: pa.Array,
    *,
    origin: str,
    row: np.ndarray,
    raw: Callable[[int], bytes],
    refused: list[Refusal],
    least: int,
    otherwise: str,
    most: int | None = None,
) -> Rows:
    """`ids`, a list array [R] of text, as `Rows`; what is wrong joins `refused` with its text, `raw` of its place."""
    count = pc.fill_null(pc.list_value_length(ids), 0)
    wrong = pc.less(count, least) if most is None else pc.or_(pc.less(count, least), pc.greater(count, most))
    reason = first_fault(iter([(wrong, otherwise), (_strange(ids), _STRANGE)]), len(ids))
    good = pc.is_null(reason)
    bad = np.flatnonzero(~np.asarray(good))
    here = [
        Refusal(int(row[place]), text, raw(int(place)))
        for place, text in zip(bad, reason.take(pa.array(bad)).to_pylist(), strict=True)
    ]
    return Rows(
        origin=origin,
        row=row[np.asarray(good)],
        ids=ids.filter(good) if here else ids,
        refused=sorted([*refused, *here], key=lambda refusal: refusal.row),
    )


@dataclass(slots=True)
class Positions:
    """Counts how many events each shopper had so far, through all blocks of a file."""

    seen: dict[str, int] = field(default_factory=dict)

    def of(self, shopper: pa.Array) -> np.ndarray:
        """The position of each event [E] in its shopper's history, from 0, int64."""
        coded = shopper.dictionary_encode()
        codes, names = coded.indices.to_numpy(), coded.dictionary.to_pylist()
        order = np.argsort(codes, kind="stable")
        counts = np.bincount(codes, minlength=len(names))
        within = np.empty(len(codes), np.int64)
        within[order] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
        before = np.array([self.seen.get(name, 0) for name in names], np.int64)
        self.seen.update(zip(names, (before + counts).tolist(), strict=True))
        position: np.ndarray = within + before[codes]
        return position


def history_events(user_id: pa.Array, item_id: pa.Array, position: np.ndarray, event_type: str) -> pa.Table:
    """Events [E] of known shoppers, at `position` seconds after `START`; the id is made of shopper and position."""
    number = pc.cast(pa.array(position), pa.string())
    return literature_events(
        {
            "event_id": pc.binary_join_element_wise(user_id, number, "-"),
            "user_id": user_id,
            "item_id": item_id,
            "occurred_at": instants(START + position * SECOND),
        },
        event_type,
    )


def literature_events(fields: dict[str, pa.Array], event_type: str) -> pa.Table:
    """Events by `EVENT_SCHEMA` that have these `fields`, one type, and nothing else."""
    rows = len(fields["event_id"])
    columns = {"type": pa.repeat(event_type, rows), **fields}
    return pa.table([columns.get(name, pa.nulls(rows, kind)) for name, kind in _SHAPE], schema=EVENT_SCHEMA)


def instants(microseconds: np.ndarray) -> pa.Array:
    """Instants as the schema has them."""
    return pc.cast(pa.array(microseconds), EVENT_SCHEMA.field("occurred_at").type)


def check_event_type(event_type: str) -> None:
    """Raises ConfigError unless it is a type by which a shopper shows interest in an item."""
    known = sorted(INTERACTIONS)
    if event_type not in known:
        raise ConfigError(f"data.event_type is {event_type!r}; use one of {', '.join(known)}")


_SHAPE = [(field.name, field.type) for field in EVENT_SCHEMA]


def _strange(ids: pa.Array) -> pa.Array:
    """Which rows hold an id that is no whole number from 1."""
    fits = pc.fill_null(pc.match_substring_regex(pc.list_flatten(ids), _NUMBER), False)
    strange = np.zeros(len(ids), bool)
    strange[np.asarray(pc.list_parent_indices(ids))[~np.asarray(fits)]] = True
    return pa.array(strange)
