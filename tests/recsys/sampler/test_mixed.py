"""Negatives of two kinds."""

import pytest
import torch

from recsys.errors import ConfigError
from recsys.sampler.mixed import MixedSampler
from recsys.sampler.negatives import Negatives

COUNTS = torch.tensor([0.0, 8.0, 4.0, 4.0, 0.0])
TARGETS = [1, 1, 2, 3]


def drawn(
    count: int, *, in_batch: float, alpha: float = 0.0, least: float = 1.0, target: list[int] = TARGETS, seed: int = 0
) -> Negatives:
    sampler = MixedSampler(popularity=COUNTS, in_batch=in_batch, alpha=alpha, least=least)
    asked = torch.tensor(target, dtype=torch.int64)
    return sampler.draw(count, target=asked, generator=torch.Generator().manual_seed(seed))


def test_a_share_comes_from_the_batch_and_the_rest_from_everywhere() -> None:
    item = drawn(8, in_batch=0.5).item.tolist()
    assert sorted(item[:4]) == TARGETS
    assert 4 in drawn(400, in_batch=0.5).item[200:].tolist()


def test_the_chance_is_that_of_the_mixture_whichever_way_an_item_came() -> None:
    negatives = drawn(16, in_batch=0.25)
    chance = 0.25 * COUNTS / 16 + 0.75 * torch.tensor([0, 0.25, 0.25, 0.25, 0.25])
    torch.testing.assert_close(negatives.log_q.exp(), chance[negatives.item])


def test_the_chance_reckons_with_whole_negatives_not_with_the_share_asked_for() -> None:
    negatives = drawn(3, in_batch=0.5)
    chance = 2 / 3 * COUNTS / 16 + 1 / 3 * torch.tensor([0, 0.25, 0.25, 0.25, 0.25])
    torch.testing.assert_close(negatives.log_q.exp(), chance[negatives.item])


@pytest.mark.parametrize(("in_batch", "alpha"), [(0.0, 0.0), (0.25, 0.0), (0.5, 1.0), (1.0, 0.0)])
def test_items_are_drawn_as_often_as_their_chance_says(in_batch: float, alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    asked = torch.multinomial(COUNTS, 20_000, replacement=True, generator=generator)
    sampler = MixedSampler(popularity=COUNTS, in_batch=in_batch, alpha=alpha)
    negatives = sampler.draw(40_000, target=asked, generator=generator)
    share = torch.bincount(negatives.item, minlength=5) / 40_000
    torch.testing.assert_close(negatives.log_q.exp(), share[negatives.item], atol=0.015, rtol=0)


def test_a_batch_without_targets_gets_all_from_everywhere() -> None:
    negatives = drawn(6, in_batch=0.5, target=[])
    torch.testing.assert_close(negatives.log_q.exp(), torch.full((6,), 0.25))


def test_a_target_that_no_count_knows_has_a_chance_all_the_same() -> None:
    negatives = drawn(4, in_batch=0.5, alpha=1.0, least=0.0, target=[4])
    assert 4 in negatives.item.tolist()
    assert bool(torch.isfinite(negatives.log_q).all())


def test_none_are_drawn_where_none_are_asked_for() -> None:
    assert len(drawn(0, in_batch=0.5).item) == len(drawn(0, in_batch=0.5).log_q) == 0


def test_a_share_beyond_the_whole_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sampler\.in_batch is 2"):
        drawn(1, in_batch=2)


def test_the_batchs_share_of_the_mixture_is_of_what_is_asked_for() -> None:
    asked = torch.tensor([0.0, 1.0, 1.0, 2.0, 0.0])
    sampler = MixedSampler(popularity=COUNTS, in_batch=0.5, asked=asked)
    generator = torch.Generator().manual_seed(0)
    negatives = sampler.draw(8, target=torch.tensor(TARGETS), generator=generator)
    chance = 0.5 * asked / 4 + 0.5 * torch.tensor([0, 0.25, 0.25, 0.25, 0.25])
    torch.testing.assert_close(negatives.log_q.exp(), chance[negatives.item])
