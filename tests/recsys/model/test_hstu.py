"""HSTU: its unit worked out plainly, and what its biases know of moments and of time."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec
from recsys.model.hstu import HSTU, Apart, TransductionUnit
from recsys.sequence.question import question_batch
from tests.recsys.by_hand import spec, state

PLAIN = spec(token=(), max_length=10)
HOUR = 3600


def encoder_of(features: FeatureSpec, **settings: bool) -> HSTU:
    """With biases large enough to show."""
    torch.manual_seed(0)
    encoder = HSTU(items=9, features=features, dim=8, **settings).eval()  # type: ignore[arg-type]
    for parameter in encoder.trunk.parameters():
        nn.init.normal_(parameter, std=0.5)
    return encoder


def test_rows_of_the_bias_tell_moments_and_time_apart_and_who_may_not_look() -> None:
    batch = question_batch([state((3, 1), (5, 1), (7, 3), at=3 + HOUR)], PLAIN)
    buckets, unseen = 72, 11 * 72
    hour, second_and_hour, two_seconds = (
        27,
        27,
        2,
    )  # 1.35^27 s is 56 minutes, 1.35^28 s 76; 1.35^2 s is 1.8 s, 1.35^3 2.5
    assert Apart(longest=10, timed=True)(batch).tolist() == [
        [
            [0, unseen, unseen, unseen],
            [unseen, 0, unseen, unseen],
            [buckets + two_seconds, buckets + two_seconds, 0, unseen],
            [2 * buckets + second_and_hour, 2 * buckets + second_and_hour, buckets + hour, 0],
        ]
    ]


def test_where_times_mean_nothing_rows_count_moments_alone_and_serve_all_sequences() -> None:
    features = spec(token=(), max_length=10, query="last", order_only=True)
    batch = question_batch([state((3, 1), (5, 2), (7, 3), at=9), state((3, 1), at=9)], features)
    rows = Apart(longest=1, timed=False)(batch).tolist()
    assert rows == [[[0, 2, 2], [1, 0, 2], [1, 1, 0]]], "distances beyond the longest count as the longest"


def test_the_unit_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    unit = TransductionUnit(dim=4, heads=2, dropout=0.5, longest=3, buckets=2).eval().double()
    hidden = torch.randn(1, 3, 4, dtype=torch.float64)
    apart = torch.tensor([[[0, 8, 8], [3, 0, 8], [5, 2, 0]]], dtype=torch.int32)
    normed = (hidden - hidden.mean(-1, keepdim=True)) / (hidden.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()
    u, q, v, k = nn.functional.silu(normed @ unit.uqvk.weight.T)[0].split(4, dim=-1)
    assert unit.time is not None
    mixed = torch.zeros(3, 4, dtype=torch.float64)
    for looking, seen in ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)):
        bias = unit.moments[int(apart[0, looking, seen]) // 2] + unit.time[int(apart[0, looking, seen]) % 2]
        for head in (slice(0, 2), slice(2, 4)):
            mixed[looking, head] += nn.functional.silu(q[looking, head] @ k[seen, head] + bias) / 3 * v[seen, head]
    mean, variance = mixed.mean(-1, keepdim=True), mixed.var(-1, keepdim=True, correction=0)
    expected = hidden[0] + unit.out(u * (mixed - mean) / (variance + 1e-6).sqrt())
    torch.testing.assert_close(unit(hidden, apart)[0], expected)


def test_the_questions_own_time_takes_part_even_without_features_of_time() -> None:
    def asked(encoder: HSTU, features: FeatureSpec, at: int) -> torch.Tensor:
        return encoder(question_batch([state((3, 1), (5, 2), at=at)], features))

    timed, ordered = encoder_of(PLAIN), encoder_of(replace(PLAIN, order_only=True))
    assert not torch.allclose(asked(timed, PLAIN, 10), asked(timed, PLAIN, HOUR))
    assert torch.equal(
        asked(ordered, replace(PLAIN, order_only=True), 10), asked(ordered, replace(PLAIN, order_only=True), HOUR)
    )


def test_its_attention_does_not_know_where_the_window_begins() -> None:
    encoder = encoder_of(PLAIN, positions=False)
    batch = question_batch([state((3, 1), (5, 1), (7, 3), at=50)], PLAIN)
    later = replace(batch, position=batch.position + 4, time=batch.time + 777)
    assert torch.equal(encoder(batch), encoder(later))


def test_heads_that_do_not_divide_dim_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.dim=16 cannot be split into model\.heads=3"):
        HSTU(items=4, features=spec(), dim=16, heads=3)
