"""Which heads there are, what they read, and that they learn a truth that is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recsys.catalogue import Catalogue
from recsys.clock import DAY, MINUTE
from recsys.errors import BundleError, ConfigError
from recsys.event import EventType
from recsys.feature.spec import FeatureSpec
from recsys.intent.heads import IntentHeads
from recsys.intent.intent import Intent, Stage, intents
from recsys.intent.joint import JointEncoder, JointLoss
from recsys.intent.module import IntentModule, moment_states, own_moment
from recsys.intent.none import NoIntent
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.sasrec import SASRec
from recsys.registry import construct, described
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from recsys.sequence.question import question_batch
from recsys.sequence.stream import training_stream
from recsys.state import Context, ShopperState
from tests.recsys.by_hand import catalogue_of, histories, history, items_table, spec, state
from tests.recsys.intent.buyers import BUY, PAUSE, VIEW, catalogue, shoppers

END = 60 * DAY


def names(**settings: Any) -> list[str]:
    built = IntentHeads().build(dim=8, features=spec(**settings), catalogue=catalogue())
    return [] if built is None else [name for name, _ in built.items()]


def encoder_of(features: FeatureSpec, items: int, dim: int = 16) -> SASRec:
    torch.manual_seed(0)
    return SASRec(items=items, features=features, dim=dim, blocks=1, heads=1, dropout=0.0)


def built(features: FeatureSpec, known: Catalogue, dim: int = 16) -> IntentModule:
    heads = IntentHeads().build(dim=dim, features=features, catalogue=known)
    assert heads is not None
    return heads


def test_a_log_with_looks_and_purchases_has_every_head() -> None:
    assert names(known_types=("view", "purchase")) == ["purchase", "considering", "wait", "category"]


def test_a_log_of_purchases_alone_tells_when_and_what_but_not_whether() -> None:
    assert names(known_types=("purchase",)) == ["wait", "category"]


def test_a_log_without_purchases_tells_the_category_alone() -> None:
    assert names(known_types=("view", "add_to_cart")) == ["category"]


def test_a_log_of_bare_order_has_no_head_that_needs_time() -> None:
    assert names(order_only=True, query="last") == ["category"]
    assert names(query="last") == ["category"]
    assert IntentHeads().labels(spec(order_only=True)).parts == ()


def test_another_event_may_be_what_the_shop_lives_on() -> None:
    clicks = IntentHeads(goal=EventType.CLICK)
    heads = clicks.build(dim=8, features=spec(known_types=("view", "click")), catalogue=catalogue_of(1))
    assert heads is not None
    assert [name for name, _ in heads.items()] == ["purchase", "considering", "wait"]


def test_nothing_to_tell_means_no_heads() -> None:
    assert IntentHeads().build(dim=8, features=spec(known_types=("view",)), catalogue=catalogue_of(1)) is None
    assert NoIntent().build(dim=8, features=spec(), catalogue=catalogue()) is None
    assert NoIntent().labels(spec()).parts == ()


def test_categories_are_read_less_deep_where_there_are_too_many() -> None:
    for most, found in ((12, 12), (11, 3), (2, 0)):
        heads = IntentHeads(most_categories=most).build(dim=8, features=spec(known_types=()), catalogue=catalogue())
        assert (0 if heads is None else heads.size) == found


@pytest.mark.parametrize(
    "settings",
    [{"goal": "buying"}, {"weight": 0}, {"edges_days": [2, 1]}, {"edges_days": [1]}, {"category_depth": 0}],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"intent.{next(iter(settings))}"):
        IntentHeads(**settings)


def test_settings_come_back_from_a_bundle_and_strange_ones_do_not() -> None:
    settings = IntentHeads(goal=EventType.CLICK, weight=0.3, edges_days=(1, 2))
    stored = described(settings)
    assert construct(stored["class"], stored["settings"]) == settings
    with pytest.raises(BundleError):
        construct("recsys.intent.module.IntentModule", {})


def loader_of(features: FeatureSpec, shop: int, batch_tokens: int = 10**9) -> Loader:
    """All that some shoppers did, with labels."""
    known = shoppers(shop)
    labels = IntentHeads().labels(features)
    stream = training_stream(known, features)
    stream = replace(stream, labels=labels.of_stream(stream, known, np.full(len(known), END)))
    return Loader.over(stream, features, batch_tokens=batch_tokens, context=10)


def training_batch(features: FeatureSpec, shop: int = 40) -> SequenceBatch:
    """The same, all at once."""
    loader = loader_of(features, shop)
    return loader.load(np.arange(len(loader.windows)))


def test_labels_reach_the_batch_query_by_query() -> None:
    batch = training_batch(spec(), shop=2)
    assert batch.labels["purchase"].tolist() == [1] * 18 + [0] * 18
    waits = batch.labels["wait_days"][batch.labels["wait_seen"] == 1]
    assert len(waits) == 17, "each moment of the buyer but the last, a purchase with none after it"
    assert batch.to(torch.device("cpu")).labels.keys() == batch.labels.keys()


def test_each_head_is_taught_by_the_questions_whose_answer_it_knows() -> None:
    batch = training_batch(spec(), shop=2)
    heads = built(spec(), catalogue())
    assert batch.labels["considering"].tolist() == [-1] * 18 + [0] * 18, "asked only where nothing will be bought"
    assert [name for name, _ in heads.items()] == ["purchase", "considering", "wait", "category"]
    assert heads.counts(batch).tolist() == [36, 18, 36, 36]
    at_once = replace(batch, labels={**batch.labels, "wait_days": torch.zeros(36)})
    assert heads.counts(at_once).tolist() == [36, 18, 0, 36]
    assert JointLoss(SampledSoftmax(8), heads).counts(batch).tolist() == [36, 36, 18, 36, 36]


def test_a_moment_is_the_mean_of_its_events_without_the_question() -> None:
    known = histories([(1, 0), (2, 0), (3, 1)], [(4, 5)])
    loader = Loader.of(known, spec(), batch_tokens=100, context=10)
    batch = loader.load(np.arange(len(loader.windows)))
    hidden = torch.arange(batch.item.numel()).float().view(*batch.item.shape, 1)
    found = moment_states(hidden, batch, own_moment(batch))[:, 0].tolist()
    at = {int(item): float(place) for item, place in zip(batch.item.flatten(), hidden.flatten(), strict=True)}
    assert sorted(found) == sorted([(at[1] + at[2]) / 2, at[3], at[4]])


def test_a_moment_that_does_not_exist_is_nothing() -> None:
    batch = question_batch([ShopperState(history(), Context(at=9))], spec())
    assert moment_states(torch.ones(1, 1, 2), batch, torch.tensor([-1])).tolist() == [[0, 0]]


def test_the_wait_of_a_moment_is_told_alike_in_training_and_in_answering() -> None:
    features = spec()
    encoder, heads = encoder_of(features, 13).eval(), built(features, catalogue())
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter)
    rows = [(1, 0, VIEW), (2, 5, VIEW), (3, 5, VIEW)]
    loader = Loader.of(histories(rows), features, batch_tokens=100, context=10)
    with torch.inference_mode():
        trained = loader.load(np.arange(1))
        asked = question_batch([state(*rows, at=50)], features)
        one = heads.split(heads(encoder, encoder.hidden(trained), trained, own_moment(trained)))["wait"][-1]
        other = heads.split(heads(encoder, encoder.hidden(asked), asked, torch.tensor([1])))["wait"][0]
    torch.testing.assert_close(one, other)


def test_nothing_after_a_moment_changes_what_is_said_of_the_wait_after_it() -> None:
    features = spec()
    encoder, heads = encoder_of(features, 13).eval(), built(features, catalogue())
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter)
    said = []
    for later in ([], [(5, 6, VIEW)], [(7, 400, BUY), (8, 400, BUY)]):
        rows = histories([(1, 0, VIEW), (2, 5, VIEW), *later])
        loader = Loader.of(rows, features, batch_tokens=100, context=10)
        batch = loader.load(np.arange(1))
        with torch.inference_mode():
            said.append(heads(encoder, encoder.hidden(batch), batch, own_moment(batch))[:2])
    torch.testing.assert_close(said[0], said[1])
    torch.testing.assert_close(said[0], said[2])


def test_the_joint_loss_is_that_of_the_next_item_plus_the_weighted_ones_of_the_heads() -> None:
    features = spec()
    encoder, heads, batch = encoder_of(features, 13), built(features, catalogue()), training_batch(features)
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    drawn = UniformSampler(popularity=torch.ones(13)).draw(
        8, target=batch.pair_target, generator=torch.Generator().manual_seed(0)
    )
    plain = SampledSoftmax(negatives=8)
    joint, loss = JointEncoder(encoder, heads), JointLoss(plain, heads)
    value = loss(joint(batch), batch, joint.item_vectors, drawn)
    alone = plain(encoder(batch), batch, encoder.item_vectors, drawn)
    said = heads.split(heads(encoder, encoder.hidden(batch), batch, own_moment(batch)))
    parts = [head.loss(said[name], batch) for name, head in heads.items()]
    assert loss.negatives == 8
    torch.testing.assert_close(value, alone + 0.1 * sum(parts))
    value.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in joint.parameters() if parameter.requires_grad)


def fitted(features: FeatureSpec) -> tuple[SASRec, IntentModule]:
    """Trained on the made-up shop for a few seconds."""
    encoder, heads = encoder_of(features, 13), built(features, catalogue())
    joint, loss = JointEncoder(encoder, heads), JointLoss(SampledSoftmax(negatives=8), heads)
    sampler, generator = UniformSampler(popularity=torch.ones(13)), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(joint.parameters(), lr=0.01)
    loader = loader_of(features, 60, batch_tokens=300)
    for epoch in range(30):
        for batch in loader.epoch(seed=0, epoch=epoch):
            drawn = sampler.draw(8, target=batch.pair_target, generator=generator)
            optimizer.zero_grad()
            loss(joint(batch), batch, joint.item_vectors, drawn).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return encoder.eval(), heads.eval()


def asked(minutes: int, *, buyer: bool, after: int = 3) -> ShopperState:
    """A shopper of category 0, `minutes` after the latest of the first `after` events of their third session."""
    rows = _rows(0 if buyer else 3)[: 6 + after]
    at = rows[-1][1] + minutes
    return ShopperState(history(*rows, unit=MINUTE), Context(at=at * MINUTE))


def _rows(shopper: int) -> list[tuple[int, int, EventType]]:
    known = shoppers(4, seed=1)[shopper]
    kinds = {kind.code: kind for kind in EventType}
    return [
        (int(i), int(t) // MINUTE, kinds[int(k)]) for i, t, k in zip(known.item, known.time, known.type, strict=True)
    ]


def test_heads_learn_who_buys_when_and_what() -> None:
    features = spec()
    encoder, heads = fitted(features)
    buyer, other = intents(heads, encoder, [asked(5, buyer=True, after=2), asked(5, buyer=False, after=2)], features)
    assert buyer.purchase_probability is not None
    assert other.purchase_probability is not None
    assert buyer.purchase_probability > 0.8 > 0.2 > other.purchase_probability
    assert buyer.stage is Stage.READY
    assert other.stage is Stage.BROWSING
    assert buyer.stage_probabilities is not None
    assert sum(chance for _, chance in buyer.stage_probabilities) == pytest.approx(1)
    assert dict(buyer.stage_probabilities)[Stage.READY] == buyer.purchase_probability
    assert buyer.categories is not None
    assert {name.partition(" > ")[0] for name, _ in buyer.categories[:4]} == {"category 0"}
    [after, later] = intents(heads, encoder, [asked(1, buyer=True), asked(DAY // MINUTE, buyer=True)], features)
    assert after.days_to_next_purchase is not None
    assert later.days_to_next_purchase is not None
    assert after.days_to_next_purchase == pytest.approx(PAUSE[True] * MINUTE / DAY, abs=0.6)
    assert later.days_to_next_purchase < after.days_to_next_purchase - 0.4, "a day of it has passed"


def test_without_heads_or_anything_to_read_nothing_is_told() -> None:
    features = spec(query="last")
    encoder = encoder_of(features, 13).eval()
    assert intents(None, encoder, [state(at=5)], features) == [Intent()]
    nobody, somebody = intents(built(features, catalogue()), encoder, [state(at=5), state((1, 1), at=5)], features)
    assert nobody == Intent()
    assert somebody.categories is not None
    assert len(somebody.categories) == 5
    assert (somebody.purchase_probability, somebody.days_to_next_purchase, somebody.stage) == (None, None, None)


def test_who_never_came_is_told_no_wait() -> None:
    features = spec()
    told = intents(built(features, catalogue()), encoder_of(features, 13).eval(), [state(at=5)], features)[0]
    assert told.days_to_next_purchase is None
    assert told.purchase_probability is not None


def test_an_item_without_a_category_teaches_no_category() -> None:
    known = Catalogue(items_table(["a", "b", "c"], [["x"], ["y"], []]))
    heads = IntentHeads().build(dim=8, features=spec(known_types=()), catalogue=known)
    assert heads is not None
    loader = Loader.of(histories([(3, 0), (1, 1), (3, 1)]), spec(), batch_tokens=100, context=10)
    batch = loader.load(np.arange(1))
    output = torch.tensor([[9.0, -9.0], [1.0, 0.0]])
    assert heads.loss(output, batch).item() == pytest.approx(0.1 * np.log1p(np.exp(-1)), rel=1e-5)
    assert heads.counts(batch).tolist() == [1]
