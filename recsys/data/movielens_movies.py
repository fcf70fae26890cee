"""The movies of MovieLens in each of the three forms its releases have; see `recsys.data.movielens`."""

import csv
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from recsys.clock import to_instant
from recsys.data.raw_items import with_defaults
from recsys.errors import SourceError
from recsys.event import ITEM_SCHEMA

_log = logging.getLogger(__name__)
_YEAR = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")
_NO_GENRES = "(no genres listed)"
_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip

TakeApart = Callable[[str], Iterator[list[str]]]
"""The text of a movies file -> id, title and genres of every line; another number of fields where a line is broken."""


@dataclass(frozen=True, slots=True)
class Movie:
    """What a release says of a movie."""

    item_id: str
    title: str
    genres: tuple[str, ...]


def read_movies(path: Path, take_apart: TakeApart) -> Iterator[tuple[str, Movie]]:
    """The movies of a file by their ids; lines that cannot be taken apart are left out with a warning."""
    broken = []
    for fields in take_apart(_text(path)):
        if len(fields) == len(("id", "title", "genres")) and all(field.strip() for field in fields[:2]):
            genres = tuple(genre for genre in fields[2].split("|") if genre and genre != _NO_GENRES)
            yield fields[0].strip(), Movie(fields[0].strip(), fields[1].strip(), genres)
        else:
            broken.append(fields)
    if broken:
        _log.warning("%d lines of %s describe no movie; the first holds %s", len(broken), path.name, broken[0])


def dat_movies(text: str) -> Iterator[list[str]]:
    """`MovieID::Title::Genres`, as in movies.dat."""
    return (line.split("::") for line in _lines(text))


def csv_movies(text: str) -> Iterator[list[str]]:
    """`movieId,title,genres` with a header, as in movies.csv; line by line, so that no open quote swallows another."""
    return (next(csv.reader([line])) for line in _lines(text)[1:])


def u_item_movies(text: str) -> Iterator[list[str]]:
    """`movie id|title|release date|video release date|IMDb URL|` and 19 flags, as in u.item."""
    for line in _lines(text):
        fields = line.split("|")
        flags = fields[-len(_GENRES_100K) :]
        genres = "|".join(genre for genre, flag in zip(_GENRES_100K, flags, strict=False) if flag == "1")
        yield [*fields[:2], genres] if len(fields) == 5 + len(_GENRES_100K) else fields[:1]


def _lines(text: str) -> list[str]:
    """Cut at line feeds only: Latin-1 has characters that would pass for line ends."""
    return [line for line in (line.removesuffix("\r") for line in text.split("\n")) if line]


def _text(path: Path) -> str:
    """The whole file, a few megabytes: UTF-8 in the later releases, Latin-1 in the earlier ones."""
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            data: bytes = stream.read()
    except OSError as error:
        raise SourceError(f"{path} cannot be read to its end: {error}; download it again") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def movie_items(movies: Mapping[str, Movie]) -> pa.Table:
    """Movies by their ids, as items."""
    listed = list(movies.values())
    described = pa.table(
        {
            "title": pa.array([movie.title for movie in listed], pa.string()),
            "category": pa.array([list(movie.genres[:1]) for movie in listed], pa.list_(pa.string())),
            "created_at": pa.array([_created_at(movie.title) for movie in listed], pa.timestamp("us", tz="UTC")),
            "attributes": pa.array(
                [[("genres", "|".join(movie.genres))] if movie.genres else None for movie in listed],
                ITEM_SCHEMA.field("attributes").type,
            ),
            "text": pa.array([", ".join(movie.genres) or None for movie in listed], pa.string()),
        }
    )
    return with_defaults(pa.array(movies, pa.string()), described)


def _created_at(title: str) -> int | None:
    """1 January of the year at the end of a title, as an instant."""
    year = _YEAR.search(title)
    return to_instant(datetime(int(year[1]), 1, 1, tzinfo=UTC)) if year and 1800 <= int(year[1]) <= 2100 else None
