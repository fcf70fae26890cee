"""The inner product with popularity."""

import torch

from recsys.similarity.dot import Dot


def test_the_score_is_the_inner_product_plus_the_items_popularity() -> None:
    similarity = Dot().build(items=3, dim=2)
    similarity.popularity.data = torch.tensor([0.0, 0.5, -1.0])
    query = similarity.query(torch.tensor([[1.0, 2.0]]))
    assert (query @ similarity.item(torch.tensor([[0.0, 0.0], [3.0, 1.0], [1.0, 1.0]]), None).T).tolist() == [
        [0, 5.5, 2]
    ]
    assert (query @ similarity.item(torch.tensor([[1.0, 1.0]]), torch.tensor([2])).T).tolist() == [[2]]
    assert similarity.vector_size == 3


def test_without_popularity_vectors_stay_as_they_are() -> None:
    similarity = Dot(popularity=False).build(items=3, dim=2)
    vector = torch.tensor([[1.0, 2.0]])
    assert similarity.query(vector) is vector
    assert similarity.item(vector, torch.tensor([1])) is vector
    assert similarity.vector_size == 2
    assert not list(similarity.parameters())
