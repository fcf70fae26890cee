"""Numbers for ids."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recsys.card.ids import Numbering, coded, hashes_of

IDS = st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=20)


def test_an_id_keeps_its_number_and_new_ones_count_on() -> None:
    numbering = Numbering()
    first, fresh, texts = numbering.numbers(pa.chunked_array([["b", None, "a", "b"]]))
    assert first.tolist() == [0, -1, 1, 0]
    assert (fresh.tolist(), texts.to_pylist()) == ([0, 1], ["b", "a"])
    second, fresh, texts = numbering.numbers(pa.chunked_array([["c", "a"], ["d", "b", "c"]]))
    assert second.tolist() == [2, 1, 3, 0, 2]
    assert (fresh.tolist(), texts.to_pylist()) == ([2, 3], ["c", "d"])
    assert len(numbering) == 4
    assert numbering.find(pa.array(["d", "nobody", "b"])).tolist() == [3, -1, 0]
    assert Numbering().find(pa.array(["d"])).tolist() == [-1]


@given(batches=st.lists(IDS, max_size=5))
def test_numbers_are_those_a_dictionary_would_give(batches: list[list[str | None]]) -> None:
    numbering, expected = Numbering(), dict[str, int]()
    for batch in batches:
        for text in batch:
            if text is not None:
                expected.setdefault(text, len(expected))
        found, _, _ = numbering.numbers(pa.chunked_array([batch], pa.string()))
        assert found.tolist() == [-1 if text is None else expected[text] for text in batch]
    assert len(numbering) == len(expected)


@given(texts=st.lists(st.text(max_size=40), max_size=20))
def test_a_hash_depends_on_its_own_text_alone(texts: list[str]) -> None:
    alone = [int(hashes_of(pa.array([text]))[0]) for text in texts]
    together = hashes_of(pa.array(["", *texts], pa.string()).slice(1)).tolist()
    assert together == alone
    assert len(set(together)) == len(set(texts))


def test_hashes_stay_the_same_from_run_to_run() -> None:
    assert hashes_of(pa.array(["user-1", ""])).tolist() == [16005154187258756048, 16294208416658607535]


def test_near_texts_are_told_apart_and_dictionaries_are_read() -> None:
    near = [f"{'x' * length}{end}" for length in range(70) for end in ("", "\0", "0", "1")]
    assert len(np.unique(hashes_of(pa.array(near)))) == len(set(near))
    coded = pa.chunked_array([pa.array(["b", "a", "b"]).dictionary_encode()])
    assert Numbering().numbers(coded)[0].tolist() == [0, 1, 0]


def test_texts_that_a_filtered_column_only_remembers_are_no_ids() -> None:
    remembered = pa.array(["gone", "b", None, "a", "b"]).dictionary_encode().slice(1)
    texts, place = coded(remembered)
    assert (texts.to_pylist(), place.tolist()) == (["b", "a"], [0, -1, 1, 0])
    numbering = Numbering()
    assert numbering.numbers(pa.chunked_array([remembered]))[0].tolist() == [0, -1, 1, 0]
    assert len(numbering) == 2
