"""Negatives out of the batch's own targets."""

import torch

from recsys.sampler.in_batch import InBatchSampler
from recsys.sampler.negatives import Negatives

COUNTS = torch.tensor([0.0, 6.0, 3.0, 1.0, 0.0])


def drawn(count: int, target: list[int], *, seed: int = 0) -> Negatives:
    sampler = InBatchSampler(popularity=COUNTS)
    return sampler.draw(count, target=torch.tensor(target), generator=torch.Generator().manual_seed(seed))


def test_no_pair_is_taken_twice_before_every_pair_is_taken_once() -> None:
    assert sorted(drawn(4, [1, 1, 2, 3]).item.tolist()) == [1, 1, 2, 3]
    assert sorted(drawn(8, [1, 1, 2, 3]).item.tolist()) == [1, 1, 1, 1, 2, 2, 3, 3]
    assert len(set(drawn(3, [1, 2, 3, 4]).item.tolist())) == 3


def test_every_pair_is_as_likely_as_any_other() -> None:
    taken = torch.cat([drawn(3, [1, 2, 3, 4], seed=seed).item for seed in range(2_000)])
    share = torch.bincount(taken, minlength=5) / len(taken)
    assert bool(((share[1:] - 0.25).abs() < 0.02).all())


def test_the_chance_of_an_item_is_its_share_of_all_that_was_taken() -> None:
    negatives = drawn(3, [1, 2, 3])
    torch.testing.assert_close(negatives.log_q.exp(), COUNTS[negatives.item] / 10)


def test_a_target_that_was_never_taken_counts_like_the_rarest_that_was() -> None:
    torch.testing.assert_close(drawn(1, [4]).log_q.exp(), torch.tensor([0.1]))


def test_the_generator_alone_decides() -> None:
    def draw(seed: int) -> list[int]:
        return drawn(8, [1, 2, 3, 1, 2, 1, 4, 4], seed=seed).item.tolist()

    assert draw(1) == draw(1) != draw(2)


def test_none_are_drawn_where_none_are_asked_for_or_there_are_no_targets() -> None:
    asked = torch.empty(0, dtype=torch.int64)
    sampler = InBatchSampler(popularity=COUNTS)
    assert len(drawn(0, [1, 2]).item) == 0
    assert len(sampler.draw(3, target=asked, generator=torch.Generator()).item) == 0


def test_what_is_asked_for_decides_the_chance_where_it_differs_from_what_was_taken() -> None:
    asked = torch.tensor([0.0, 0.0, 1.0, 3.0, 0.0])
    sampler = InBatchSampler(popularity=COUNTS, asked=asked)
    negatives = sampler.draw(4, target=torch.tensor([3, 3, 2, 3]), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(negatives.log_q.exp(), asked[negatives.item] / 4)
