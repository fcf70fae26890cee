"""Files of events that are in the canonical schema already, joined to any source: what a service exported.

The files (`*.parquet` by `EVENT_SCHEMA`, as `recsys-export` writes them) are further parts of the source's log: a new
file adds only what is in it, an event whose id is known already is counted as a duplicate, and what was in files that
are gone stays in the log. Whoever loads the same events from the shop's own files, too, sends them with the same ids.

Shoppers whom the service erased (`recsys/data/export_erasures.py`) leave the log, too, with whatever else it has of
them.

An event of an item that the source does not describe is in the log like any other; nothing is learnt of the item until
the source has a row for it, and then all that came in before is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.data.chunk import SourceChunk, SourcePart
from recsys.data.export_erasures import ExportedErasures, part_digest
from recsys.errors import ConfigError, SourceError
from recsys.event import EVENT_SCHEMA, QUARANTINE_SCHEMA, EventType
from recsys.log.manifest import Erased
from recsys.protocols import Source

_ROWS = 1 << 16
_TYPES = pa.array([event_type.value for event_type in EventType])


@dataclass(frozen=True, slots=True, kw_only=True)
class WithExports:
    """A source and the files of a folder; `cutoff` is the source's own unless another one is asked for."""

    base: Source
    folder: Path
    cutoff: int

    @property
    def name(self) -> str:
        """The source's, so that the log is the same one."""
        return self.base.name

    @property
    def licence(self) -> str:
        """The source's."""
        return self.base.licence

    @property
    def time_zone(self) -> str:
        """The source's."""
        return self.base.time_zone

    @property
    def order_only(self) -> bool:
        """The source's: false."""
        return self.base.order_only

    def fingerprint(self) -> str:
        """The source's: files add parts to its log, and change nothing of what others mean."""
        return self.base.fingerprint()

    def parts(self) -> Sequence[SourcePart]:
        """The source's parts, then one per file, in the order of their names."""
        files = [
            SourcePart(name=f"exports/{path.name}", digest=part_digest(path), chunks=partial(_read, path))
            for path in exported_files(self.folder)
        ]
        return [*self.base.parts(), *files]

    def items(self) -> pa.Table:
        """What the source says of items; files of events say nothing."""
        return self.base.items()

    def erased(self) -> Sequence[Erased]:
        """Who was erased from the service that exported the files."""
        return ExportedErasures(self.folder).read()


def exported_files(folder: Path) -> list[Path]:
    """The files in a folder, by name; those whose name begins with a dot are being written."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def with_exports(source: Source, folder: str | Path | None) -> Source:
    """The source joined with the files of a folder; the source itself where the folder is None or holds none (yet).

    Raises:
        ConfigError: the source has an order but no times.
    """
    if folder is None or not (exported_files(Path(folder)) or ExportedErasures(Path(folder)).read()):
        return source
    if source.order_only:
        raise ConfigError(f"exports={folder}: data {source.name!r} has an order but no times; use exports=null")
    return WithExports(base=source, folder=Path(folder), cutoff=source.cutoff)


def _read(path: Path) -> Iterator[SourceChunk]:
    try:
        file = pq.ParquetFile(path)
        if lacking := set(EVENT_SCHEMA.names) - set(file.schema_arrow.names):
            raise SourceError(f"{path} lacks {', '.join(sorted(lacking))}: it is no export of events; move it away")
        row = 0
        for batch in file.iter_batches(_ROWS, columns=EVENT_SCHEMA.names):
            yield _chunk(pa.Table.from_batches([batch]).select(EVENT_SCHEMA.names).cast(EVENT_SCHEMA), path.name, row)
            row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} cannot be read ({error}); export it again or move it away") from error


def _chunk(events: pa.Table, origin: str, first: int) -> SourceChunk:
    known = pc.is_in(events["type"], value_set=_TYPES)
    refused = events.filter(pc.invert(known))
    rows = first + np.flatnonzero(~known.to_numpy())
    raw = [str({name: str(value) for name, value in row.items() if value is not None}) for row in refused.to_pylist()]
    reasons = [f"type is {kind!r}, which is not known" for kind in refused["type"].to_pylist()]
    quarantine = pa.table(
        {"origin": [origin] * len(raw), "row": rows, "reason": reasons, "raw": raw}, schema=QUARANTINE_SCHEMA
    )
    return SourceChunk(rows_in=events.num_rows, events=events.filter(known), quarantine=quarantine)
