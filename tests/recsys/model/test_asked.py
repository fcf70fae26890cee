"""Who is asked, row by row."""

import numpy as np
import torch

from recsys.model.asked import Asked
from recsys.sequence.loader import Loader
from recsys.sequence.question import question_batch
from tests.recsys.by_hand import Row, histories, spec, state

BASKETS: list[list[Row]] = [[(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)], [(6, 1), (7, 1)]]


def test_queries_are_found_in_their_rows_again() -> None:
    loader = Loader.of(histories(*BASKETS), spec(), batch_tokens=100, context=5)
    batch = loader.load(np.arange(len(loader.windows)))
    asked = Asked.of(batch)
    assert asked is not None
    columns = sorted(asked.column.tolist())
    assert columns == [[0, 0], [0, 4]], "query, three events, query, two events; query, two events"
    tokens = torch.arange(batch.item.numel() * 2.0).view(*batch.item.shape, 2)
    picked = asked.rows(tokens).flatten(0, 1)[asked.place]
    torch.testing.assert_close(picked, tokens.flatten(0, 1)[batch.query])
    mask = batch.attention_mask()
    rows = asked.mask(mask, mask.shape[-1])[:, 0].flatten(0, 1)[asked.place]
    assert torch.equal(rows, mask[:, 0].flatten(0, 1)[batch.query])


def test_in_an_ordered_batch_those_asked_see_themselves_and_what_stands_before() -> None:
    features = spec(query="last", order_only=True)
    batch = question_batch([state((1, 1), (2, 2), at=9), state((1, 1), (2, 2), (3, 3), (4, 4), at=9)], features)
    asked = Asked.of(batch)
    assert asked is not None
    assert asked.mask(None, 4).flatten(1).int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_where_most_tokens_ask_all_are_worked_for() -> None:
    features = spec(query="last", order_only=True)
    loader = Loader.of(histories([(1, 1), (2, 2), (3, 3), (4, 4)]), features, batch_tokens=100, context=5)
    assert Asked.of(loader.load(np.arange(1))) is None
