"""The prepared files of S3-Rec: `user item item ...` per line in the items' order, and the items' attributes.

Format and files: https://github.com/RUCAIBox/CIKM2020-S3Rec (folder `data`). Literature mode: there are no times, see
`recsys.data.literature`. The intended split is leave-one-out.

The attributes are numbers without names; for Amazon they are an item's brand, where it has a known one, and the levels
of its category paths. They become a category path by how many items share each, the commonest first, so that wide ones
come before narrow ones; as the file lists them they are the attribute `attribute_ids`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.literature import CUTOFF, Positions, Rows, check_event_type, history_events, lines_of_ids
from recsys.data.raw_files import RawFiles, digest_of, items_part
from recsys.data.raw_items import with_bare_items, with_defaults
from recsys.data.raw_rows import settings_digest, settle
from recsys.errors import SourceError
from recsys.event import ITEM_SCHEMA

_VERSION = "1"
_ORIGIN = "https://github.com/RUCAIBox/CIKM2020-S3Rec (folder data)"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3RecFile:
    """Reads one file of `user item item ...` lines.

    Args:
        folder: where the files lie.
        file: the file's name; it may also be compressed (.gz).
        licence: of the data in the file; the format has none.
        attributes: the JSON file of every item's attribute ids; None where there is none.
        event_type: what the shoppers did.
        name: shown in summaries and stored in the bundle.
    """

    folder: Path
    file: str
    licence: str
    attributes: str | None = None
    event_type: str = "rating"
    name: str = "s3rec_file"
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
        """The file of histories, and that of the attributes where there is one."""
        path = self._path(self.file)
        items = [] if self.attributes is None else [items_part(self._path(self.attributes))]
        return [SourcePart(name=path.name, digest=digest_of(path), chunks=partial(self._chunks, path)), *items]

    def items(self) -> pa.Table:
        """Every item of the file, sorted by id, with its attributes where there are any."""
        taken = pa.array([], pa.string())
        for rows in _histories(self._path(self.file)):
            taken = pc.unique(pa.concat_arrays([taken, _apart(rows)[1]]))
        described = ITEM_SCHEMA.empty_table() if self.attributes is None else _items(self._path(self.attributes))
        return with_bare_items(described.filter(pc.is_in(described["item_id"], taken)), taken)

    def _chunks(self, path: Path) -> Iterator[SourceChunk]:
        positions = Positions()
        for rows in _histories(path):
            user, item = _apart(rows)
            yield rows.chunk(history_events(user, item, positions.of(user), self.event_type))

    def _path(self, name: str) -> Path:
        return RawFiles(self.folder, "S3-Rec file", _ORIGIN).path(name)


def _histories(path: Path) -> Iterator[Rows]:
    return lines_of_ids(path, least=2, otherwise="is not a user and items")


def _apart(rows: Rows) -> tuple[pa.Array, pa.Array]:
    """User and item of every event [E]."""
    counts, ids = rows.counts(), rows.flat()
    first = np.cumsum(counts) - counts
    user = ids.take(pa.array(np.repeat(first, counts - 1)))
    return user, ids.take(pa.array(np.delete(np.arange(len(ids)), first)))


def _items(path: Path) -> pa.Table:
    attributes = _attributes_of(path)
    common = Counter(each for ids in attributes.values() for each in set(ids))
    paths = [sorted(dict.fromkeys(ids), key=lambda each: -common[each]) for ids in attributes.values()]
    described = pa.table(
        {
            "category": pa.array(paths, pa.list_(pa.string())),
            "attributes": pa.array(
                [[("attribute_ids", " ".join(ids))] if ids else None for ids in attributes.values()],
                ITEM_SCHEMA.field("attributes").type,
            ),
        }
    )
    return with_defaults(pa.array(attributes, pa.string()), described)


def _attributes_of(path: Path) -> Mapping[str, list[str]]:
    """Item -> its attribute ids; SourceError where the file is something else."""
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            found = json.loads(stream.read())
        return {str(item): [str(int(each)) for each in ids] for item, ids in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{path} is no JSON object of items and their attribute ids ({error}); download it from {_ORIGIN}"
        ) from error
