"""Columns in mapped files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys.sequence.mapped import ColumnWriter, kept_folder, mapped_columns


def test_columns_come_back_as_they_were_appended(tmp_path: Path) -> None:
    with ColumnWriter(tmp_path / "c") as columns:
        columns.append({"a": np.array([1, 2], np.int32), "b": np.array([[1, 2], [3, 4]], np.int16)})
        columns.append({"a": np.array([], np.int32)})
        columns.append({"a": np.array([3], np.int64), "b": np.array([[5, 6]], np.int16)})
    read = mapped_columns(tmp_path / "c")
    assert read["a"].tolist() == [1, 2, 3]
    assert read["a"].dtype == np.int32, "the first rows decide"
    assert read["b"].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_column_that_says_the_same_everywhere_has_no_file(tmp_path: Path) -> None:
    with ColumnWriter(tmp_path / "c") as columns:
        for _ in range(3):
            columns.append({"price": np.full(5, np.nan, np.float32), "item": np.arange(5)})
    assert sorted(path.name for path in (tmp_path / "c").glob("*.bin")) == ["item.bin"]
    price = mapped_columns(tmp_path / "c")["price"]
    assert (price.shape, price.strides, price.dtype) == ((15,), (0,), np.float32)
    assert np.isnan(price).all()


def test_writing_to_what_was_read_alters_no_file(tmp_path: Path) -> None:
    with ColumnWriter(tmp_path / "c") as columns:
        columns.append({"a": np.arange(3)})
    mapped_columns(tmp_path / "c")["a"][0] = 99
    assert mapped_columns(tmp_path / "c")["a"].tolist() == [0, 1, 2]


def numbers(count: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with ColumnWriter(folder) as columns:
            columns.append({"a": np.arange(count)})

    return write


def test_a_kept_folder_is_written_once(tmp_path: Path) -> None:
    kept_folder(tmp_path / "x-1", numbers(3))
    kept_folder(tmp_path / "x-1", numbers(4))
    assert len(mapped_columns(tmp_path / "x-1")["a"]) == 3


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        with ColumnWriter(folder) as columns:
            columns.append({"a": np.arange(3)})
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        kept_folder(tmp_path / "x-1", broken)
    assert list(tmp_path.iterdir()) == []
    kept_folder(tmp_path / "x-1", numbers(2))
    assert len(mapped_columns(tmp_path / "x-1")["a"]) == 2


def test_only_the_newest_folders_of_a_kind_stay(tmp_path: Path) -> None:
    for name in ("x-1", "y-1", "x-2", "x-3", "x-4"):
        kept_folder(tmp_path / name, numbers(2))
    assert {path.name for path in tmp_path.iterdir()} == {"y-1", "x-2", "x-3", "x-4"}
