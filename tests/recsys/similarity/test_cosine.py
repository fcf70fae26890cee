"""Cosine over a temperature."""

import pytest
import torch

from recsys.errors import ConfigError
from recsys.similarity.cosine import Cosine


def test_the_score_is_the_cosine_over_the_temperature() -> None:
    similarity = Cosine(temperature=0.1).build(items=3, dim=2)
    query = similarity.query(torch.tensor([[3.0, 4.0]]))
    item = similarity.item(torch.tensor([[0.0, 0.0], [30.0, 40.0], [-4.0, 3.0]]), None)
    torch.testing.assert_close(query @ item.T, torch.tensor([[0.0, 10.0, 0.0]]))


def test_how_long_vectors_are_says_nothing() -> None:
    similarity = Cosine().build(items=3, dim=4)
    state, vector = torch.randn(2, 4), torch.randn(3, 4)
    torch.testing.assert_close(similarity.query(7 * state), similarity.query(state))
    torch.testing.assert_close(similarity.item(0.1 * vector, None), similarity.item(vector, None))


def test_a_learned_temperature_starts_where_it_is_told_and_stays_within_bounds() -> None:
    similarity = Cosine(temperature=0.2, learned=True).build(items=3, dim=2)
    assert similarity.query(torch.tensor([[0.0, 9.0]])).norm().item() == pytest.approx(5)
    similarity.query(torch.tensor([[0.0, 9.0]])).sum().backward()
    assert float(similarity.log_sharpness.grad) == pytest.approx(5)
    similarity.log_sharpness.data.fill_(100.0)
    assert similarity.query(torch.tensor([[0.0, 9.0]])).norm().item() == pytest.approx(100)
    assert not list(Cosine().build(items=3, dim=2).parameters())


@pytest.mark.parametrize("temperature", [0.0, -1.0, 2.0, float("nan")])
def test_a_temperature_out_of_bounds_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match=r"similarity\.temperature is .*; give 0\.01 to 1"):
        Cosine(temperature=temperature)
