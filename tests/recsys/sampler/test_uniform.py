"""Uniform negatives."""

import math

import torch

from recsys.sampler.negatives import Negatives
from recsys.sampler.uniform import UniformSampler


def drawn(count: int, *, items: int, seed: int = 0) -> Negatives:
    sampler = UniformSampler(popularity=torch.ones(items + 1))
    return sampler.draw(count, target=torch.tensor([1]), generator=torch.Generator().manual_seed(seed))


def test_every_item_is_drawn_about_as_often_and_padding_never() -> None:
    item = drawn(40_000, items=4).item
    share = torch.bincount(item, minlength=5) / len(item)
    assert share[0] == 0
    assert bool(((share[1:] - 0.25).abs() < 0.01).all())


def test_the_log_of_the_chance_comes_along() -> None:
    negatives = drawn(3, items=8)
    torch.testing.assert_close(negatives.log_q, torch.full((3,), -math.log(8)))


def test_the_generator_alone_decides() -> None:
    def draw(seed: int) -> list[int]:
        return drawn(5, items=1000, seed=seed).item.tolist()

    assert draw(1) == draw(1) != draw(2)


def test_none_are_drawn_where_none_are_asked_for() -> None:
    negatives = drawn(0, items=8)
    assert (len(negatives.item), len(negatives.log_q), negatives.items) == (0, 0, 8)
