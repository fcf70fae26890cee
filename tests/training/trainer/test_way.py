"""How steps are computed, and how that is chosen."""

from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.batch import TokenTensors
from tests.training.trainer.learning import ITEMS, Notes, encoder, loader
from training.trainer.measure import LEAST_STEPS, chosen_way
from training.trainer.way import Switches, Way, fastest

CPU, GPU = torch.device("cpu"), torch.device("cuda")
OPTIONS: dict[str, Any] = {"resident": (True, False), "precision": ("float32", "bfloat16"), "compile": (False, True)}


def measured(switches: Switches, *, steps: int, watch: Notes) -> Way:
    return chosen_way(
        *(switches, encoder(), loader()),
        loss=SampledSoftmax(32),
        sampler=UniformSampler(popularity=torch.ones(ITEMS)),
        device=CPU,
        seed=0,
        steps=steps,
        watch=watch,
    )


def test_each_switch_is_tried_with_the_best_of_those_before_it() -> None:
    costs = {(True, "float32", False): 10.0, (False, "float32", False): 12.0, (True, "bfloat16", False): 6.0}
    costs[True, "bfloat16", True] = 3.0
    best, tried = fastest(OPTIONS, lambda way: costs[way.resident, way.precision, way.compile])
    assert best == Way(resident=True, precision="bfloat16", compile=True)
    assert [cost for _, cost in tried] == [10, 12, 6, 3]


def test_a_gain_that_may_be_chance_changes_nothing_and_neither_does_a_way_that_does_not_work() -> None:
    best, _ = fastest(OPTIONS, lambda way: None if way.compile else 9.0 if way.precision == "bfloat16" else 10.0)
    assert best == Way()


def test_where_the_plain_way_does_not_work_another_is_taken() -> None:
    best, _ = fastest(OPTIONS, lambda way: None if way.resident else 10.0)
    assert not best.resident


def test_a_switch_that_is_set_is_not_measured_and_a_cpu_leaves_little_to_choose() -> None:
    assert Switches(precision="bfloat16", compile=True, resident=False).options(CPU) == {
        "resident": (False,),
        "precision": ("bfloat16",),
        "compile": (True,),
    }
    assert Switches().options(CPU)["compile"] == (False,)
    assert Switches().options(GPU) == OPTIONS


def test_measuring_says_what_it_found_and_leaves_weights_and_random_numbers_alone() -> None:
    watch, own = Notes(), encoder()
    before = {name: weight.clone() for name, weight in own.state_dict().items()}
    state = torch.get_rng_state()
    way = chosen_way(
        *(Switches(), own, loader()),
        loss=SampledSoftmax(32),
        sampler=UniformSampler(popularity=torch.ones(ITEMS)),
        device=CPU,
        seed=0,
        steps=LEAST_STEPS,
        watch=watch,
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weight, before[name]) for name, weight in own.state_dict().items())
    assert all(weight.grad is None for weight in own.parameters())
    assert watch.said_[0].startswith(f"steps are computed in {way.words()} (measured here, a step: float32, eager")
    assert "bfloat16, eager" in watch.said_[0]


@pytest.mark.parametrize(
    ("switches", "steps"), [(Switches(), LEAST_STEPS - 1), (Switches(precision="bfloat16"), LEAST_STEPS)]
)
def test_nothing_is_measured_for_a_short_training_or_where_nothing_is_left_to_choose(
    switches: Switches, steps: int
) -> None:
    watch = Notes()
    assert measured(switches, steps=steps, watch=watch) == switches.plain(CPU)
    assert watch.said_ == []


@pytest.mark.parametrize("names", [(), ("purchase", "wait_days")])
def test_every_column_goes_to_the_device_the_labels_too_and_where_tokens_are_sent_none(names: tuple[str, ...]) -> None:
    own, elsewhere = loader(), torch.device("meta")
    labels = {name: torch.zeros(len(own.tokens.item)) for name in names}
    own = replace(own, tokens=replace(own.tokens, labels=labels))
    moved = Way(resident=True).placed(own, elsewhere).tokens
    columns = {field.name: getattr(moved, field.name) for field in fields(TokenTensors)}
    groups = {name: columns.pop(name) for name in ("features", "labels")}
    assert {column.device for column in columns.values()} == {elsewhere}
    assert {column.device for group in groups.values() for column in group.values()} == {elsewhere}
    assert groups["labels"].keys() == labels.keys()
    assert groups["features"].keys() == own.tokens.features.keys()
    assert groups["features"], "there are some"
    assert Way(resident=False).placed(own, elsewhere) is own


@pytest.mark.slow
def test_a_compiled_encoder_gives_what_the_plain_one_does() -> None:
    own = encoder(dropout=0.0)
    batch = loader().load(loader().batches(seed=0, epoch=0)[0])
    torch.testing.assert_close(Way(compile=True).forward(own)(batch), own(batch), rtol=1e-4, atol=1e-5)
