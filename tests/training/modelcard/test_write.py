"""The card as files, with the run and in the bundle."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from rich.console import Console

from recsys.bundle import version_of
from recsys.errors import ConfigError
from tests.made_up_shop import MadeUpShop
from tests.training.modelcard.cards import card
from training.loop import run
from training.modelcard.write import write_model_card
from training.recipe import Recipe
from training.tracker.mlflow import MlflowTracker, local_uri


def test_the_page_names_pictures_that_lie_beside_it(tmp_path: Path) -> None:
    write_model_card(card(), tmp_path / "card", place="outputs/x", version="v")
    text = (tmp_path / "card" / "card.md").read_text()
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert {"learning.png", "comparison.png"} <= set(shown)
    assert all((tmp_path / "card" / name).read_bytes().startswith(b"\x89PNG") for name in shown)
    assert json.loads((tmp_path / "card" / "metrics.json").read_text()) == card().metrics


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("")
    with pytest.raises(ConfigError, match=r"occupied.* set outputs="):
        write_model_card(card(), tmp_path / "occupied", place="x", version="v")


def test_a_training_run_leaves_its_card_with_the_bundle_and_with_its_run(tiny_recipe: Recipe, tmp_path: Path) -> None:
    small = replace(tiny_recipe, data=MadeUpShop(shoppers=20), outputs=tmp_path, tracker=partial(MlflowTracker))
    folder = run(small, Console(quiet=True))
    in_bundle = (folder / "card.md").read_text()
    assert "made up" in in_bundle
    assert "![" not in in_bundle, "the bundle holds no pictures"
    client = MlflowClient(local_uri(tmp_path))
    (found,) = client.search_runs(["1"])
    kept = {item.path for item in client.list_artifacts(found.info.run_id, "model_card")}
    assert {f"model_card/{name}" for name in ("card.md", "metrics.json", "learning.png", "comparison.png")} <= kept
    with_run = Path(client.download_artifacts(found.info.run_id, "model_card/card.md", str(tmp_path))).read_text()
    assert f"|version|{version_of(folder)}|" in with_run
    assert f'Recommender.load("{folder}")' in with_run
    assert found.data.tags["machine.cores"]
    assert found.data.tags["data_fingerprint"] == found.inputs.dataset_inputs[0].dataset.digest
    assert [point.step for point in client.get_metric_history(found.info.run_id, "loss")] == [1, 2, 3]
    assert "system/cpu_utilization_percentage" in found.data.metrics
