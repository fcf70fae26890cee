"""Where a query's own targets were drawn."""

import torch
from hypothesis import given, settings

from recsys.loss.hits import accidental_hits
from tests.recsys.loss.cases import BASKETS, DRAWN, Baskets, batch_of


@settings(deadline=None, max_examples=60)
@given(baskets=BASKETS, item=DRAWN)
def test_hits_are_all_the_places_that_hold_a_target_of_the_query(baskets: Baskets, item: list[int]) -> None:
    query, place = accidental_hits(batch_of(baskets), torch.tensor(item))
    found = list(zip(query.tolist(), place.tolist(), strict=True))
    assert sorted(found) == sorted(
        (number, at) for number, basket in enumerate(baskets) for at, drawn in enumerate(item) if drawn in basket
    )
    assert query.tolist() == sorted(query.tolist())
