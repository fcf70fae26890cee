"""From a name in the registry, or a folder, to the bundle's directory."""

from pathlib import Path

import mlflow
import pytest

from recsys.errors import ReleaseError
from serving.release import Release


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry with two versions of `attune`; the first is the champion."""
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.create_experiment("attune", artifact_location=(folder / "artifacts").as_uri())
    client.create_registered_model("attune")
    for number in (1, 2):
        bundle = folder / f"made-{number}" / "bundle"
        bundle.mkdir(parents=True)
        (bundle / "spec.json").write_text(f'{{"number": {number}}}')
        run = client.create_run(experiment)
        client.log_artifacts(run.info.run_id, str(bundle), "bundle")
        client.create_model_version("attune", f"{run.info.artifact_uri}/bundle", run.info.run_id)
    client.set_registered_model_alias("attune", "champion", "1")
    return uri


def number_in(bundle: Path) -> str:
    return (bundle / "spec.json").read_text()


def test_the_champion_is_found_by_its_alias(registry: str) -> None:
    assert number_in(Release(tracking_uri=registry).resolve()) == '{"number": 1}'


def test_a_version_takes_precedence_over_the_alias(registry: str) -> None:
    assert number_in(Release(tracking_uri=registry, version=2).resolve()) == '{"number": 2}'


def test_a_version_that_does_not_exist_is_refused_with_those_that_do(registry: str) -> None:
    with pytest.raises(ReleaseError, match=r"version 99 of 'attune' does not exist; existing versions: 1, 2"):
        Release(tracking_uri=registry, version=99).resolve()


def test_an_alias_that_does_not_exist_is_refused_with_the_versions(registry: str) -> None:
    with pytest.raises(ReleaseError, match=r"alias 'challenger' of 'attune' does not exist; existing versions: 1, 2"):
        Release(tracking_uri=registry, alias="challenger").resolve()


def test_a_model_that_does_not_exist_is_refused(registry: str) -> None:
    with pytest.raises(ReleaseError, match="holds no model 'other'"):
        Release(tracking_uri=registry, model="other").resolve()


def test_without_a_registry_the_message_says_to_train_and_none_is_created(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="train first"):
        Release(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db").resolve()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_taken_as_it_is_without_asking_any_registry(tmp_path: Path) -> None:
    assert Release(bundle=tmp_path, tracking_uri="sqlite:////nowhere/mlflow.db").resolve() == tmp_path


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no folder"):
        Release(bundle=tmp_path / "bundle").resolve()
