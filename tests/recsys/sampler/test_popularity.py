"""Negatives by popularity to a power."""

import pytest
import torch

from recsys.errors import ConfigError
from recsys.sampler.negatives import Negatives
from recsys.sampler.popularity import PopularitySampler

COUNTS = torch.tensor([0.0, 16.0, 4.0, 1.0, 0.0])


def drawn(count: int, *, alpha: float, least: float = 1.0, seed: int = 0) -> Negatives:
    sampler = PopularitySampler(popularity=COUNTS, alpha=alpha, least=least)
    return sampler.draw(count, target=torch.tensor([1]), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("alpha", "weights"),
    [(1.0, [0, 16, 4, 1, 1]), (0.5, [0, 4, 2, 1, 1]), (0.0, [0, 1, 1, 1, 1])],
)
def test_shares_are_popularity_to_the_power_and_what_was_never_taken_counts_as_taken_once(
    alpha: float, weights: list[float]
) -> None:
    negatives = drawn(60_000, alpha=alpha)
    wanted = torch.tensor(weights, dtype=torch.float32) / sum(weights)
    share = torch.bincount(negatives.item, minlength=5) / len(negatives.item)
    torch.testing.assert_close(share, wanted, atol=0.01, rtol=0)
    torch.testing.assert_close(negatives.log_q.exp(), wanted[negatives.item])


def test_without_a_least_count_what_was_never_taken_is_never_drawn() -> None:
    item = drawn(20_000, alpha=0.5, least=0.0).item
    assert sorted(set(item.tolist())) == [1, 2, 3]


def test_an_item_too_rare_for_a_float_to_tell_is_still_drawn_as_often_as_it_should() -> None:
    popularity = torch.cat([torch.zeros(1), torch.full((1,), 2.0**26), torch.ones(2**21)])
    sampler = PopularitySampler(popularity=popularity, alpha=1.0)
    item = sampler.draw(200_000, target=torch.tensor([1]), generator=torch.Generator().manual_seed(0)).item
    assert float((item > 1).float().mean()) == pytest.approx(1 / 33, rel=0.05)
    assert int((item > 2**20).sum()) == pytest.approx(int((item > 1).sum()) / 2, rel=0.05)


def test_the_generator_alone_decides() -> None:
    def draw(seed: int) -> list[int]:
        return drawn(20, alpha=0.5, seed=seed).item.tolist()

    assert draw(1) == draw(1) != draw(2)


def test_none_are_drawn_where_none_are_asked_for() -> None:
    negatives = drawn(0, alpha=1.0)
    assert (len(negatives.item), len(negatives.log_q), negatives.items) == (0, 0, 4)
    assert negatives.item.dtype == torch.int64


@pytest.mark.parametrize("settings", [{"alpha": -0.5}, {"least": -1.0}])
def test_settings_below_zero_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="give 0"):
        PopularitySampler(popularity=COUNTS, **settings)


def test_a_catalogue_of_which_nothing_may_be_drawn_is_refused() -> None:
    with pytest.raises(ConfigError, match="sampler=uniform"):
        PopularitySampler(popularity=torch.zeros(4), least=0.0)
