"""What an encoder reads of each token."""

import torch

from recsys.event import EventType
from recsys.feature.spec import FeatureSpec
from recsys.model.embedder import EventEmbedder, FeatureEmbedder
from recsys.sequence.question import question_batch
from recsys.state import ShopperState
from recsys.tower.id import Id
from tests.recsys.sequence.random_logs import ITEMS, Happening, context_of, everything_on, history_of

SPEC = everything_on(max_length=9, memory=99)
EVENTS = [
    Happening(1, 1, EventType.PURCHASE, 1.0, 1.0, 2.0, 2, 2, 3, (5, 7)),
    Happening(2, 2, EventType.VIEW, 1.0, 3.0, 3.0, 3, 0, -1, (0, 0)),
]
BATCH = question_batch([ShopperState(history_of(EVENTS), context_of(SPEC, EVENTS, 4))], SPEC)


def embedder_of(features: FeatureSpec) -> EventEmbedder:
    return EventEmbedder(tower=Id().build(items=ITEMS, dim=4, features=features), dim=4, features=features)


def test_features_are_summed_one_vector_for_each_class() -> None:
    torch.manual_seed(0)
    embedder = FeatureEmbedder(features=SPEC, dim=4)
    classes = SPEC.classes()
    begin, expected = 0, torch.zeros(1, 3, 4)
    for name, count in classes.items():
        if name in embedder.large:
            vectors = embedder.large[name].weight[BATCH.features[name]]
            expected = expected + (vectors.sum(2) if vectors.dim() == 4 else vectors)
        else:
            expected = expected + embedder.small[begin : begin + count][BATCH.features[name]]
            begin += count
    assert {"query", "item_text"} == set(embedder.large.keys())
    torch.testing.assert_close(embedder(BATCH), expected)


def test_no_word_is_no_vector() -> None:
    embedder = FeatureEmbedder(features=everything_on(token=("query",), max_length=9), dim=4)
    assert not embedder(BATCH)[0, 1:].any()
    assert embedder(BATCH)[0, 0].any()


def test_without_features_a_token_is_its_item_type_and_place() -> None:
    plain = everything_on(token=(), max_length=9)
    assert embedder_of(plain)(BATCH).shape == (1, 3, 4)
    assert not list(FeatureEmbedder(features=plain, dim=4).large)


def test_every_feature_changes_what_is_read() -> None:
    torch.manual_seed(0)
    embedder = embedder_of(SPEC)
    before = embedder(BATCH)
    for name, values in BATCH.features.items():
        changed = {**BATCH.features, name: torch.where(values == 0, 1, 0)}
        other = type(BATCH)(**{f: getattr(BATCH, f) for f in BATCH.__slots__ if f != "features"}, features=changed)
        assert not torch.equal(embedder(other), before), name
