"""SASRec: shapes, its start and what it refuses; what every encoder must do is in test_every_encoder.py."""

import numpy as np
import pytest
import torch

from recsys.errors import ConfigError
from recsys.model.sasrec import SASRec
from recsys.sequence.question import question_batch
from recsys.state import ShopperState
from tests.recsys.by_hand import spec, state

ITEMS = 40


def untrained(**settings_: int) -> SASRec:
    torch.manual_seed(0)
    return SASRec(items=ITEMS, features=spec(), **{"dim": 16, **settings_}).eval()


ENCODER = untrained()


def encode(states: list[ShopperState], encoder: SASRec = ENCODER) -> torch.Tensor:
    with torch.inference_mode():
        return encoder(question_batch(states, spec()))


def shopper(rows: list[tuple[int, int]]) -> ShopperState:
    return state(*sorted(rows, key=lambda row: row[1]), at=99)


def test_queries_and_items_have_one_component_more_than_dim_for_popularity() -> None:
    assert encode([shopper([(1, 1)]), shopper([])]).shape == (2, 17)
    assert ENCODER.item_vectors().shape == (ITEMS, 17)
    assert torch.equal(ENCODER.item_vectors(torch.tensor([3, 5])), ENCODER.item_vectors()[[3, 5]])
    assert ENCODER.vector_size == 17


def test_untrained_it_ranks_a_shoppers_own_items_above_the_others() -> None:
    rng = np.random.default_rng(0)
    encoder = untrained(dim=64)
    items = encoder.item_vectors().detach()
    places = []
    for _ in range(20):
        own = rng.choice(np.arange(1, ITEMS), 3, replace=False)
        score = encode([shopper([(int(item), at + 1) for at, item in enumerate(own)])], encoder) @ items.T
        order = score[0, 1:].argsort(descending=True) + 1
        places += [int((order == item).nonzero()) for item in own]
    assert np.mean(places) < 3, "places from 0 of 39 items; at best 1, by chance 19"


def test_popularity_known_beforehand_orders_the_items_of_a_stranger() -> None:
    encoder = untrained()
    popularity = torch.zeros(ITEMS)
    popularity[5], popularity[9] = 1000, 100
    encoder.prime(popularity)
    share = (popularity + 0.5) / (1100 + 20) * ITEMS
    torch.testing.assert_close(encoder.item_vectors()[:, -1].detach(), share.log())


def test_heads_that_do_not_divide_dim_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.dim=16 cannot be split into model\.heads=3"):
        untrained(heads=3)


def test_the_vector_of_padding_is_never_trained() -> None:
    encoder = untrained().train()
    batch = question_batch([shopper([(1, 1)])], spec())
    (encoder(batch) @ encoder.item_vectors().T).sum().backward()
    assert encoder.embedder.tower.table.weight.grad is not None
    assert not encoder.embedder.tower.table.weight[0].any()
