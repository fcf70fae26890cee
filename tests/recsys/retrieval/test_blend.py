"""Adding up the sources, and finding their weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import ConfigError
from recsys.feature.item import ItemFacts
from recsys.retrieval.blend import Blend, tune
from recsys.sequence.histories import Histories
from recsys.slate import Candidates
from recsys.state import Knowledge, ShopperState
from tests.recsys.by_hand import state


@dataclass
class Says:
    """A source that always proposes the same."""

    name: str
    scores: dict[int, float]
    timed: bool = False

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None: ...

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        item = np.array(sorted(self.scores, key=lambda item: -self.scores[item])[:count], np.int64)
        return Candidates(item, np.array([self.scores[i] for i in item.tolist()], np.float32))

    def reason(self, state: ShopperState, item: int) -> tuple[str, int]:
        return self.name, 0

    def settings(self) -> Mapping[str, object]:
        return {}

    def arrays(self) -> Mapping[str, np.ndarray]:
        return {}


NOBODY = state(at=1)


def blended(sources: list[Says], weights: dict[str, float], **more: int) -> dict[int, tuple[float, str]]:
    blend = Blend(sources, {Knowledge.COLD: weights}, **more)
    mixed = blend(NOBODY, Candidates(np.array([9]), np.array([1.0], np.float32)))
    rows = zip(mixed.candidates.item.tolist(), mixed.candidates.score.tolist(), mixed.source.tolist(), strict=True)
    return {item: (pytest.approx(score), mixed.names[source]) for item, score, source in rows}


def test_scores_are_weighted_sums_and_the_largest_part_names_the_source() -> None:
    found = blended([Says("one", {1: 0.5, 2: 0.1}), Says("two", {2: 0.4, 3: 0.3})], {"one": 1.0, "two": 0.5})
    assert found == {1: (0.5, "one"), 2: (0.1 + 0.2, "two"), 3: (0.15, "two")}


def test_the_encoder_takes_part_where_it_has_a_weight() -> None:
    sources = [Says("one", {1: 0.5})]
    assert blended(sources, {"one": 1.0, "encoder": 0.2}) == {1: (0.5, "one"), 9: (0.2, "encoder")}
    assert blended(sources, {"one": 1.0}) == {1: (0.5, "one")}


def test_a_source_without_a_weight_is_not_asked() -> None:
    assert blended([Says("one", {1: 0.5}), Says("two", {2: 0.4})], {"two": 1.0}) == {2: (0.4, "two")}


def test_each_source_gives_as_many_as_the_depth() -> None:
    assert list(blended([Says("one", {1: 0.5, 2: 0.4, 3: 0.3})], {"one": 1.0}, depth=2)) == [1, 2]


def test_nobody_says_anything_gives_no_candidates() -> None:
    assert blended([Says("one", {})], {"one": 1.0}) == {}
    assert blended([], {}) == {}


def test_a_weight_for_an_unknown_source_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"retrieval\.weights\.cold names \['tow'\]; .*'encoder', 'two'"):
        Blend([Says("two", {})], {Knowledge.COLD: {"tow": 1.0}})


def test_weights_for_an_unknown_state_of_knowledge_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\['knwon'\]; the states are cold, session, known"):
        Blend([Says("two", {})], {"knwon": {"two": 1.0}})  # type: ignore[dict-item]


WEIGHTS = st.floats(0.01, 10)


@given(start=st.lists(WEIGHTS, min_size=3, max_size=3), wish=st.lists(WEIGHTS, min_size=3, max_size=3))
def test_tuning_never_ends_below_its_start(start: list[float], wish: list[float]) -> None:
    given_ = dict(zip("abc", start, strict=True))
    wished = dict(zip("abc", wish, strict=True))

    def quality(weights: Mapping[str, float]) -> float:
        return -sum(abs(weights[name] - wished[name]) for name in wished)

    found, reached = tune(given_, quality, free=["a", "b"])
    assert reached == quality(found) >= quality(given_)
    assert found["c"] == given_["c"], "what is not free stays"


def test_tuning_finds_a_weight_far_from_its_start() -> None:
    found, _ = tune({"a": 1.0}, lambda weights: -abs(weights["a"] - 9.0), free=["a"])
    assert found["a"] == pytest.approx(9.0, abs=2)


def test_tuning_quietens_a_source_that_only_harms_but_never_silences_it() -> None:
    found, _ = tune({"a": 1.0, "b": 1.0}, lambda weights: -weights["b"], free=["a", "b"])
    assert found["a"] == 1.0
    assert 0 < found["b"] < 0.05
