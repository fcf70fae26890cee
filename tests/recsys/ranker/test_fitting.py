"""The listwise loss by hand, and a network that finds an order."""

import math

import numpy as np
import pytest
import torch

from recsys.ranker.fitting import Lists, calibration, fitted, listwise

OWNER = torch.tensor([0, 0, 1, 1, 1])


def test_the_loss_is_the_mean_log_chance_of_what_was_taken() -> None:
    score = torch.log(torch.tensor([3.0, 1.0, 2.0, 1.0, 1.0]))
    taken = torch.tensor([1.0, 0, 1, 1, 0])
    expected = -(math.log(3 / 4) + (math.log(2 / 4) + math.log(1 / 4)) / 2) / 2
    assert float(listwise(score, taken, OWNER, 2)) == pytest.approx(expected)


def test_a_list_of_which_nothing_was_taken_says_nothing() -> None:
    score = torch.log(torch.tensor([3.0, 1.0, 2.0, 1.0, 1.0]))
    assert float(listwise(score, torch.tensor([1.0, 0, 0, 0, 0]), OWNER, 2)) == pytest.approx(-math.log(3 / 4))
    assert float(listwise(score, torch.zeros(5), OWNER, 2)) == 0


def test_what_counts_for_more_weighs_more_and_weights_all_alike_change_nothing() -> None:
    score = torch.log(torch.tensor([3.0, 1.0, 2.0, 1.0, 1.0]))
    taken = torch.tensor([1.0, 0, 0, 4, 0])
    expected = -(math.log(3 / 4) + 4 * math.log(1 / 4)) / 5
    assert float(listwise(score, taken, OWNER, 2)) == pytest.approx(expected)
    once = torch.tensor([1.0, 0, 1, 1, 0])
    assert float(listwise(score, 0.2 * once, OWNER, 2)) == pytest.approx(float(listwise(score, once, OWNER, 2)))


def test_scores_of_any_size_do_not_overflow() -> None:
    loss = listwise(torch.tensor([1e4, 0.0, 0, 0, 0]), torch.tensor([0.0, 1, 0, 0, 0]), OWNER, 2)
    assert float(loss) == pytest.approx(1e4)


def test_the_calibrated_chance_of_all_is_the_share_that_was_taken() -> None:
    rng = np.random.default_rng(0)
    score = torch.from_numpy(rng.normal(size=20_000))
    taken = torch.from_numpy((rng.random(20_000) < 1 / (1 + np.exp(-(2 * score.numpy() - 1)))).astype(np.float64))
    slope, shift = calibration(score, taken)
    assert (slope, shift) == pytest.approx((2, -1), abs=0.1)


@pytest.mark.parametrize("level", [-40.0, 0.0, 300.0])
@pytest.mark.parametrize("spread", [0.1, 1.0, 30.0])
def test_scores_of_any_level_and_spread_become_the_same_chances(level: float, spread: float) -> None:
    rng = np.random.default_rng(0)
    plain = rng.normal(size=20_000)
    taken = torch.from_numpy((rng.random(20_000) < 1 / (1 + np.exp(-2 * plain))).astype(np.float64))
    slope, shift = calibration(torch.from_numpy(level + spread * plain), taken)
    assert slope * spread == pytest.approx(2, abs=0.1)
    assert shift + slope * level == pytest.approx(0, abs=0.1)


def test_where_little_was_taken_the_mean_chance_is_about_the_share_that_was() -> None:
    score = torch.linspace(90, 110, 200)
    slope, shift = calibration(score, torch.tensor([1.0] * 9 + [0.0] * 191))
    assert slope == 1
    assert shift == pytest.approx(math.log(10 / 192) - 100)


def lists(questions: int, *, seed: int = 0) -> Lists:
    """Four candidates each; the largest first fact is taken, but among the new (the last two) the largest second."""
    rng = np.random.default_rng(seed)
    facts = rng.normal(size=(4 * questions, 2)).astype(np.float32)
    new = np.tile([False, False, True, True], questions)
    facts[new, 0] -= 3
    taken = np.zeros(4 * questions, bool)
    for begin in range(0, 4 * questions, 4):
        taken[begin + facts[begin : begin + 2, 0].argmax()] = True
        if rng.random() < 0.5:
            taken[begin + 2 + facts[begin + 2 : begin + 4, 1].argmax()] = True
    return Lists(facts, taken.astype(np.float32), new, np.arange(0, 4 * questions + 1, 4))


def order(seed: int = 0, explore: float = 1.0) -> tuple[float, float]:
    """Share of unseen questions in which the best of the old, and the best of the new, was taken or would be."""
    network = fitted(
        lists(300),
        networks=2,
        hidden=8,
        epochs=8,
        rate=0.03,
        explore=explore,
        generator=torch.Generator().manual_seed(seed),
    )
    unseen = lists(300, seed=1)
    score = network(unseen.facts).reshape(-1, 4)
    first, second = unseen.facts[:, 0].reshape(-1, 4), unseen.facts[:, 1].reshape(-1, 4)
    old = (score[:, :2].argmax(1) == first[:, :2].argmax(1)).mean()
    return float(old), float((score[:, 2:].argmax(1) == second[:, 2:].argmax(1)).mean())


def test_the_network_finds_the_order_of_what_comes_again_and_of_what_is_new() -> None:
    old, new = order()
    assert old > 0.9
    assert new > 0.9


def test_the_same_generator_gives_the_same_network() -> None:
    one, two = (
        fitted(
            lists(40),
            networks=2,
            hidden=4,
            epochs=2,
            rate=0.01,
            explore=0.0,
            generator=torch.Generator().manual_seed(3),
        )
        for _ in range(2)
    )
    for ours, theirs in zip((*one.weight, *one.bias), (*two.weight, *two.bias), strict=True):
        np.testing.assert_array_equal(ours, theirs)
