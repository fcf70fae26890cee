"""SASRec as an encoder: shapes, its start, and independence of what it is batched with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from recsys.errors import ConfigError
from recsys.model.sasrec import SASRec
from recsys.sequence.question import question_batch
from recsys.state import ShopperState
from tests.recsys.by_hand import spec, state

ITEMS = 40
ROWS = st.lists(st.tuples(st.integers(1, ITEMS - 1), st.integers(1, 30)), max_size=15)


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


@settings(deadline=None, max_examples=30)
@given(rows=ROWS, others=st.lists(ROWS, max_size=4))
def test_who_else_is_in_the_batch_changes_no_query(
    rows: list[tuple[int, int]], others: list[list[tuple[int, int]]]
) -> None:
    alone = encode([shopper(rows)])[0]
    together = encode([*map(shopper, others), shopper(rows)])[-1]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


def test_what_lies_in_the_padding_changes_no_query() -> None:
    batch = question_batch([shopper([(1, 1)]), shopper([(2, 1), (3, 2), (4, 3)])], spec())
    with torch.inference_mode():
        before = ENCODER(batch)
        batch.item[~batch.valid] = 7
        batch.type[~batch.valid] = 1
        batch.time[~batch.valid] = 0
        batch.features["hour"][~batch.valid] = 5
        assert torch.equal(ENCODER(batch), before)


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


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    encoder = untrained()
    save_file(encoder.state_dict(), tmp_path / "weights.safetensors")
    other = SASRec(items=ITEMS, features=spec(), **encoder.settings()).eval()  # type: ignore[arg-type]
    assert not torch.equal(encode([shopper([(1, 1)])], other), encode([shopper([(1, 1)])], encoder))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(encode([shopper([(1, 1)])], other), encode([shopper([(1, 1)])], encoder))


def test_heads_that_do_not_divide_dim_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.dim=16 cannot be split into model\.heads=3"):
        untrained(heads=3)


def test_the_vector_of_padding_is_never_trained() -> None:
    encoder = untrained().train()
    batch = question_batch([shopper([(1, 1)])], spec())
    (encoder(batch) @ encoder.item_vectors().T).sum().backward()
    assert encoder.embedder.tower.table.weight.grad is not None
    assert not encoder.embedder.tower.table.weight[0].any()
