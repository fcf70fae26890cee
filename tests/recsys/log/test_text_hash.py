"""Hashes of texts: the same for the same text wherever it lies, different for different ones, counted exactly."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recsys.log import distinct
from recsys.log.text_hash import hashes

TEXTS = st.lists(st.text(max_size=40), max_size=30)


@given(texts=TEXTS, before=TEXTS)
def test_a_text_has_one_hash_wherever_it_lies(texts: list[str], before: list[str]) -> None:
    alone = [int(hashes(pa.array([text]))[0]) for text in texts]
    among = hashes(pa.array([*before, *texts, *before], pa.string()).slice(len(before), len(texts)))
    assert among.tolist() == alone
    assert len(set(alone)) == len(set(texts))


def test_texts_that_differ_in_few_letters_spread_over_all_buckets() -> None:
    value = hashes(pa.array([f"order-{number:020d}" for number in range(100_000)]))
    assert len(np.unique(value)) == 100_000
    for shift in (56, 48, 0):
        count = np.bincount((value >> np.uint64(shift)).astype(np.uint8), minlength=256)
        assert 300 < count.min() <= count.max() < 490, "390 are expected in each of 256, give or take five deviations"


def test_lengths_seeds_and_bytes_beyond_the_eighth_count() -> None:
    texts = ["", "\0", "\0\0", "a", "a\0", "a" * 8, "a" * 9, "a" * 16, "a" * 15 + "b"]
    value = hashes(pa.array([*texts, None]))
    assert len(set(value[:-1].tolist())) == len(texts)
    assert value[-1] == value[0], "null counts as empty"
    assert not set(hashes(pa.array(texts), seed=1).tolist()) & set(value.tolist())


def test_hashes_stay_what_they_were_because_logs_keep_them() -> None:
    texts = pa.array(["ann", "a longer text of three words"])
    assert hashes(texts).tolist() == [5482602954771205880, 5850671996119077937]
    assert int(hashes(texts, seed=7)[0]) == 15713255159341657042


@given(pieces=st.lists(TEXTS, min_size=1, max_size=5))
def test_different_texts_are_counted_over_several_files(pieces: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}" / "texts.npy" for number in range(len(pieces))]
        for path, texts in zip(paths, pieces, strict=True):
            distinct.note(path, pa.array(texts, pa.string()))
        assert distinct.count(paths) == len({text for texts in pieces for text in texts})


def test_counting_in_ranges_of_hashes_counts_the_same(monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(distinct, "_ROWS_AT_ONCE", 10)
    for number in range(3):
        texts = pa.array([f"{n}" for n in range(number * 50, number * 50 + 100)])
        distinct.note(tmp_path / f"{number}.npy", texts)
    assert distinct.count(sorted(tmp_path.iterdir())) == 200
