"""A run that starts from the champion: old numbers stay, new days are learnt, and a share of what was before."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from recsys.clock import DAY
from recsys.errors import BundleError, ConfigError, RecsysError, ReleaseError
from recsys.recommender import Recommender
from recsys.sequence.loader import Loader
from recsys.split.leave_one_out import LeaveOneOut
from recsys.tower.id_and_content import IdAndContent
from tests.made_up_shop import START, MadeUpShop
from training.evaluate import Asked, evaluate_bundle
from training.loop import run
from training.recipe import Recipe
from training.tracker.mlflow import MlflowTracker

QUIET = Console(quiet=True)
EARLY = MadeUpShop(shoppers=24, cutoff=START + 12 * 7 * DAY)
LATE = replace(EARLY, cutoff=START + 20 * 7 * DAY)
LEARNT = EARLY.cutoff - 28 * DAY


@dataclass
class Untrained:
    """A trainer that leaves everything as it gets it, and remembers what it could have learnt from."""

    batch_tokens: int = 800
    context_tokens: int = 10
    loaders: list[Loader] = field(default_factory=list)

    def fit(self, encoder: Any, loader: Loader, **_: object) -> Mapping[str, float]:
        self.loaders.append(loader)
        encoder.eval()
        return {"kept_epoch": 1, "epochs": 1, "train_s": 0.0, "tokens_per_s": 1.0}

    def targets(self) -> np.ndarray:
        """Instants of everything that the last loader asks for."""
        (loader,) = self.loaders[-1:]
        pairs = zip(loader.windows.target_from.tolist(), loader.windows.end.tolist(), strict=True)
        rows = np.concatenate([np.arange(first, last) for first, last in pairs])
        times: np.ndarray = loader.tokens.time.numpy()[rows]
        return times


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Twelve weeks, of which eight are learnt from; tracked."""
    trainer = replace(tiny_recipe.trainer, epochs=1)  # type: ignore[type-var]
    tracker = partial(MlflowTracker, system_metrics_s=0.0)
    outputs = tmp_path_factory.mktemp("incremental")
    both = IdAndContent(id_dropout=0.1)
    return replace(
        tiny_recipe, data=EARLY, trainer=trainer, tower=both, outputs=outputs, register=True, tracker=tracker
    )


@pytest.fixture(scope="module")
def champion(recipe: Recipe) -> Recommender:
    return Recommender.load(run(recipe, QUIET))


def went_on(recipe: Recipe, **changed: Any) -> tuple[Recommender, Untrained]:
    """Twenty weeks, from the champion, not trained."""
    trainer = Untrained()
    settings = {"data": LATE, "trainer": trainer, "start_from": "champion", "register": False, **changed}
    return Recommender.load(run(replace(recipe, **settings), QUIET)), trainer


def test_what_the_champion_knew_keeps_its_number_and_its_vector_and_new_items_come_after(
    recipe: Recipe, champion: Recommender
) -> None:
    later, _ = went_on(recipe)
    known, ids = champion.catalogue.items["item_id"].to_pylist(), later.catalogue.items["item_id"].to_pylist()
    assert ids[: len(known)] == known
    assert len(ids) > len(known) + 5
    assert sorted(ids) != ids, "in order of their coming, not of their names"
    assert later.features.channels.names[: len(champion.features.channels.names)] == champion.features.channels.names
    with torch.no_grad():
        before, after = champion.encoder.item_vectors(), later.encoder.item_vectors()
    torch.testing.assert_close(after[: len(before)], before, rtol=0, atol=1e-6)
    liked = known[4:7]
    old, new = (one.encode([_state(one, liked)])[0] for one in (champion, later))
    np.testing.assert_allclose(old, new, atol=1e-5)


def test_a_new_item_starts_closer_to_its_category_than_to_others(recipe: Recipe, champion: Recommender) -> None:
    later, _ = went_on(recipe)
    vectors = later.encoder.item_vectors().detach()[:, : recipe.settings["model"]["dim"]].numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9
    category, known = later.catalogue.categories(1)[0], champion.catalogue.size
    alike = vectors[known:] @ vectors[1:known].T
    same = category[known:, None] == category[None, 1:known]
    assert alike[same].mean() > alike[~same].mean() + 0.1


def test_without_replay_only_what_is_new_is_asked_and_with_a_share_some_of_the_rest(
    recipe: Recipe, champion: Recommender
) -> None:
    assert champion.facts["learnt_until"] == LEARNT
    _, none = went_on(recipe, replay=0.0)
    _, half = went_on(recipe, replay=0.5)
    _, everything = went_on(recipe, replay=1.0)
    assert none.targets().min() >= LEARNT
    assert everything.targets().min() < LEARNT - 40 * DAY
    old, all_old = (int((watch.targets() < LEARNT).sum()) for watch in (half, everything))
    assert 0.25 * all_old < old < 0.75 * all_old
    new = {int((watch.targets() >= LEARNT).sum()) for watch in (none, half, everything)}
    assert len(new) == 1, "what is new is learnt in any case"


def test_it_trains_and_its_bundle_is_evaluated_and_can_be_gone_on_from(recipe: Recipe, champion: Recommender) -> None:
    folder = run(replace(recipe, data=LATE, start_from="champion", register=False), QUIET)
    later = Recommender.load(folder)
    with torch.no_grad():
        before, after = champion.encoder.item_vectors(), later.encoder.item_vectors()
    assert not torch.allclose(after[: len(before)], before, atol=1e-3)
    found = evaluate_bundle(replace(recipe, data=LATE), Asked(bundle=str(folder)), QUIET)
    assert found.rows["the answer"].ndcg10 > 0.05
    last = replace(LATE, cutoff=START + 23 * 7 * DAY)
    third, _ = went_on(recipe, data=last, start_from=str(folder))
    assert third.catalogue.items["item_id"].to_pylist()[: later.catalogue.size - 1] == (
        later.catalogue.items["item_id"].to_pylist()
    )


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"data": EARLY}, ConfigError, "nothing is new; raise data.cutoff"),
        ({"start_from": "no/such/folder"}, BundleError, "no/such/folder"),
        ({"features": {"max_length": 30}}, ConfigError, "not the features of before"),
    ],
)
def test_a_start_that_cannot_be_is_refused(
    recipe: Recipe, champion: Recommender, changed: dict[str, Any], error: type[RecsysError], message: str
) -> None:
    if "features" in changed:
        changed = {"features": {**recipe.features, **changed["features"]}}
    with pytest.raises(error, match=message):
        went_on(recipe, **changed)


def test_another_model_is_refused(recipe: Recipe, champion: Recommender) -> None:
    model = partial(recipe.model, dim=8)
    with pytest.raises(ConfigError, match=r"not the model of before \(dim was 16 and is 8\)"):
        went_on(recipe, model=model)


def test_before_there_is_a_champion_one_must_be_trained(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="the registry has none yet"):
        went_on(recipe, outputs=tmp_path)
    with pytest.raises(ConfigError, match="without times nothing is new"):
        replace(recipe, start_from="champion", split=LeaveOneOut())
    with pytest.raises(ConfigError, match=r"replay is 1\.5"):
        replace(recipe, replay=1.5)


def _state(recommender: Recommender, items: list[str]) -> Any:
    """A shopper who took these, long ago."""
    from recsys.event import Event, EventType
    from recsys.state import Context, ShopperState

    events = [
        Event(event_id=item, type=EventType.PURCHASE, occurred_at=START + place * DAY, item_id=item)
        for place, item in enumerate(items)
    ]
    at = START + 30 * DAY
    return ShopperState(recommender.coding.of_events(events, before=at), Context(at=at))
