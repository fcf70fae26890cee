"""What a shopper agreed to at the service is kept to by the next training and by answers in files."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recsys.clock import DAY, ManualClock
from recsys.consent import Rules
from recsys.data.exports import with_exports
from recsys.errors import DataError, TrainingError
from recsys.log.engine import LocalEngine
from recsys.log.writer import write_log
from serving.api.application import create_app
from serving.exporter import export
from serving.service import Service
from serving.store.sqlite import SqliteStore
from tests.made_up_shop import START, WEEKS, MadeUpShop
from tests.serving.shop import CategoryCounter
from training.dataset import Dataset
from training.recipe import Recipe
from training.scoring.run import Wanted, score_shoppers

NOW = START + WEEKS * 7 * DAY
EVERYBODY = {f"shopper-{number:03d}" for number in range(120)}
DENIED = Rules.of(default="denied")


async def say(folder: Path, agreed: dict[str, list[str]]) -> None:
    """Tell a service what shoppers agree to, and export its events."""
    store = SqliteStore(folder / "events.db")
    service = Service(CategoryCounter(), store, clock=ManualClock(NOW), rng=np.random.default_rng(0))
    transport = httpx.ASGITransport(create_app(service))
    async with service, httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        for shopper, purposes in agreed.items():
            answer = await http.put(f"/v1/shoppers/{shopper}/consent", json={"purposes": purposes})
            assert answer.status_code == 200, answer.text
        await export(store, folder / "exports")


@pytest.fixture
def recipe(tiny_recipe: Recipe, tmp_path: Path) -> Recipe:
    """A log with what three shoppers agree to: to nothing, to training only, to personalisation only."""
    said = {"shopper-003": [], "shopper-004": ["training"], "shopper-005": ["personalisation"]}
    asyncio.run(say(tmp_path, said))
    recipe = replace(tiny_recipe, data=with_exports(MadeUpShop(), tmp_path / "exports"), outputs=tmp_path)
    write_log(recipe.data, recipe.log_folder)
    return recipe


def shoppers_of(dataset: Dataset) -> set[str]:
    return {shopper for shopper in dataset.histories.shopper.to_pylist() if not shopper.startswith("anonymous:")}


def test_who_does_not_agree_to_training_is_in_nothing_that_training_reads(recipe: Recipe) -> None:
    dataset = Dataset.of(recipe)
    assert shoppers_of(dataset) == EVERYBODY - {"shopper-003", "shopper-005"}
    more = Dataset.of(plain(recipe))
    assert len(dataset.histories.events_once().item) < len(more.histories.events_once().item)


def plain(recipe: Recipe) -> Recipe:
    """The same where any purpose at all will do, and silence, too: but for shopper-003, who agreed to nothing."""
    return replace(recipe, consent=Rules.of(training=["training", "personalisation"]))


def test_with_default_denied_only_those_who_agreed_are_learnt_from_and_nobody_is_an_error(recipe: Recipe) -> None:
    agreed = Dataset.of(replace(recipe, data=replace(recipe.data, cutoff=NOW), consent=DENIED))
    assert shoppers_of(agreed) == {"shopper-004"}
    nobody = replace(recipe, consent=Rules.of(default="denied", training=["statistics"]))
    with pytest.raises(TrainingError, match="no shopper of the log agrees to training"):
        Dataset.of(nobody)


def test_another_rule_reads_other_sequences_from_the_same_log(recipe: Recipe) -> None:
    found = {Dataset.of(one).key for one in (recipe, plain(recipe))}
    assert len(found) == 2
    assert shoppers_of(Dataset.of(plain(recipe))) == EVERYBODY - {"shopper-003"}


def test_answers_in_files_leave_out_who_does_not_agree_to_personalisation(
    recipe: Recipe, tiny_bundle: Path, tmp_path: Path
) -> None:
    wanted = Wanted(bundle=tiny_bundle, outputs=tmp_path, at=NOW + DAY, answers=tmp_path / "answers.parquet")
    quiet = Console(quiet=True)
    path = score_shoppers(recipe.data, wanted, LocalEngine(threads=1), quiet, clock=ManualClock(NOW))
    assert set(pq.read_table(path)["shopper"].to_pylist()) == EVERYBODY - {"shopper-003", "shopper-004"}
    nobody = replace(wanted, consent=Rules.of(default="denied", personalisation=["ads"]))
    with pytest.raises(DataError, match="no shopper of the log agrees to personalisation"):
        score_shoppers(recipe.data, nobody, LocalEngine(threads=1), quiet, clock=ManualClock(NOW))
