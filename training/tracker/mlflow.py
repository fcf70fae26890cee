"""Runs, metrics and the model registry in MLflow; by default a SQLite file in the outputs folder."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

os.environ.setdefault("MLFLOW_DISABLE_AUTO_LOGGING", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from recsys.clock import SystemClock
from recsys.errors import ConfigError
from training.protocols import Champion

MODEL = "attune"
CHAMPION = "champion"
_MOST_PARAM_LENGTH = 500


def local_uri(outputs: Path) -> str:
    """Where runs are tracked when nothing else is configured."""
    return f"sqlite:///{outputs.resolve() / 'mlflow.db'}"


class MlflowTracker:
    """One MLflow run at a time.

    Args:
        outputs: the run folder; the default store and artifacts lie in it.
        uri: tracking and registry address; None keeps both in `outputs`.
        experiment: name under which runs are collected.
    """

    def __init__(self, *, outputs: Path, uri: str | None = None, experiment: str = "attune") -> None:
        outputs.mkdir(parents=True, exist_ok=True)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store").setLevel(logging.WARNING)
        self.uri = uri or local_uri(outputs)
        self._experiment = experiment
        self._artifacts = None if uri else (outputs / "artifacts").resolve().as_uri()
        self._run: str | None = None
        try:
            self._client = MlflowClient(self.uri, self.uri)
            found = self._client.get_experiment_by_name(experiment)
            self._experiment_id = (
                found.experiment_id if found else self._client.create_experiment(experiment, self._artifacts)
            )
        except MlflowException as error:
            raise ConfigError(f"MLflow at {self.uri} does not answer ({error.message}); set tracker.uri") from error

    @contextmanager
    def run(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[None]:
        """Open a run; it ends FINISHED, or FAILED if the block raises."""
        run = self._client.create_run(self._experiment_id, run_name=name)
        self._run = run.info.run_id
        self._client.log_batch(
            self._run,
            params=[Param(key, str(value)[:_MOST_PARAM_LENGTH]) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        try:
            yield
        except BaseException:
            self._client.set_terminated(self._run, "FAILED")
            raise
        self._client.set_terminated(self._run, "FINISHED")

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Log metrics at a step."""
        now = _milliseconds()
        self._client.log_batch(self._opened(), [Metric(k, float(v), now, step) for k, v in values.items()])

    def artifacts(self, folder: Path, name: str) -> None:
        """Keep the files of a folder with the run, as artifacts below `name`."""
        self._client.log_artifacts(self._opened(), str(folder), name)

    def register(self, bundle: Path, *, version_tags: Mapping[str, str]) -> str | None:
        """Store the bundle with the run, register it as a version of the model and make it the champion."""
        run = self._opened()
        self._client.log_artifacts(run, str(bundle), "bundle")
        source = f"{self._client.get_run(run).info.artifact_uri}/bundle"
        if not _has_model(self._client):
            self._client.create_registered_model(MODEL)
        version = self._client.create_model_version(MODEL, source, run, tags=dict(version_tags))
        self._client.set_registered_model_alias(MODEL, CHAMPION, version.version)
        return str(version.version)

    def champion(self) -> Champion | None:
        """The version under the alias `champion`, if its files lie on this machine."""
        try:
            version = self._client.get_model_version_by_alias(MODEL, CHAMPION)
        except MlflowException:
            return None
        address = urlparse(str(version.source))
        if address.scheme not in ("", "file"):
            return None
        return Champion(str(version.version), Path(url2pathname(address.path)), dict(version.tags))

    def _opened(self) -> str:
        if self._run is None:
            raise ConfigError("no MLflow run is open; enter tracker.run(...) first")
        return self._run


def _has_model(client: MlflowClient) -> bool:
    return any(model.name == MODEL for model in client.search_registered_models(f"name = '{MODEL}'"))


def _milliseconds() -> int:
    return SystemClock().now() // 1_000
