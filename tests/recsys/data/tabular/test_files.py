"""Which files are found, what they are called, and what is said of those that do not fit."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.data.tabular.files import Dialect, open_files
from recsys.data.tabular.fitting import Need, require
from recsys.errors import SourceError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a,b\n1,2\n")
    return folder


def origins(*patterns: Path | str) -> list[str]:
    return [file.origin for file in open_files([str(pattern) for pattern in patterns], Dialect())]


def test_a_name_begins_below_the_fixed_folder_and_outlives_new_files(tmp_path: Path) -> None:
    touch(tmp_path, "in/b.csv")
    assert origins(tmp_path / "in" / "*.csv") == origins(tmp_path / "in" / "b.csv") == ["b.csv"]
    touch(tmp_path, "in/a.csv", "in/c.csv")
    assert origins(tmp_path / "in" / "*.csv") == ["a.csv", "b.csv", "c.csv"]
    touch(tmp_path, "in/more/a.csv")
    assert origins(tmp_path / "in" / "**" / "*.csv") == ["a.csv", "b.csv", "c.csv", "more/a.csv"]


def test_a_file_in_a_folder_beside_renames_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "may/log.csv")
    assert origins(tmp_path / "may" / "log.csv") == ["log.csv"]
    touch(tmp_path, "june/log.csv", "june/other.csv")
    assert origins(tmp_path / "may" / "log.csv", tmp_path / "june" / "*.csv") == [
        "log.csv",
        "june/log.csv",
        "other.csv",
    ]


def test_a_file_that_two_patterns_match_is_read_once_under_its_first_name(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.csv", "in/b.csv")
    assert origins(tmp_path / "*" / "b.csv", tmp_path / "in" / "*.csv") == ["in/b.csv", "a.csv"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("log.parquet.gz", "Parquet is compressed inside: unpack it"),
        ("log.zip", "unpack it first"),
        ("log.csv.zip", "unpack it first"),
        ("log.xlsx", "save it as CSV"),
    ],
)
def test_files_that_are_no_tables_are_refused_with_the_remedy(tmp_path: Path, name: str, remedy: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(SourceError, match=rf"{name}.*{remedy}"):
        origins(tmp_path / name)


def test_a_file_is_what_its_name_or_the_setting_says(tmp_path: Path) -> None:
    touch(tmp_path, "a.CSV", "b.tsv.gz", "c.ndjson.gz", "d.json", "e.parquet", "part-0001", "2024.05.01")
    files = open_files([str(tmp_path / "*")], Dialect())
    assert [type(file).__name__ for file in files] == [
        "DelimitedFile", "DelimitedFile", "DelimitedFile", "JsonLines", "JsonLines", "ParquetTable", "DelimitedFile",
    ]  # fmt: skip
    (forced,) = open_files([str(tmp_path / "part-0001")], Dialect(form="jsonl"))
    assert type(forced).__name__ == "JsonLines"


def needs(*names: str) -> list[Need]:
    return [Need(((name,),)) for name in names]


def test_everything_that_is_missing_is_said_at_once_with_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("Customer ID,event_time,price\n")
    (tmp_path / "2.csv").write_text("Customer ID,event_time,price\n")
    pq.write_table(pa.table({"sku": ["a"], "page": [{"url": "/"}]}), tmp_path / "i.parquet")
    one, two, items = open_files([str(tmp_path / "*.csv"), str(tmp_path / "i.parquet")], Dialect())
    with pytest.raises(SourceError) as caught:
        require(
            [(one, needs("customer_id", "stock")), (two, needs("customer_id", "stock")), (items, needs("page.uri"))]
        )
    assert str(caught.value).splitlines() == [
        f"{one.path} (and 1 more files) has no column 'customer_id' (did you mean 'Customer ID'?), 'stock'; "
        "it has: Customer ID, event_time, price",
        f"{items.path} has no column 'page.uri' (did you mean 'page.url'?); it has: sku, page.url",
    ]


def test_another_delimiter_is_guessed_from_the_header(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("time;user\n")
    (file,) = open_files([str(tmp_path / "1.csv")], Dialect())
    with pytest.raises(SourceError, match=r"is the delimiter ';'\? Then set data\.delimiter"):
        require([(file, needs("time"))])


def test_one_of_several_columns_is_enough_and_objects_are_no_values(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "page": [{"url": "/"}], "lines": [[{"sku": "x"}]]}), tmp_path / "i.parquet")
    (file,) = open_files([str(tmp_path / "i.parquet")], Dialect())
    require([(file, [Need((("b",), ("a",))), Need(()), Need((("lines",),), whole=True)])])
    with pytest.raises(SourceError, match=r"has no column 'b'"):
        require([(file, [Need((("a", "b"), ("c", "d")))])])
    with pytest.raises(SourceError, match=r"no single values in 'page', it is an object; name one of page\.url"):
        require([(file, needs("page"))])


def test_a_key_that_json_lines_lack_at_first_is_warned_of_unless_it_is_essential(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "1.jsonl").write_text('{"user": {"id": 1}}\n')
    (tmp_path / "2.jsonl").write_text("")
    files = open_files([str(tmp_path / "*.jsonl")], Dialect())
    require([(file, needs("user.ident")) for file in files])
    assert "no line at the beginning of the files has 'user.ident' (did you mean 'user.id'?)" in caplog.text
    with pytest.raises(SourceError, match=r"1\.jsonl has no column 'user\.ident'"):
        require([(file, [Need((("user.ident",),), essential=True)]) for file in files])
