"""Putting together what sources propose to many, against doing it by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.retrieval.allowed import Allowed
from recsys.retrieval.mixing import Gathered, Mixed
from recsys.retrieval.proposals import Proposals
from recsys.shoppers import Lists
from recsys.slate import Candidates

ONE = st.dictionaries(st.integers(1, 9), st.sampled_from([0.125, 0.25, 0.5]), max_size=6)
WEIGHTS = {"old": 2.0, "new": 0.5, "late": 1.0}
TABLE = st.lists(st.fixed_dictionaries(dict.fromkeys(WEIGHTS, ONE)), min_size=1, max_size=4)


def candidates(scores: dict[int, float]) -> Candidates:
    item = sorted(scores, key=lambda number: (-scores[number], number))
    return Candidates(np.array(item, np.int64), np.array([scores[number] for number in item], np.float32))


def gathered(table: list[dict[str, dict[int, float]]]) -> Gathered:
    return Gathered(len(table), {n: Proposals.of([candidates(row[n]) for row in table]) for n in WEIGHTS})


@given(TABLE)
def test_each_candidate_has_the_weighted_sum_of_what_is_said_of_it(table: list[dict[str, dict[int, float]]]) -> None:
    mixed = Mixed.by(gathered(table), WEIGHTS, ["late"])
    assert len(mixed) == len(table)
    for number, row in enumerate(table):
        one = mixed.one(number)
        assert one.candidates.item.tolist() == sorted({item for said in row.values() for item in said})
        for place, item in enumerate(one.candidates.item.tolist()):
            part = {name: row[name].get(item, 0.0) * weight for name, weight in WEIGHTS.items()}
            assert one.candidates.score[place] == sum(part.values())
            assert one.candidates.timed is not None
            assert one.candidates.timed[place] == part["late"]
            assert one.names[one.source[place]] == max(part, key=lambda name: part[name])
            assert one.said[place].tolist() == [row[name].get(item, 0.0) for name in one.names]


@given(TABLE, st.integers(1, 6), st.sets(st.integers(1, 9), max_size=4))
def test_the_best_are_kept_with_their_ties_and_without_what_is_hidden(
    table: list[dict[str, dict[int, float]]], most: int, hidden: set[int]
) -> None:
    mixed = Mixed.by(gathered(table), WEIGHTS, [])
    everywhere = Lists(np.arange(len(table) + 1) * len(hidden), np.array(sorted(hidden) * len(table), np.int64))
    best = mixed.best(everywhere, most)
    for number in range(len(table)):
        whole = mixed.one(number).candidates
        shown = {i: s for i, s in zip(whole.item.tolist(), whole.score.tolist(), strict=True) if i not in hidden}
        least = sorted(shown.values(), reverse=True)[:most][-1] if shown else 0.0
        assert best.one(number).candidates.item.tolist() == sorted(i for i, score in shown.items() if score >= least)


def test_nobody_says_anything() -> None:
    mixed = Mixed.by(Gathered(2, {}), {}, [])
    assert mixed.start.tolist() == [0, 0, 0]
    assert mixed.item.tolist() == []


def test_of_what_is_proposed_the_best_that_are_allowed_stay() -> None:
    found = Proposals.of([candidates({1: 0.5, 2: 0.4, 3: 0.3}), Candidates.none(), candidates({3: 0.9, 8: 0.1})])
    kept = found.kept(Allowed(np.array([False, False, True, True])), 1)
    assert [kept.one(number).item.tolist() for number in range(3)] == [[2], [], [3]]
    assert kept.score.tolist() == pytest.approx([0.4, 0.9])
