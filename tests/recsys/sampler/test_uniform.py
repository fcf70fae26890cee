"""Uniform negatives."""

import math

import torch

from recsys.sampler.uniform import UniformSampler


def test_every_item_is_drawn_about_as_often_and_padding_never() -> None:
    drawn = UniformSampler(items=4).draw(40_000, torch.Generator().manual_seed(0)).item
    share = torch.bincount(drawn, minlength=5) / len(drawn)
    assert share[0] == 0
    assert bool(((share[1:] - 0.25).abs() < 0.01).all())


def test_the_log_of_the_chance_comes_along() -> None:
    negatives = UniformSampler(items=8).draw(3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(negatives.log_q, torch.full((3,), -math.log(8)))


def test_the_generator_alone_decides() -> None:
    def draw(seed: int) -> list[int]:
        return UniformSampler(items=1000).draw(5, torch.Generator().manual_seed(seed)).item.tolist()

    assert draw(1) == draw(1) != draw(2)
