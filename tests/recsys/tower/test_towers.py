"""Item vectors: own, of the content, and both."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.errors import ConfigError
from recsys.feature.item import ItemFacts
from recsys.feature.spec import FeatureSpec
from recsys.feature.statistics import Statistics
from recsys.protocols import ItemTower
from recsys.tower.content import Content
from recsys.tower.id import Id
from recsys.tower.id_and_content import IdAndContent
from tests.recsys.by_hand import spec
from tests.recsys.sequence.random_logs import everything_on

FACTS = ItemFacts(
    path=np.array([[0, 0], [1, 1], [1, 2], [1, 1]], np.int32),
    brand=np.array([0, 1, 0, 1], np.int32),
    price=np.array([0, 3, 3, 3], np.int8),
    born=np.zeros(4, np.int64),
    text=np.array([[0, 0], [900, 7], [7, 0], [900, 7]], np.int16),
)
"""Items 1 and 3 are alike in everything."""


def features() -> FeatureSpec:
    known = everything_on(max_length=9, memory=99)
    statistics = Statistics(spending=1.0, prices=known.learnt().prices, items=FACTS)
    return replace(known, statistics=statistics)


TOWERS = [Id(), Content(), IdAndContent(id_dropout=0.0)]


@pytest.mark.parametrize("tower", TOWERS)
def test_some_items_have_the_vectors_of_the_catalogue_and_padding_has_none(tower: ItemTower) -> None:
    module = tower.build(items=4, dim=6, features=features()).eval()
    whole = module(None)
    assert whole.shape == (4, 6)
    assert not whole[0].any()
    assert bool(whole[1:].any(1).all())
    torch.testing.assert_close(module(torch.tensor([[2, 0], [3, 1]])), whole[torch.tensor([[2, 0], [3, 1]])])


def test_items_of_the_same_content_share_a_vector_and_others_do_not() -> None:
    module = Content().build(items=4, dim=6, features=features())
    whole = module(None)
    assert torch.equal(whole[1], whole[3])
    assert not torch.allclose(whole[1], whole[2])


def test_a_word_is_the_same_word_wherever_it_stands() -> None:
    codes = Content().build(items=4, dim=6, features=features()).codes
    assert codes[1, -1] == codes[2, -2] != 0
    assert len(set(codes[1].tolist())) == 6, "no code of one fact is that of another"


def test_an_item_never_taken_has_its_contents_vector_alone() -> None:
    module = IdAndContent(id_dropout=0.0).build(items=4, dim=6, features=features())
    module.prime(torch.tensor([0.0, 5.0, 2.0, 0.0]))
    whole = module(None)
    torch.testing.assert_close(whole[3], module.content(torch.tensor(3)))
    torch.testing.assert_close(whole[1], module.own(torch.tensor(1)) + module.content(torch.tensor(1)))


def test_id_dropout_leaves_out_that_share_of_own_vectors_in_training_only() -> None:
    torch.manual_seed(0)
    module = IdAndContent(id_dropout=0.25).build(items=4, dim=6, features=features())
    item = torch.ones(4_000, dtype=torch.int64)
    alone = module.content(torch.tensor(1))
    left_out = (module(item) - alone).abs().max(1).values < 1e-6
    assert float(left_out.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert not bool(((module.eval()(item) - alone).abs().max(1).values < 1e-6).any())


def test_sparse_gradients_name_only_the_rows_touched() -> None:
    module = Id(sparse=True).build(items=9, dim=2, features=spec())
    module(torch.tensor([3, 5, 3])).sum().backward()
    gradient = module.table.weight.grad.coalesce()
    assert gradient.indices().tolist() == [[3, 5]]
    assert gradient.values().tolist() == [[2, 2], [1, 1]]


def test_content_without_facts_is_refused() -> None:
    with pytest.raises(ConfigError, match="tower=content reads facts of items"):
        Content().build(items=4, dim=2, features=spec())


def test_a_share_of_one_or_more_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tower\.id_dropout is 1\.0"):
        IdAndContent(id_dropout=1.0)
