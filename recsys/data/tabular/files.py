"""Which files a source reads, under names that stay the same when the data folder moves."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from recsys.data.tabular.block import Block
from recsys.data.tabular.delimited import DelimitedFile
from recsys.data.tabular.parquet import ParquetTable
from recsys.errors import SourceError

_PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
_WILDCARDS = frozenset("*?[")


class TableFile(Protocol):
    """A file of rows and named columns."""

    @property
    def path(self) -> Path: ...

    @property
    def origin(self) -> str: ...

    def column_names(self) -> tuple[str, ...]: ...

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]: ...


def open_files(patterns: Sequence[str], *, delimiter: str, header: tuple[str, ...] | None) -> list[TableFile]:
    """The files that match, in order of their path; a file that matches twice is read once.

    Raises:
        SourceError: a pattern matches nothing, or names a folder.
    """
    split = [_split(pattern) for pattern in patterns]
    root = os.path.commonpath([base.absolute() for base, _ in split])
    found: set[Path] = set()
    for base, rest in split:
        matches = [path.absolute() for path in base.glob(rest)]
        files = [path for path in matches if path.is_file()]
        if not files:
            remedy = f"; it is a folder, write {base / rest / '*.csv'}" if matches else f" below {Path.cwd()}"
            raise SourceError(f"no file matches {str(base / rest)!r}{remedy}")
        found.update(files)
    return [_open(path, path.relative_to(root).as_posix(), delimiter, header) for path in sorted(found)]


def require_columns(file: TableFile, wanted: Sequence[str]) -> None:
    """Raises SourceError, with the columns there are, unless `file` has each of `wanted` exactly once."""
    names = file.column_names()
    missing = sorted({name for name in wanted if name not in names})
    if missing:
        raise SourceError(f"{file.path} has no column {', '.join(map(repr, missing))}; it has: {', '.join(names)}")
    twice = sorted({name for name in wanted if names.count(name) > 1})
    if twice:
        raise SourceError(f"{file.path} has the column {', '.join(map(repr, twice))} more than once; rename one")


def digest_of(file: TableFile) -> bytes:
    """A digest of the file's bytes."""
    with file.path.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").digest()


def _split(pattern: str) -> tuple[Path, str]:
    """The fixed folder in front of a pattern, and the rest."""
    parts = Path(pattern).parts
    fixed = next((place for place, part in enumerate(parts) if _WILDCARDS & set(part)), len(parts) - 1)
    return Path(*parts[:fixed]), str(Path(*parts[fixed:]))


def _open(path: Path, origin: str, delimiter: str, header: tuple[str, ...] | None) -> TableFile:
    if path.suffix.lower() in _PARQUET_SUFFIXES:
        return ParquetTable(path=path, origin=origin)
    return DelimitedFile(path=path, origin=origin, delimiter=delimiter, header=header)
