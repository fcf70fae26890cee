"""What a sweep may choose."""

from pathlib import Path

import hydra
import pytest
from hydra.utils import instantiate
from optuna import create_study
from optuna.trial import FixedTrial

import conf
from recsys.errors import ConfigError
from training.search.space import Between, OneOf, Space, key_of, overrides

SEARCHES = sorted(path.stem for path in (Path(conf.__file__).parent / "search").glob("*.yaml"))
BOTH = Space(
    [
        OneOf(key="similarity", values=["dot", "cosine"]),
        Between(key="similarity.temperature", low=0.02, high=0.2, log=True, given={"similarity": "cosine"}),
    ]
)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_that_comes_with_it_asks_for_what_exists(name: str) -> None:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        space = Space(instantiate(hydra.compose("sweep", [f"search={name}"]).search, _convert_="all")["dimensions"])
        for example in space.examples():
            config = hydra.compose("train", overrides(example))
            for key, value in example.items():
                node = config
                for part in key.split(".") if "." in key else []:
                    node = node[part]
                assert node == value or "." not in key


def test_what_goes_with_another_value_is_left_out() -> None:
    assert BOTH.suggest(FixedTrial({"similarity": "dot"})) == {"similarity": "dot"}  # type: ignore[arg-type]
    trial = FixedTrial({"similarity": "cosine", "similarity.temperature": 0.1})
    assert BOTH.suggest(trial) == {"similarity": "cosine", "similarity.temperature": 0.1}  # type: ignore[arg-type]


def test_every_dimension_has_an_example_in_which_it_plays_a_part() -> None:
    assert list(BOTH.examples()) == [
        {"similarity": "dot"},
        {"similarity": "cosine", "similarity.temperature": 0.02},
    ]


def test_numbers_are_rounded_to_what_the_command_line_says_and_whole_ones_stay_whole() -> None:
    trial = FixedTrial({"x": 0.0012345, "n": 3})
    space = Space([Between(key="x", low=0.001, high=0.1, log=True), Between(key="n", low=1, high=4)])
    assert overrides(space.suggest(trial)) == ["x=0.00123", "n=3"]  # type: ignore[arg-type]
    study = create_study()
    drawn = [space.suggest(study.ask()) for _ in range(20)]
    assert all(isinstance(one["n"], int) for one in drawn)
    assert all(0.001 <= float(one["x"] or 0) <= 0.1 for one in drawn)


def test_values_stand_on_the_command_line_as_hydra_reads_them() -> None:
    assert overrides({"a": True, "b": None, "c.d": 1e-5, "e": "x"}) == ["a=true", "b=null", "c.d=1e-05", "e=x"]
    assert [key_of(text) for text in ("a.b=1", "+a=2", "~c", "d@e=f")] == ["a.b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ([], "search.dimensions is empty"),
        ([OneOf(key="seed", values=[1, 2])], "seed says what is measured"),
        ([OneOf(key="data.cutoff", values=[1, 2])], "data.cutoff says what is measured"),
        ([OneOf(key="exclude_seen", values=[True, False])], "exclude_seen says what is measured"),
        ([OneOf(key="start_from", values=[None, "champion"])], "start_from says what is measured"),
        ([OneOf(key="validation_queries", values=[100, 200])], "validation_queries says what is measured"),
        ([OneOf(key="experiment", values=["beauty", "ml_1m"])], "experiment says what is measured"),
        ([OneOf(key="++seed", values=[1, 2])], r"\+\+seed says what is measured"),
        ([OneOf(key="ranker", values=["none", "listwise"])], "ranker plays no part in a trial"),
        ([OneOf(key="refit", values=[True, False])], "refit plays no part in a trial"),
        ([OneOf(key="a", values=[1, 2]), Between(key="a", low=1, high=2)], "a is named twice"),
        ([OneOf(key="a", values=[1, 2], given={"b": 3})], "a goes with b=3, which no earlier dimension can be"),
        (
            [OneOf(key="b", values=[1, 2]), OneOf(key="a", values=[1, 2], given={"b": 3})],
            "a goes with b=3, which no earlier dimension can be; there are: b",
        ),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(dimensions: list[OneOf], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Space(dimensions)


def test_dimensions_that_hold_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="a has the values"):
        OneOf(key="a", values=[1])
    with pytest.raises(ConfigError, match="low must be below high"):
        Between(key="a", low=2, high=1)
    with pytest.raises(ConfigError, match="with log, above 0"):
        Between(key="a", low=0, high=1, log=True)


def test_whole_bounds_with_a_step_that_is_not_whole_give_numbers_in_between() -> None:
    study = create_study()
    dropout = Between(key="x", low=0, high=1, step=0.25)
    drawn = {dropout.suggest(study.ask()) for _ in range(60)}
    assert drawn == {0.0, 0.25, 0.5, 0.75, 1.0}
    even = Between(key="n", low=2, high=6, step=2.0)
    told = [even.suggest(study.ask()) for _ in range(40)]
    assert set(told) == {2, 4, 6}
    assert all(isinstance(number, int) for number in told), "a step of 2.0 is whole, too"


@pytest.mark.parametrize("step", [0, 0.0, -1, -0.1, float("nan"), float("inf")])
def test_a_step_that_leads_nowhere_is_refused(step: float) -> None:
    with pytest.raises(ConfigError, match=rf"x has step={step}; give a number above 0, or none"):
        Between(key="x", low=0, high=1, step=step)


def test_what_is_held_fast_cannot_vary() -> None:
    BOTH.insist_free(["model.dim=8", "loss=sampled_softmax"])
    with pytest.raises(ConfigError, match=r"similarity\.temperature=0\.1 holds fast what the search varies"):
        BOTH.insist_free(["similarity.temperature=0.1"])
