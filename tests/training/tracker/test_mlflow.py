"""Runs and the registry in MLflow, in a local SQLite file."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from recsys.errors import ConfigError
from training.tracker.mlflow import CHAMPION, MODEL, MlflowTracker, local_uri


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "a-bundle").mkdir()
    (tmp_path / "a-bundle" / "spec.json").write_text("{}")
    return tmp_path / "a-bundle"


def test_a_run_keeps_settings_tags_and_figures(tmp_path: Path) -> None:
    tracker = MlflowTracker(outputs=tmp_path)
    with tracker.run("shop", {"model.dim": 64}, {"git_revision": "abc"}):
        tracker.log({"loss": 2.0}, step=1)
        tracker.log({"loss": 1.5}, step=2)
    (run,) = MlflowClient(local_uri(tmp_path)).search_runs(["1"])
    assert (run.info.status, run.data.params["model.dim"]) == ("FINISHED", "64")
    assert (run.data.tags["git_revision"], run.data.metrics["loss"]) == ("abc", 1.5)


def test_a_run_that_breaks_is_marked_as_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), MlflowTracker(outputs=tmp_path).run("shop", {}, {}):
        _ = 1 / 0
    (run,) = MlflowClient(local_uri(tmp_path)).search_runs(["1"])
    assert run.info.status == "FAILED"


def test_each_registered_bundle_is_a_new_version_and_the_champion(tmp_path: Path, bundle: Path) -> None:
    tracker = MlflowTracker(outputs=tmp_path / "outputs")
    assert tracker.champion() is None
    for number in ("1", "2"):
        with tracker.run("shop", {}, {}):
            assert tracker.register(bundle, version_tags={"recipe": f"r{number}"}) == number
    champion = MlflowTracker(outputs=tmp_path / "outputs").champion()
    assert champion is not None
    assert (champion.version, dict(champion.tags)) == ("2", {"recipe": "r2"})
    assert (champion.bundle / "spec.json").read_text() == "{}"
    client = MlflowClient(local_uri(tmp_path / "outputs"))
    assert str(client.get_model_version_by_alias(MODEL, CHAMPION).version) == "2"


def test_nothing_is_logged_outside_of_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no MLflow run is open"):
        MlflowTracker(outputs=tmp_path).log({"loss": 1.0}, step=0)
