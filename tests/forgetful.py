"""A recommender whose encoder forgot what it knew, whole in every other way."""

from recsys.recommender import Recommender


def weights_times(factor: float, recommender: Recommender) -> Recommender:
    """The same with every weight of the encoder multiplied, and the index made anew of what it says then."""
    for weights in recommender.encoder.parameters():  # type: ignore[attr-defined]
        weights.data.mul_(factor)
    recommender.index.build(recommender.encoder.item_vectors().detach().numpy())
    return recommender
