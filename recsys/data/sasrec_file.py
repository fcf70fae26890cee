"""The prepared file of SASRec and its many successors: `user item` per line, each user's lines in their order.

Format and files: https://github.com/kang205/SASRec (folder `data`). Literature mode: there are no times, see
`recsys.data.literature`. The intended split is leave-one-out: a shopper's last event is the test, the one before the
validation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.literature import CUTOFF, Positions, Rows, check_event_type, history_events, lines_of_ids
from recsys.data.movielens_movies import Movie, dat_movies, movie_items, read_movies
from recsys.data.raw_files import RawFiles, digest_of
from recsys.data.raw_items import with_bare_items
from recsys.data.raw_rows import settings_digest, settle
from recsys.event import ITEM_SCHEMA

_VERSION = "1"
_ORIGIN = "https://github.com/kang205/SASRec (folder data), or where its preparation is published"


@dataclass(frozen=True, slots=True, kw_only=True)
class SASRecFile:
    """Reads one file of `user item` lines.

    Args:
        folder: where the files lie.
        file: the file's name; it may also be compressed (.gz).
        licence: of the data in the file; the format has none.
        movies: MovieLens' movies.dat, which names the items; None where there is none.
        original_ids: file of `item original` lines, the ids that `movies` uses; None where they are the same.
        event_type: what the shoppers did.
        name: shown in summaries and stored in the bundle.
    """

    folder: Path
    file: str
    licence: str
    movies: str | None = None
    original_ids: str | None = None
    event_type: str = "rating"
    name: str = "sasrec_file"
    time_zone: str = "UTC"
    cutoff: int = field(default=CUTOFF, init=False)
    order_only: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        settle(self)
        check_event_type(self.event_type)

    def fingerprint(self) -> str:
        """Digest of the settings that shape the events."""
        return settings_digest(self.name, _VERSION, self.event_type)

    def parts(self) -> list[SourcePart]:
        """The file."""
        path = self._path(self.file)
        return [SourcePart(name=path.name, digest=digest_of(path), chunks=partial(self._chunks, path))]

    def items(self) -> pa.Table:
        """Every item of the file, sorted by id; with title and genres where `movies` tells them."""
        taken = pa.array([], pa.string())
        for rows in _pairs(self._path(self.file)):
            taken = pc.unique(pa.concat_arrays([taken, rows.flat()[1::2]]))
        described = ITEM_SCHEMA.empty_table() if self.movies is None else self._described(self.movies)
        return with_bare_items(described.filter(pc.is_in(described["item_id"], taken)), taken)

    def _described(self, movies: str) -> pa.Table:
        known = dict(read_movies(self._path(movies), dat_movies))
        if self.original_ids is not None:
            original = _mapping(self._path(self.original_ids))
            known = {
                item: Movie(item, known[movie].title, known[movie].genres)
                for item, movie in original.items()
                if movie in known
            }
        return movie_items(known)

    def _chunks(self, path: Path) -> Iterator[SourceChunk]:
        positions = Positions()
        for rows in _pairs(path):
            ids = rows.flat()
            user, item = ids[::2], ids[1::2]
            yield rows.chunk(history_events(user, item, positions.of(user), self.event_type))

    def _path(self, name: str) -> Path:
        return RawFiles(self.folder, "SASRec file", _ORIGIN).path(name)


def _pairs(path: Path) -> Iterator[Rows]:
    return lines_of_ids(path, least=2, most=2, otherwise="is not one user and one item")


def _mapping(path: Path) -> Mapping[str, str]:
    ids = [rows.flat().to_pylist() for rows in _pairs(path)]
    return {item: original for each in ids for item, original in zip(each[::2], each[1::2], strict=True)}
