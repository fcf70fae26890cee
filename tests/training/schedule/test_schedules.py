"""How the learning rate runs."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler

from recsys.errors import ConfigError
from training.protocols import Schedule
from training.schedule.constant import Constant
from training.schedule.cosine import Cosine
from training.schedule.linear import Linear
from training.schedule.one_cycle import OneCycle


def optimizer(kind: type[torch.optim.Optimizer] = torch.optim.Adam) -> torch.optim.Optimizer:
    return kind([torch.nn.Parameter(torch.zeros(1))], lr=1.0)  # type: ignore[call-arg]


def rates(schedule: Schedule, steps: int) -> list[float]:
    """The rate of every step, with a peak of 1."""
    moved = optimizer()
    running: LRScheduler = schedule.build(moved, steps=steps)
    found = []
    for _ in range(steps):
        found.append(float(moved.param_groups[0]["lr"]))
        moved.step()
        running.step()
    return found


def test_constant_stays_at_the_peak_and_may_rise_to_it() -> None:
    assert rates(Constant(), 4) == [1, 1, 1, 1]
    assert rates(Constant(warmup=0.5), 4) == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_linear_falls_by_equal_steps_from_the_peak_to_its_floor() -> None:
    assert rates(Linear(warmup=0.0), 4) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert rates(Linear(warmup=0.2, floor=0.5), 5) == pytest.approx([0.5, 1, 0.875, 0.75, 0.625])


def test_cosine_has_half_of_its_way_behind_it_in_the_middle() -> None:
    assert rates(Cosine(warmup=0.0), 4) == pytest.approx([1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2])
    assert rates(Cosine(warmup=0.0, floor=0.2), 4)[2] == pytest.approx(0.6)


def test_one_cycle_peaks_where_its_warm_up_ends_while_momentum_is_lowest_there() -> None:
    moved = optimizer()
    running = OneCycle(warmup=0.3).build(moved, steps=19)
    found = []
    for _ in range(19):
        found.append((float(moved.param_groups[0]["lr"]), float(moved.param_groups[0]["betas"][0])))
        moved.step()
        running.step()
    assert found[0] == pytest.approx((1 / 25, 0.95))
    assert found[5] == pytest.approx((1, 0.85))
    assert found[18][0] < 0.02
    assert max(rate for rate, _ in found) == found[5][0]


def test_one_cycle_leaves_momentum_where_it_is_told_to_or_there_is_none() -> None:
    moved = optimizer()
    OneCycle(momentum=False).build(moved, steps=9)
    assert moved.param_groups[0]["betas"] == (0.9, 0.999)
    OneCycle().build(optimizer(torch.optim.Adagrad), steps=9)


@pytest.mark.parametrize("schedule", [Constant(), Linear(), Cosine(), OneCycle()])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_training_of_a_few_steps_works(schedule: Schedule, steps: int) -> None:
    assert len(rates(schedule, steps)) == steps


@pytest.mark.parametrize("made", [Constant, Linear, Cosine, OneCycle])
def test_a_warm_up_that_is_no_share_is_refused(made: type[Constant | Linear | Cosine | OneCycle]) -> None:
    with pytest.raises(ConfigError, match=r"schedule\.warmup is 1"):
        made(warmup=1.0)
