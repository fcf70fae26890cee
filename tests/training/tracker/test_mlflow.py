"""Runs and the registry in MLflow, in a local SQLite file."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from recsys.errors import ConfigError, ReleaseError
from training.promotion import Because
from training.tracker.mlflow import CHAMPION, MODEL, MlflowTracker, local_uri


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "a-bundle").mkdir()
    (tmp_path / "a-bundle" / "spec.json").write_text("{}")
    return tmp_path / "a-bundle"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store for tests that tell their runs apart by name; making one takes a second or two."""
    return tmp_path_factory.mktemp("outputs")


def run_named(outputs: Path, name: str) -> Run:
    (found,) = MlflowClient(local_uri(outputs)).search_runs(["1"], f"run_name = '{name}'")
    return found


def test_a_run_keeps_settings_tags_and_figures(tmp_path: Path) -> None:
    tracker = MlflowTracker(outputs=tmp_path)
    with tracker.run("shop", {"model.dim": 64}, {"git_revision": "abc"}):
        tracker.log({"loss": 2.0}, step=1)
        tracker.log({"loss": 1.5}, step=2)
    (run,) = MlflowClient(local_uri(tmp_path)).search_runs(["1"])
    assert (run.info.status, run.data.params["model.dim"]) == ("FINISHED", "64")
    assert (run.data.tags["git_revision"], run.data.metrics["loss"]) == ("abc", 1.5)


def test_a_run_names_the_data_it_learns_from(shared: Path) -> None:
    tracker = MlflowTracker(outputs=shared)
    with tracker.run("data", {}, {}):
        tracker.dataset("tea shop", fingerprint="0123456789abcdef", counts={"events": 9})
    (used,) = [found.dataset for found in run_named(shared, "data").inputs.dataset_inputs]
    assert (used.name, used.digest, used.profile) == ("tea shop", "0123456789abcdef", '{"events": 9}')
    found = MlflowClient(local_uri(shared)).search_runs(["1"], "dataset.digest = '0123456789abcdef'")
    assert [run.info.run_name for run in found] == ["data"]


@pytest.mark.parametrize(("every_s", "least", "most"), [(0.05, 3, 50), (60, 1, 1), (0, 0, 0)])
def test_a_run_measures_the_machine_while_it_lasts_even_if_it_is_short(
    shared: Path, every_s: float, least: int, most: int
) -> None:
    name = f"every {every_s}"
    with MlflowTracker(outputs=shared, system_metrics_s=every_s).run(name, {}, {}):
        time.sleep(0.5)
    client, run = MlflowClient(local_uri(shared)), run_named(shared, name)
    for metric in ("system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"):
        assert least <= len(client.get_metric_history(run.info.run_id, metric)) <= most
    assert run.info.status == "FINISHED"


def test_a_run_that_breaks_is_marked_as_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), MlflowTracker(outputs=tmp_path).run("shop", {}, {}):
        _ = 1 / 0
    (run,) = MlflowClient(local_uri(tmp_path)).search_runs(["1"])
    assert run.info.status == "FAILED"


def test_each_registered_bundle_is_a_new_version_and_the_challenger(tmp_path: Path, bundle: Path) -> None:
    tracker = MlflowTracker(outputs=tmp_path / "outputs")
    assert tracker.champion() is None
    for number in ("1", "2"):
        with tracker.run("shop", {}, {}):
            assert tracker.register(bundle, version_tags={"recipe": f"r{number}"}) == number
    registry = MlflowTracker(outputs=tmp_path / "outputs").registry
    assert registry.champion() is None
    challenger = registry.challenger()
    assert challenger is not None
    assert (challenger.number, dict(challenger.tags)) == ("2", {"recipe": "r2"})
    assert challenger.bundle is not None
    assert (challenger.bundle / "spec.json").read_text() == "{}"
    assert (registry.find("1"), registry.find(challenger.run or "")) == (registry.find("1"), challenger)
    assert (registry.find("3"), registry.find("no such run"), registry.find("abc")) == (None, None, None)

    registry.promote(challenger, Because.now("it is better"))
    champion = tracker.champion()
    assert champion is not None
    assert champion.version == "2"
    assert registry.challenger() is None, "it is the champion now"
    client = MlflowClient(local_uri(tmp_path / "outputs"))
    assert str(client.get_model_version_by_alias(MODEL, CHAMPION).version) == "2"


def test_rollbacks_walk_back_through_the_champions_and_never_in_a_circle(tmp_path: Path, bundle: Path) -> None:
    tracker = MlflowTracker(outputs=tmp_path / "outputs", system_metrics_s=0)
    registry = tracker.registry
    with pytest.raises(ReleaseError, match="no champion, so there is nothing to roll back"):
        registry.roll_back(Because.now("why not"))
    with tracker.run("shop", {}, {}):
        for number in ("1", "2", "3"):
            assert tracker.register(bundle, version_tags={}) == number
    for number in ("1", "2", "3", "1"):
        version = registry.find(number)
        assert version is not None
        registry.promote(version, Because.now(f"turn of {number}"))
    walked = []
    for _ in range(3):
        gone, came = registry.roll_back(Because.now("it sold nothing"))
        walked.append((gone.number, came.number))
    assert walked == [("1", "3"), ("3", "2"), ("2", "1")]
    with pytest.raises(ReleaseError, match="version 1 is the champion and its tags name none before it"):
        registry.roll_back(Because.now("once more"))
    left = registry.find("3")
    assert left is not None
    assert left.tags["promoted_because"] == "turn of 3"
    assert left.tags["rolled_back_because"] == "it sold nothing"
    assert "@" in left.tags["rolled_back_by"]
    assert left.tags["rolled_back_at"].startswith("20")


def test_nothing_is_logged_outside_of_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no MLflow run is open"):
        MlflowTracker(outputs=tmp_path).log({"loss": 1.0}, step=0)


@pytest.mark.parametrize("module", ["training.tracker.mlflow", "serving.release"])
def test_mlflow_tells_nobody_that_it_is_used(module: str) -> None:
    program = (
        f"import {module}, os, mlflow.telemetry.utils as told; "
        "told._IS_IN_CI_ENV_OR_TESTING = False; print(told.is_telemetry_disabled())"
    )
    asked = ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY")
    bare = {name: value for name, value in os.environ.items() if name not in asked}
    done = subprocess.run([sys.executable, "-c", program], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
