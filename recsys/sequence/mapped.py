"""Columns in files that are mapped into memory when read: larger than memory, shared by processes, nothing to parse."""

import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

_SHAPE = "columns.json"


class ColumnWriter:
    """Writes columns piece by piece into a folder; one that says the same in all rows takes no room.

    Use as a context manager: leaving it in order completes the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._first: dict[str, np.ndarray] = {}
        self._constant: dict[str, bool] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> "ColumnWriter":
        self._folder.mkdir(parents=True)
        return self

    def append(self, columns: Mapping[str, np.ndarray]) -> None:
        """Add rows to each of the named columns; a column's type is that of its first rows."""
        for name, values in columns.items():
            if not len(values):
                continue
            if name not in self._files:
                self._files[name] = (self._folder / f"{name}.bin").open("wb")
                self._first[name] = np.array(values[0])
                self._constant[name] = True
                self._rows[name] = 0
            first = self._first[name]
            if self._constant[name]:
                self._constant[name] = _all_equal(values, first)
            self._files[name].write(np.ascontiguousarray(values, first.dtype).data)
            self._rows[name] += len(values)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if error is not None:
            return
        described = {}
        for name, first in self._first.items():
            described[name] = {"type": first.dtype.str, "shape": [self._rows[name], *first.shape]}
            if self._constant[name]:
                described[name]["constant"] = first.tolist()
                (self._folder / f"{name}.bin").unlink()
        (self._folder / _SHAPE).write_text(json.dumps(described))


def _all_equal(values: np.ndarray, first: np.ndarray) -> bool:
    same = values == first
    if first.dtype.kind == "f":
        same = same | (np.isnan(values) & np.isnan(first))
    return bool(same.all())


def mapped_columns(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a folder by name; they lie in the files until they are touched, and writing alters no file."""
    described = json.loads((folder / _SHAPE).read_text())
    columns = {}
    for name, about in described.items():
        kind, shape = np.dtype(about["type"]), tuple(about["shape"])
        if "constant" in about:
            columns[name] = np.broadcast_to(np.array(about["constant"], kind), shape)
        else:
            # A plain array over the mapping: it answers small slices several times faster than numpy's memmap class.
            columns[name] = np.asarray(np.memmap(folder / f"{name}.bin", kind, mode="c", shape=shape))
    return columns


def let_go(columns: Iterable[np.ndarray]) -> None:
    """Give the memory of mapped columns back to the system; what is read again comes from the files again.

    Whoever has walked through mapped columns once calls this, so that they are not counted as this process's memory for
    the rest of its life. Arrays in plain memory are left as they are, and so is everything where the system cannot.
    """
    advice = getattr(mmap, "MADV_DONTNEED", None)
    for values in columns:
        mapped = values
        while isinstance(mapped.base, np.ndarray):
            mapped = mapped.base
        if advice is not None and isinstance(mapped.base, mmap.mmap):
            mapped.base.madvise(advice)


def kept_folder(folder: Path, write: Callable[[Path], None], *, keep: int = 3) -> Path:
    """`folder`, written by `write` unless it is there already; it appears whole or not at all.

    Of the folders beside it whose name begins like its own (up to the first "-") the `keep` newest stay.
    """
    if not (folder / _SHAPE).is_file():
        for left in folder.parent.glob(".*.*"):
            if not _is_running(left.suffix[1:]):
                shutil.rmtree(left, ignore_errors=True)
        partial = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            write(partial)
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        kind = folder.name.partition("-")[0]
        older = sorted(folder.parent.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime, reverse=True)[keep:]
        for path in older:
            shutil.rmtree(path, ignore_errors=True)
    else:
        os.utime(folder)
    return folder


def _is_running(process: str) -> bool:
    """Whether a process of this number runs on this machine; a text that is no number is left alone."""
    if not process.isdigit():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
