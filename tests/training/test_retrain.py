"""The loop closes: events come in through the API, are exported, join the log, are learnt from, and are promoted."""

import asyncio
import fcntl
import io
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from mlflow.tracking import MlflowClient
from rich.console import Console

from recsys.bundle import read_bundle, write_bundle
from recsys.clock import DAY, HOUR, MINUTE, ManualClock, to_datetime
from recsys.data.exports import with_exports
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.recommender import Recommender
from recsys.retrieval.blend import ENCODER, Blend
from recsys.state import Knowledge
from serving.api.application import create_app
from serving.exporter import export
from serving.service import Service
from serving.store.sqlite import SqliteStore
from tests.forgetful import weights_times
from tests.made_up_shop import START, WEEKS, MadeUpShop
from tests.serving.shop import CategoryCounter
from training import retrain as command
from training.contest import Decision
from training.dataset import Dataset
from training.loop import run
from training.promotion import Because
from training.recipe import Recipe
from training.renewal import FINGERPRINT, Renewal, retrain
from training.tracker.mlflow import MlflowTracker, local_uri

QUIET = Console(quiet=True)
NOW = START + (WEEKS + 3) * 7 * DAY
SHOP = MadeUpShop(shoppers=24, cutoff=START + 16 * 7 * DAY)
UNDESCRIBED = "item-of-tomorrow"


@dataclass(frozen=True)
class Described(MadeUpShop):
    """The same shop once it describes the item of tomorrow."""

    def items(self) -> pa.Table:
        items = MadeUpShop.items(self)
        new = items.slice(0, 1).set_column(0, items.schema.field("item_id"), pa.array([UNDESCRIBED]))
        return pa.concat_tables([items, new])


def purchases(weeks: Sequence[int]) -> list[dict[str, object]]:
    """What 24 known shoppers buy in some weeks: items of their favourite category; one buys what has no row yet."""
    rng, events = np.random.default_rng(1), []
    for week in weeks:
        for shopper in range(24):
            at = to_datetime(START + week * 7 * DAY + int(rng.integers(6 * 24)) * HOUR).isoformat()
            items = {f"item-{shopper % 6 * 50 + int(rank):03d}" for rank in rng.integers(0, 6, 3)}
            for item in items | ({UNDESCRIBED} if shopper == 3 else set()):
                event = {"event_id": f"api-{week}-{shopper}-{item}", "type": "purchase", "item_id": item, "price": 2.5}
                events.append({**event, "user_id": f"shopper-{shopper:03d}", "occurred_at": at})
    return events


def sent_and_exported(events: Sequence[dict[str, object]], outputs: Path) -> int:
    """Send events through the real API application, in process, and export what its store holds."""

    async def through() -> int:
        store = SqliteStore(outputs / "store" / "events.db")
        service = Service(CategoryCounter(), store, clock=ManualClock(NOW), rng=np.random.default_rng(0))
        transport = httpx.ASGITransport(create_app(service))
        async with service, httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            for begin in range(0, len(events), 500):
                body = json.dumps({"events": list(events[begin : begin + 500])})
                answer = (await http.post("/v1/events", content=body)).json()
                assert (answer["rejected"], answer["duplicate"]) == (0, 0), answer
            return (await export(store, outputs / "exports")).events

    return asyncio.run(through())


def retrained(recipe: Recipe, **renewal: object) -> tuple[Decision | None, str]:
    out = io.StringIO()
    joined = replace(recipe, data=with_exports(SHOP, recipe.outputs / "exports"))
    found = retrain(joined, Renewal(test_days=7, **renewal), Console(file=out, width=300), clock=ManualClock(NOW))  # type: ignore[arg-type]
    return found, out.getvalue()


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Twenty-four shoppers, one epoch; the champion learnt of twelve weeks and then forgot it all."""
    recipe = replace(
        tiny_recipe,
        data=SHOP,
        trainer=replace(tiny_recipe.trainer, epochs=1),  # type: ignore[type-var]
        outputs=tmp_path_factory.mktemp("retrain"),
        register=False,
        tracker=partial(MlflowTracker, system_metrics_s=0.0),
    )
    champion = weights_times(0.01, read_bundle(run(recipe, QUIET)))
    blend = Blend(champion.blend.sources, {state: {ENCODER: 1.0} for state in Knowledge}, champion.blend.depth)
    forgetful = recipe.outputs / "bundles" / "forgetful"
    write_bundle(replace(champion, blend=blend, ranker=None), forgetful, metrics={})
    tracker = recipe.tracker(outputs=recipe.outputs)
    with tracker.run("by hand", {}, {}):
        number = tracker.register(forgetful, version_tags={})
    registry = tracker.registry
    assert registry is not None
    version = registry.find(number or "")
    assert version is not None
    registry.promote(version, by_hand())
    return recipe


def by_hand() -> Because:
    return Because.now("somebody had to begin")


def test_events_of_the_api_are_exported_learnt_from_and_promoted_and_then_there_is_nothing_to_do(
    recipe: Recipe,
) -> None:
    nothing, said = retrained(recipe)
    assert nothing is None
    assert "nothing to do: no event is new since the champion, version 1, was trained" in said

    events = purchases([WEEKS, WEEKS + 1, WEEKS + 2])
    assert sent_and_exported(events, recipe.outputs) == len(events)
    decision, said = retrained(recipe)
    assert decision is not None, said
    assert (decision.word, decision.version) == ("promoted", "2"), said
    registry = MlflowTracker(outputs=recipe.outputs, system_metrics_s=0).registry
    champion = registry.champion()
    assert champion is not None
    assert champion.number == "2"
    assert champion.tags["replaced"] == "1"
    young = Recommender.load(champion.bundle or Path())
    assert young.facts["learnt_until"] > SHOP.cutoff, "it learnt from weeks that the champion had not seen"
    assert young.data_end > START + (WEEKS + 2) * 7 * DAY, "its crowd knows what came in through the API"
    assert young.catalogue.index_of(UNDESCRIBED) == 0, "nothing is learnt of an item that nobody described"
    trail(recipe, decision)

    nothing, said = retrained(recipe)
    assert nothing is None
    assert "nothing to do: no event is new since the champion, version 2, was trained" in said


def trail(recipe: Recipe, decision: Decision) -> None:
    """One run tells the story: the training and the comparison are its children."""
    client = MlflowClient(local_uri(recipe.outputs))
    (parent,) = client.search_runs(["1"], "run_name = 'retrain'")
    assert parent.data.tags["decision"] == "promoted"
    assert parent.data.tags["because"] == decision.why
    assert (parent.data.tags["champion_before"], parent.data.tags["model_version"]) == ("1", "2")
    children = client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {child.info.run_name for child in children} == {"made_up", "promote"}
    assert {child.info.status for child in (*children, parent)} == {"FINISHED"}


def test_what_was_refused_is_not_trained_again_until_something_is_new(recipe: Recipe, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(recipe.outputs, outputs)
    for kept in ("exports", "store"):
        shutil.rmtree(outputs / kept, ignore_errors=True)
    sent_and_exported(purchases([WEEKS])[:30], outputs)
    here = replace(recipe, outputs=outputs)
    summary = write_log(with_exports(SHOP, outputs / "exports"), here.log_folder)
    tracker = here.tracker(outputs=outputs)
    registry = tracker.registry
    assert registry is not None
    with tracker.run("by hand", {}, {}):
        number = tracker.register(outputs / "bundles" / "forgetful", version_tags={FINGERPRINT: summary.fingerprint})
    challenger = registry.find(number or "")
    assert challenger is not None
    registry.refuse(challenger, by_hand())
    nothing, said = retrained(here)
    assert nothing is None
    assert f"nothing to do: no event is new since version {number} was refused" in said


def test_an_item_that_gets_its_row_later_is_known_with_everything_that_came_in_before(
    recipe: Recipe, tmp_path: Path
) -> None:
    sent_and_exported(purchases([WEEKS]), tmp_path)
    cutoff = START + (WEEKS + 1) * 7 * DAY
    for source, known in ((SHOP, False), (Described(shoppers=24), True)):
        if known:  # it is told with the next file: a log that has all parts is left as it is
            later = {"event_id": "later", "type": "view", "user_id": "shopper-003", "item_id": UNDESCRIBED}
            sent_and_exported([later | {"occurred_at": to_datetime(cutoff + MINUTE).isoformat()}], tmp_path)
        joined = replace(with_exports(source, tmp_path / "exports"), cutoff=cutoff)  # type: ignore[type-var]
        here = replace(recipe, data=joined, outputs=tmp_path)
        write_log(here.data, here.log_folder)
        bought = EventLog(here.log_folder).events()
        assert pc.sum(pc.equal(bought["item_id"], UNDESCRIBED)).as_py() == 1 + known, "it is in the log from the start"
        dataset = Dataset.of(here)
        index = dataset.catalogue.index_of(UNDESCRIBED)
        assert bool(index) is known
        assert bool((dataset.histories.events.item == index).sum() == 2) is known


def test_a_second_start_says_that_one_is_running_and_does_nothing(recipe: Recipe, tmp_path: Path) -> None:
    with (tmp_path / ".retrain.lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        nothing, said = retrained(replace(recipe, outputs=tmp_path))
    assert nothing is None
    assert "a retraining is running already (process 4711): nothing was done" in said
    assert [path.name for path in tmp_path.iterdir()] == [".retrain.lock"]


@pytest.mark.parametrize("wrong", ["test_days=0", "split=leave_one_out", "no_such_key=1", "margin=2"])
def test_settings_that_cannot_work_end_with_2(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["recsys-retrain", "data=table", "data.files=none.csv", wrong])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2, capsys.readouterr().err
