"""From what is to be served ("the champion", "version 7", "this folder") to a bundle's directory on this machine.

The registry is used for files and names only: nothing in it is ever executed, and the bundle's own manifest of SHA-256
digests is checked when it is loaded.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from recsys.errors import ReleaseError

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported: nobody is told of its use

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


class Release:
    """A bundle's directory (`bundle`), or a model in an MLflow registry by `version` or, without one, by `alias`.

    What a registry keeps elsewhere is fetched into `copies`, once for each version.
    """

    def __init__(
        self,
        *,
        bundle: str | Path | None = None,
        tracking_uri: str | None = None,
        model: str = "attune",
        alias: str = "champion",
        version: int | str | None = None,
        copies: str | Path = "outputs/releases",
    ) -> None:
        self._bundle = None if bundle is None else Path(bundle)
        self._tracking_uri = tracking_uri
        self._model = model
        self._alias = alias
        self._version = None if version is None else str(version)
        self._copies = Path(copies)
        self._client: MlflowClient | None = None
        self._kept: tuple[str, Path] | None = None

    @property
    def moves(self) -> bool:
        """Whether it may name another bundle later: an alias does."""
        return self._bundle is None and self._version is None

    def resolve(self) -> Path:
        """The bundle's directory, absolute; raises ReleaseError saying what there is instead."""
        if self._bundle is not None:
            if not self._bundle.is_dir():
                raise ReleaseError(f"there is no folder {self._bundle.absolute()}; train, or correct release.bundle")
            return self._bundle.absolute()
        return self._download()

    def _download(self) -> Path:
        self._refuse_missing_registry()
        import mlflow  # takes seconds, and whoever serves a folder does not need it
        from mlflow.exceptions import MlflowException

        if self._client is None:
            self._client = mlflow.MlflowClient(tracking_uri=self._tracking_uri, registry_uri=self._tracking_uri)
        try:
            found = self._find(self._client)
        except MlflowException as failure:
            raise ReleaseError(self._what_is_there(self._client)) from failure
        if self._kept is None or self._kept[0] != str(found.version):
            self._kept = str(found.version), self._fetched(found)
        return self._kept[1]

    def _fetched(self, found: "ModelVersion") -> Path:
        """Where the version's bundle lies on this machine, fetched if it lies elsewhere."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        elsewhere = urlparse(str(found.source)).scheme not in ("", "file")
        folder = self._copies / f"{self._model}-{found.version}"
        try:
            if not elsewhere:
                path = download_artifacts(artifact_uri=found.source, tracking_uri=self._tracking_uri)
                return Path(path).absolute()
            if not folder.is_dir():
                partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                path = download_artifacts(
                    artifact_uri=found.source, tracking_uri=self._tracking_uri, dst_path=str(partial)
                )
                Path(path).rename(folder)
                shutil.rmtree(partial, ignore_errors=True)
        except (MlflowException, OSError) as failure:
            raise ReleaseError(
                f"version {found.version} of {self._model!r} points to {found.source}, which cannot be read: {failure}"
            ) from failure
        return folder.absolute()

    def _refuse_missing_registry(self) -> None:
        """MLflow would create an empty registry where there is none, and then report something else."""
        path = (self._tracking_uri or "").removeprefix("sqlite:///")
        if path != self._tracking_uri and not Path(path).is_file():
            raise ReleaseError(
                f"there is no registry at {Path(path).absolute()}; train first (python -m training.train), "
                "or name a bundle with release.bundle=FOLDER"
            )

    def _find(self, client: "MlflowClient") -> "ModelVersion":
        if self._version is not None:
            return client.get_model_version(self._model, self._version)
        return client.get_model_version_by_alias(self._model, self._alias)

    def _what_is_there(self, client: "MlflowClient") -> str:
        from mlflow.exceptions import MlflowException

        try:
            versions = client.search_model_versions(f"name = '{self._model}'")
        except MlflowException as failure:
            return f"the registry {self._tracking_uri} does not answer: {failure}"
        if not versions:
            return f"the registry {self._tracking_uri} holds no model {self._model!r}; train one, or set release.bundle"
        numbers = ", ".join(str(number) for number in sorted(int(version.version) for version in versions))
        wanted = f"version {self._version}" if self._version is not None else f"alias {self._alias!r}"
        return f"model {wanted} of {self._model!r} does not exist; existing versions: {numbers}"
