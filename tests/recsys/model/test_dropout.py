"""Dropout: how much is left out, what becomes of the rest, and that masks follow the seed."""

import pytest
import torch

from recsys.errors import ConfigError
from recsys.model.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_the_share_is_left_out_and_the_rest_scaled_so_that_the_mean_stays(share: float) -> None:
    torch.manual_seed(0)
    dropped = Dropout(share)(torch.ones(1_000_003))
    assert float((dropped == 0).float().mean()) == pytest.approx(share, abs=0.003)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / (1 - share)], rel=1e-4)
    assert float(dropped.double().mean()) == pytest.approx(1, abs=0.01)


def test_neighbours_are_left_out_independently() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(400_000)) > 0).view(-1, 4).float()
    torch.testing.assert_close(kept.T.corrcoef(), torch.eye(4), atol=0.02, rtol=0)


def test_the_gradient_passes_where_the_value_did() -> None:
    hidden = torch.full((5, 7), 3.0, requires_grad=True)
    dropped = Dropout(0.4)(hidden)
    dropped.sum().backward()
    assert hidden.grad is not None
    torch.testing.assert_close(dropped, hidden * hidden.grad)
    assert 0 < int((hidden.grad == 0).sum()) < 35


def test_masks_follow_the_seed() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return Dropout(0.5)(torch.ones(100))

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_nothing_is_left_out_when_answering_or_where_nothing_shall_be() -> None:
    hidden = torch.ones(100)
    assert Dropout(0.5).eval()(hidden) is hidden
    assert Dropout(0.0)(hidden) is hidden


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=f"dropout is {share}; give a share from 0 to below 1"):
        Dropout(share)
