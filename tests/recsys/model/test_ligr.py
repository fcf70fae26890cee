"""LiGR's block: what passes a gate, worked out by hand."""

import math

import pytest
import torch

from recsys.errors import ConfigError
from recsys.model.ligr import GatedBlock, LiGR
from tests.recsys.by_hand import spec

HIDDEN = torch.tensor([[[3.0, 1.0]]])
"""One token; its norm is (1, -1)."""


def block(**biases: float) -> GatedBlock:
    """Weights of zero but for attention's identities: the attention of one token is its norm."""
    made = GatedBlock(dim=2, heads=1, dropout=0.0, expansion=1).eval()
    with torch.no_grad():
        for name in ("widen", "narrow", "attention_gate", "forward_gate"):
            for weight in getattr(made, name).parameters():
                weight.zero_()
        for name, bias in biases.items():
            getattr(made, name).bias.fill_(bias)
    return made


def test_a_gate_at_zero_lets_half_of_the_attention_through() -> None:
    torch.testing.assert_close(block()(HIDDEN, None), torch.tensor([[[3.5, 0.5]]]), atol=1e-4, rtol=0)


def test_an_open_gate_lets_all_through_and_a_closed_one_nothing() -> None:
    torch.testing.assert_close(
        block(attention_gate=30.0)(HIDDEN, None), torch.tensor([[[4.0, 0.0]]]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(block(attention_gate=-30.0)(HIDDEN, None), HIDDEN, atol=1e-4, rtol=0)


def test_the_gate_reads_the_states_before_the_norm() -> None:
    made = block()
    with torch.no_grad():
        made.attention_gate.weight[0, 0] = 1.0  # opens the first component by its own value, 3
    expected = torch.tensor([[[3 + 1 / (1 + math.exp(-3)), 0.5]]])
    torch.testing.assert_close(made(HIDDEN, None), expected, atol=1e-4, rtol=0)


def test_the_feed_forward_part_is_a_gated_swish_of_the_normed_states() -> None:
    made = block(attention_gate=-30.0)
    with torch.no_grad():
        made.widen.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 3.0]]))
        made.narrow.weight.copy_(torch.eye(2))
    swish = [2 / (1 + math.exp(-2)), -2 / (1 + math.exp(2))]
    expected = torch.tensor([[[3 + 0.5 * swish[0] * 1, 1 + 0.5 * swish[1] * -3]]])
    torch.testing.assert_close(made(HIDDEN, None), expected, atol=1e-4, rtol=0)


def test_heads_that_do_not_divide_dim_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.dim=16 cannot be split into model\.heads=3"):
        LiGR(items=4, features=spec(), dim=16, heads=3)
