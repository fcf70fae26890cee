"""Which files a source reads, under names that stay the same when the data folder moves or a file joins them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Protocol

import pyarrow as pa

from recsys.data.tabular.block import Block
from recsys.data.tabular.delimited import DelimitedFile
from recsys.data.tabular.json_lines import JsonLines
from recsys.data.tabular.parquet import ParquetTable
from recsys.errors import SourceError

_WILDCARDS = frozenset("*?[")
_SHOWN = 5
_COMPRESSED = frozenset({".gz", ".bz2", ".zst"})
_SUFFIXES = MappingProxyType(
    {".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
)
_REMEDIES = MappingProxyType(
    {
        ".zip": "unpack it first (unzip)",
        ".7z": "unpack it first",
        ".tar": "unpack it first (tar -xf)",
        ".tgz": "unpack it first (tar -xzf)",
        ".xz": "unpack it first (unxz), or compress it as .gz or .zst",
        ".xlsx": "save it as CSV (UTF-8)",
        ".xls": "save it as CSV (UTF-8)",
        ".avro": "export it as Parquet or JSON lines",
        ".orc": "export it as Parquet or JSON lines",
    }
)
"""Files that are no tables yet, and what to do with them."""


class TableFile(Protocol):
    """A file of rows; values are named by columns or paths (`path.py`)."""

    @property
    def path(self) -> Path: ...

    @property
    def origin(self) -> str: ...

    @property
    def certain(self) -> bool:
        """Whether the schema is all there is, or only what the first rows show."""
        ...

    def schema(self) -> pa.Schema: ...

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the files are written; `form` is a key of `FORMS`, None tells them by their names."""

    form: str | None = None
    delimiter: str = ","
    header: tuple[str, ...] | None = None
    multiline: bool = False
    encoding: str = "utf-8"

    def open(self, path: Path, origin: str) -> TableFile:
        """The file, not read yet; SourceError for a file that is no table."""
        form = self.form or _form_of(path)
        if form == "parquet" and path.suffix.lower() in _COMPRESSED:
            raise SourceError(f"{path} is compressed from outside; Parquet is compressed inside: unpack it (gunzip)")
        return FORMS[form](self, path, origin)


def _delimited(dialect: Dialect, path: Path, origin: str) -> TableFile:
    return DelimitedFile(
        path=path,
        origin=origin,
        delimiter=dialect.delimiter,
        header=dialect.header,
        multiline=dialect.multiline,
        encoding=dialect.encoding,
    )


FORMS: Mapping[str, Callable[[Dialect, Path, str], TableFile]] = MappingProxyType(
    {
        "csv": _delimited,
        "jsonl": lambda dialect, path, origin: JsonLines(path=path, origin=origin, encoding=dialect.encoding),
        "parquet": lambda dialect, path, origin: ParquetTable(path=path, origin=origin),
    }
)
"""What a file can be, by the name that the settings use."""


def open_files(patterns: Sequence[str], dialect: Dialect) -> list[TableFile]:
    """The files that match, in the order of the patterns and within a pattern of their paths; each file once.

    A file is named by its path below the pattern's fixed folder ("may/1.csv" for "data/*/1.csv"), so that neither
    moving the data folder nor adding a file renames it. Of two that would share a name, the later one gets the names
    of the folders in front, as many as it takes.

    Raises:
        SourceError: a pattern matches nothing, or names a folder or a file that is no table.
    """
    found: dict[Path, str] = {}
    taken: set[str] = set()
    for pattern in patterns:
        base, rest = _split(pattern)
        matches = sorted(path.absolute() for path in base.glob(rest))
        files = [path for path in matches if path.is_file()]
        if not files:
            remedy = f"it is a folder, write {base / rest / '*.csv'}" if matches else _looked_in(base.absolute())
            raise SourceError(f"no file matches {str(base / rest)!r}; {remedy}")
        for path in files:
            if path not in found:
                found[path] = _name(path, len(base.absolute().parts), taken)
                taken.add(found[path])
    return [dialect.open(path, origin) for path, origin in found.items()]


def _looked_in(folder: Path) -> str:
    """Where nothing was found, what lies there instead, and what to do."""
    remedy = "give data.files (data.item_files) a path or pattern of files that exist, such as 'data/*.csv'"
    if not folder.is_dir():
        return f"there is no folder {folder}; {remedy}"
    names = sorted(path.name for path in folder.iterdir())
    held = ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])]) or "nothing"
    return f"{folder} holds {held}; {remedy}"


def _split(pattern: str) -> tuple[Path, str]:
    """The fixed folder in front of a pattern, and the rest."""
    parts = Path(pattern).parts
    fixed = next((place for place, part in enumerate(parts) if _WILDCARDS & set(part)), len(parts) - 1)
    return Path(*parts[:fixed]), str(Path(*parts[fixed:]))


def _name(path: Path, fixed: int, taken: set[str]) -> str:
    """The path below its first `fixed` parts, or below fewer where that name is taken."""
    return next(
        name
        for name in (PurePath(*path.parts[start:]).as_posix() for start in range(fixed, -1, -1))
        if name not in taken
    )


def _form_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    inner = suffixes[:-1] if suffixes and suffixes[-1] in _COMPRESSED else suffixes
    remedy = _REMEDIES.get(suffixes[-1] if suffixes else "")
    if remedy:
        raise SourceError(f"{path} is no CSV, JSON lines or Parquet file; {remedy}")
    return _SUFFIXES.get(inner[-1], "csv") if inner else "csv"
