"""What the adapters of public data sets share: nothing that stands in a file gets lost, or stops the reading."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.data import diginetica, retailrocket, trivago, yoochoose
from recsys.data.amazon_reviews import AmazonReviews
from recsys.data.complete_journey import CompleteJourney
from recsys.data.diginetica import Diginetica
from recsys.data.movielens import MovieLens
from recsys.data.raw_rows import listed, open_raw, pieces
from recsys.data.rees46 import COLUMNS, Rees46
from recsys.data.retailrocket import RetailRocket
from recsys.data.trivago import Trivago
from recsys.data.yoochoose import Yoochoose
from recsys.errors import ConfigError, SourceError
from recsys.protocols import Source
from tests.recsys.data.raw_sets import chunks, lay

CELL = st.sampled_from(
    [
        "", " ", "NA", "0", "1", "-1", "7", "1.5", "nan", "9e999", "99999999999999999999", '"', "ä", "x|y", "1|2",
        "1,2", "1||2", "view", "cart", "transaction", "clickout item", "search for item", "change of sort order",
        "2016-05-09", "2014-04-07T10:51:09.277Z", "2019-10-01 00:00:00 UTC", "1541060000", "1433221332117",
        "S", "2088610737",
    ]
)  # fmt: skip
ROWS = st.lists(st.lists(CELL, min_size=1, max_size=12), max_size=12)
Lay = Callable[[Path, list[str]], Source]


def whole_rows(rows: list[list[str]], *, columns: int, delimiter: str) -> list[str]:
    """Most rows of the right length, so that there is something in them to stumble over."""
    return [delimiter.join((row * columns)[:columns] if len(row) % 3 else row) for row in rows]


def rees46_files(folder: Path, rows: list[list[str]]) -> Source:
    lay(folder / "2019-Oct.csv", ",".join(COLUMNS), *whole_rows(rows, columns=9, delimiter=","))
    return Rees46(cutoff=0, folder=folder)


def retailrocket_files(folder: Path, rows: list[list[str]]) -> Source:
    lay(folder / "events.csv", ",".join(retailrocket.EVENT_COLUMNS), *whole_rows(rows, columns=5, delimiter=","))
    for part in (1, 2):
        described = whole_rows(rows, columns=4, delimiter=",")
        lay(folder / f"item_properties_part{part}.csv", ",".join(retailrocket.PROPERTY_COLUMNS), *described)
    lay(folder / "category_tree.csv", "categoryid,parentid", *whole_rows(rows, columns=2, delimiter=","))
    return RetailRocket(cutoff=0, folder=folder, price_property="1.5")


def yoochoose_files(folder: Path, rows: list[list[str]]) -> Source:
    lay(folder / "yoochoose-clicks.dat", *whole_rows(rows, columns=4, delimiter=","))
    lay(folder / "yoochoose-buys.dat", *whole_rows(rows, columns=5, delimiter=","))
    return Yoochoose(cutoff=0, folder=folder)


def prepared_yoochoose_files(folder: Path, rows: list[list[str]]) -> Source:
    header = "\t".join(yoochoose.PREPARED_COLUMNS)
    lay(folder / "rsc15_train_full.txt", header, *whole_rows(rows, columns=3, delimiter="\t"))
    return Yoochoose(cutoff=0, folder=folder)


def diginetica_files(folder: Path, rows: list[list[str]]) -> Source:
    for name, columns in diginetica.COLUMNS.items():
        lay(folder / name, ";".join(columns), *whole_rows(rows, columns=len(columns), delimiter=";"))
    return Diginetica(cutoff=0, folder=folder)


def trivago_files(folder: Path, rows: list[list[str]]) -> Source:
    lay(folder / "train.csv", ",".join(trivago.COLUMNS), *whole_rows(rows, columns=12, delimiter=","))
    lay(folder / "item_metadata.csv", "item_id,properties", *whole_rows(rows, columns=2, delimiter=","))
    return Trivago(cutoff=0, folder=folder)


@pytest.mark.parametrize(
    "files",
    [
        rees46_files,
        retailrocket_files,
        yoochoose_files,
        prepared_yoochoose_files,
        diginetica_files,
        trivago_files,
    ],
    ids=lambda files: files.__name__,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(rows=ROWS)
def test_whatever_stands_in_the_files_every_row_is_accounted_for(files: Lay, rows: list[list[str]], tmp_path: Path):
    source = files(tmp_path, rows)
    read = chunks(source)
    names = [part.name for part in source.parts() if not part.name.startswith("items: ")]
    lines = [line for name in names for line in (tmp_path / name).read_text().split("\n") if line]
    headers = sum(not name.endswith(".dat") for name in names)
    assert sum(chunk.rows_in for chunk in read) == len(lines) - headers
    taken = {item for chunk in read for item in chunk.events["item_id"].to_pylist()} - {None}
    assert taken <= set(source.items()["item_id"].to_pylist())


@given(st.lists(st.none() | st.lists(st.sampled_from(["a", "bc", "", " "]), min_size=1, max_size=4), max_size=6))
def test_lists_are_taken_apart_into_values_that_know_their_row_and_position(rows: list[list[str] | None]):
    apart = listed(pa.array([None if row is None else "|".join(row) for row in rows], pa.string()), "|")
    expected = [(v.strip() or None, n, k) for n, row in enumerate(rows) for k, v in enumerate(row or [])]
    assert list(zip(apart.value.to_pylist(), apart.row.tolist(), apart.position.tolist(), strict=True)) == expected


@given(rows=st.integers(0, 30), size=st.integers(1, 12))
def test_a_block_in_pieces_holds_the_same_rows_and_its_refusals_once(
    rows: int, size: int, tmp_path_factory: pytest.TempPathFactory
):
    path = lay(tmp_path_factory.getbasetemp() / "pieces.csv", "a,b", "torn", *(f"{n},x" for n in range(rows)))
    for block in open_raw(path, ["a"]).blocks(["a"]):
        cut = list(pieces(block, size))
        assert [value for piece in cut for value in piece.columns["a"].to_pylist()] == block.columns["a"].to_pylist()
        assert np.concatenate([piece.row for piece in cut]).tolist() == block.row.tolist()
        assert [line for piece in cut for line in piece.lines] == block.lines
        assert [refusal for piece in cut for refusal in piece.refused] == block.refused
        assert max(len(piece.lines) for piece in cut) <= size


def test_a_parquet_file_that_is_none_is_refused_by_name(tmp_path: Path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(SourceError, match=r"train\.parquet is not a readable Parquet file"):
        open_raw(tmp_path / "train.parquet", ["a"])


@pytest.mark.parametrize(
    "make",
    [AmazonReviews, CompleteJourney, Diginetica, MovieLens, Rees46, RetailRocket, Trivago, Yoochoose],
    ids=lambda make: make.__name__,
)
@pytest.mark.parametrize("zone", ["Mars/Olympus", None], ids=str)
def test_a_zone_that_is_none_is_refused_before_anything_is_read(make: Callable[..., Source], zone: str | None):
    with pytest.raises(ConfigError, match=rf"data\.time_zone is {zone!r}, which is no IANA zone such as Europe/Berlin"):
        make(cutoff=0, folder=Path("nowhere"), time_zone=zone)


def test_the_zone_of_the_prepared_clicks_is_looked_at_too():
    with pytest.raises(ConfigError, match=r"data\.prepared_zone is 'Mars/Olympus', which is no IANA zone"):
        Yoochoose(cutoff=0, prepared_zone="Mars/Olympus")
