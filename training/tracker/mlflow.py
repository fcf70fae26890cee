"""Runs, metrics and the model registry in MLflow; by default a SQLite file in the outputs folder."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_AUTO_LOGGING", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # what a shop trains is nobody else's business
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from mlflow.entities import Dataset, DatasetInput, Metric
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from recsys.clock import SystemClock
from recsys.errors import ConfigError
from training.promotion import CHAMPION
from training.protocols import Champion
from training.tracker.lineage import opened_run
from training.tracker.registry import MODEL, MlflowRegistry, local_path
from training.tracker.system import measured

BUNDLE = "bundle"
"""Where a run's artifacts hold the bundle."""


def local_uri(outputs: Path) -> str:
    """Where runs are tracked when nothing else is configured."""
    return f"sqlite:///{outputs.resolve() / 'mlflow.db'}"


class MlflowTracker:
    """One MLflow run at a time.

    Args:
        outputs: the run folder; the default store and artifacts lie in it.
        uri: tracking and registry address; None keeps both in `outputs`.
        experiment: name under which runs are collected.
        system_metrics_s: how often CPU, memory, disk, network and GPU are measured while a run lasts; 0: never.
    """

    keeps = True

    def __init__(
        self, *, outputs: Path, uri: str | None = None, experiment: str = "attune", system_metrics_s: float = 10.0
    ) -> None:
        outputs.mkdir(parents=True, exist_ok=True)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store").setLevel(logging.WARNING)
        self.uri = uri or local_uri(outputs)
        self._experiment = experiment
        self._system_metrics_s = system_metrics_s
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
        self.registry = MlflowRegistry(self._client, self.uri)

    @contextmanager
    def run(
        self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], *, key: str | None = None
    ) -> Iterator[None]:
        """Open a run, as a child where one is open; it ends FINISHED, or FAILED if the block raises."""
        outer = self._run
        run = opened_run(self._client, self._experiment_id, name, params=params, tags=tags, parent=outer, key=key)
        self._run = run
        try:
            with measured(self._run, uri=self.uri, every_s=self._system_metrics_s):
                yield
        except BaseException:
            self._client.set_terminated(run, "FAILED")
            raise
        finally:
            self._run = outer
        self._client.set_terminated(run, "FINISHED")

    def dataset(self, name: str, *, fingerprint: str, counts: Mapping[str, int]) -> None:
        """Name the data as the run's input, so that runs can be searched by it; `counts` are shown beside it."""
        used = Dataset(name, fingerprint, "local", json.dumps({"uri": name}), profile=json.dumps(dict(counts)))
        self._client.log_inputs(self._opened(), [DatasetInput(used)])

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Log metrics at a step."""
        now = _milliseconds()
        self._client.log_batch(self._opened(), [Metric(k, float(v), now, step) for k, v in values.items()])

    def artifacts(self, folder: Path, name: str) -> None:
        """Keep the files of a folder with the run, as artifacts below `name`."""
        self._client.log_artifacts(self._opened(), str(folder), name)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Say more about the run that is open."""
        for name, value in tags.items():
            self._client.set_tag(self._opened(), name, value)

    def register(self, bundle: Path, *, version_tags: Mapping[str, str]) -> str | None:
        """Store the bundle with the run and register it as a version of the model, the challenger."""
        run = self._opened()
        self._client.log_artifacts(run, str(bundle), BUNDLE)
        source = f"{self._client.get_run(run).info.artifact_uri}/{BUNDLE}"
        return self.registry.register(source, run, tags=version_tags).number

    def champion(self) -> Champion | None:
        """The version under the alias `champion`, if its files lie on this machine."""
        version = self.registry.champion()
        if version is None or version.bundle is None:
            return None
        return Champion(version.number, version.bundle, version.tags)

    def bundle(self, run: str) -> Path | None:
        """The bundle among the artifacts of a run, if they lie on this machine."""
        try:
            bundle = local_path(f"{self._client.get_run(run).info.artifact_uri}/{BUNDLE}")
        except MlflowException:
            return None
        return bundle if bundle is not None and bundle.is_dir() else None

    def _opened(self) -> str:
        if self._run is None:
            raise ConfigError("no MLflow run is open; enter tracker.run(...) first")
        return self._run


def _milliseconds() -> int:
    return SystemClock().now() // 1_000


__all__ = ["BUNDLE", "CHAMPION", "MODEL", "MlflowTracker", "local_uri"]
