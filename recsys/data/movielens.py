"""MovieLens in all its releases, 100K to 32M: https://grouplens.org/datasets/movielens/ (unpack the zip file).

One rating becomes one event. Which release a folder holds is seen from its files: they tell the truth even where a
setting would not, and 20M, 25M, 32M and the latest ones are written alike.

| release | ratings | movies |
|---|---|---|
| 100K | u.data, tab separated | u.item, `|` separated, Latin-1, a column per genre |
| 1M, 10M | ratings.dat, `::` between | movies.dat; 1M in Latin-1, 10M in UTF-8 |
| 20M, 25M, 32M, latest | ratings.csv | movies.csv |

A movie has several genres and no order among them, but a category is one path: it is the genre that its release names
first; all of them are in the attribute `genres` and in the text. The year in a title becomes `created_at`, 1 January.
Tags, links and (100K, 1M) the raters' age, sex and occupation are left out: the log has no place for them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import parse_instant
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.movielens_movies import TakeApart, csv_movies, dat_movies, movie_items, read_movies, u_item_movies
from recsys.data.raw_files import RawFiles, digest_of
from recsys.data.raw_items import with_bare_items
from recsys.data.raw_rows import (
    Fault,
    Fields,
    RawTable,
    chunk_of,
    joined_id,
    number_faults,
    open_raw,
    raw_text,
    settings_digest,
    settle,
    usual_faults,
)
from recsys.data.tabular.block import Block
from recsys.data.tabular.convert import as_number
from recsys.data.tabular.instants import as_instant
from recsys.errors import SourceError
from recsys.event import EventType

_VERSION = "1"
_ROLES = ("user", "movie", "rating", "time")
_LATEST = parse_instant("2100-01-01")


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieLens:
    """Reads the files of one release from `folder`.

    Args:
        folder: where the unpacked files lie.
        cutoff: test begins here (ISO 8601); nothing at or after it is learnt from.
        time_zone: hours and weekdays are read in it; the stamps are UTC and nobody knows where the raters live.
        name, licence: shown in summaries and stored in the bundle.
    """

    folder: Path
    cutoff: int
    time_zone: str = "UTC"
    name: str = "movielens"
    licence: str = "GroupLens terms: research only, no commercial use; cite Harper & Konstan 2015, doi 10.1145/2827872"
    order_only: bool = False

    def __post_init__(self) -> None:
        settle(self)

    def fingerprint(self) -> str:
        """Digest of what shapes the events: this reader's version, as no setting does."""
        return settings_digest(self.name, _VERSION)

    def parts(self) -> list[SourcePart]:
        """The ratings, one file."""
        layout, ratings, movies = self._files()
        file = layout.open(ratings)
        return [SourcePart(name=ratings.name, digest=digest_of(ratings, movies), chunks=partial(_chunks, layout, file))]

    def items(self) -> pa.Table:
        """Every movie that is described or rated, sorted by id."""
        layout, ratings, movies = self._files()
        described = movie_items(dict(read_movies(movies, layout.take_apart)))
        rated = pa.array([], pa.string())
        column = layout.roles["movie"]
        for block in layout.open(ratings).blocks([column]):
            rated = pc.unique(pa.concat_arrays([rated, pc.drop_null(raw_text(block, column))]))
        return with_bare_items(described, rated)

    def _files(self) -> "tuple[_Layout, Path, Path]":
        """The layout, the ratings and the movies; SourceError where one is missing or two releases are mixed."""
        raw = RawFiles(self.folder, "MovieLens", "https://grouplens.org/datasets/movielens/")
        found = [layout for layout in _LAYOUTS if raw.find(layout.ratings)]
        if len(found) > 1:
            mixed = " and ".join(layout.ratings for layout in found)
            raise SourceError(f"{self.folder} holds {mixed}, which are of different releases; keep one per folder")
        ratings = raw.path(*(layout.ratings for layout in found or _LAYOUTS))
        return found[0], ratings, raw.path(found[0].movies)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    ratings: str
    movies: str
    delimiter: str
    header: tuple[str, ...] | None
    roles: Mapping[str, str]
    take_apart: TakeApart

    @property
    def wanted(self) -> list[str]:
        return sorted({*self.roles.values(), *self.fillers})

    @property
    def fillers(self) -> list[str]:
        """Columns that are there only because `::` is read as two delimiters; they hold nothing."""
        return [name for name in self.header or () if name.startswith("between")]

    def open(self, path: Path) -> RawTable:
        return open_raw(path, self.wanted, delimiter=self.delimiter, header=self.header)


def _chunks(layout: _Layout, file: RawTable) -> Iterator[SourceChunk]:
    for block in file.blocks(layout.wanted):
        yield _chunk(block, layout)


def _chunk(block: Block, layout: _Layout) -> SourceChunk:
    user, movie, rating, stamp = (raw_text(block, layout.roles[role]) for role in _ROLES)
    stars = as_number(rating)
    fields: Fields = {
        "event_id": joined_id(user, movie, stamp),
        "type": pa.repeat(EventType.RATING.value, len(user)),
        "occurred_at": as_instant(stamp, "epoch_s", "UTC"),
        "user_id": user,
        "item_id": movie,
        "rating": pc.cast(stars, pa.float32(), safe=False),
    }
    return chunk_of(block, fields, _faults(block, fields, layout))


def _faults(block: Block, fields: Fields, layout: _Layout) -> Iterator[Fault]:
    for name in layout.fillers:
        yield pc.is_valid(raw_text(block, name)), "is not UserID::MovieID::Rating::Timestamp"
    yield from usual_faults(fields, latest=_LATEST)
    rating = raw_text(block, layout.roles["rating"])
    yield pc.is_null(rating), "rating is missing"
    yield from number_faults("rating", rating, fields["rating"])
    yield pc.or_(pc.less(fields["rating"], 0.5), pc.greater(fields["rating"], 5)), "rating is not between 0.5 and 5"


_BETWEEN = ("between_1", "between_2", "between_3")
_LAYOUTS = (
    _Layout(
        ratings="ratings.csv",
        movies="movies.csv",
        delimiter=",",
        header=None,
        roles=dict(zip(_ROLES, ("userId", "movieId", "rating", "timestamp"), strict=True)),
        take_apart=csv_movies,
    ),
    _Layout(
        ratings="ratings.dat",
        movies="movies.dat",
        delimiter=":",
        header=("user", _BETWEEN[0], "movie", _BETWEEN[1], "rating", _BETWEEN[2], "time"),
        roles={role: role for role in _ROLES},
        take_apart=dat_movies,
    ),
    _Layout(
        ratings="u.data",
        movies="u.item",
        delimiter="\t",
        header=_ROLES,
        roles={role: role for role in _ROLES},
        take_apart=u_item_movies,
    ),
)
