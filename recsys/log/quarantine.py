"""The Parquet files of refused rows."""

from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.event import QUARANTINE_SCHEMA
from recsys.log.disk import sync, writing
from recsys.log.event_files import PART

QUARANTINE = "quarantine"
QUARANTINE_FILE_SCHEMA = QUARANTINE_SCHEMA.append(pa.field(PART, pa.int32(), nullable=False))

_BYTES_AT_ONCE = 16 << 20


class QuarantineWriter:
    """Writes refused rows as they come; a context manager. The file is made with the first row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tables: list[pa.Table] = []
        self._bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "QuarantineWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with writing(self._path):
            if error is None:
                self._flush()
            if self._writer is not None:
                self._writer.close()
                sync(self._path)

    def add(self, rows: pa.Table, part: int) -> None:
        """Take in rows by `QUARANTINE_SCHEMA` of the part with this number."""
        columns = [*rows.select(QUARANTINE_SCHEMA.names).columns, pa.repeat(pa.scalar(part, pa.int32()), rows.num_rows)]
        self.add_numbered(pa.table(columns, schema=QUARANTINE_FILE_SCHEMA))

    def add_numbered(self, rows: pa.Table) -> None:
        """Take in rows by `QUARANTINE_FILE_SCHEMA`."""
        if not rows.num_rows:
            return
        self._tables.append(rows)
        self._bytes += rows.nbytes
        if self._bytes >= _BYTES_AT_ONCE:
            with writing(self._path):
                self._flush()

    def _flush(self) -> None:
        if not self._tables:
            return
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._path, QUARANTINE_FILE_SCHEMA, compression="zstd")
        self._writer.write_table(pa.concat_tables(self._tables))
        self._tables, self._bytes = [], 0
