"""Versions of the model and their aliases, in MLflow's registry."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from recsys.errors import ReleaseError
from training.promotion import CHALLENGER, CHAMPION, REPLACED, Because, Version, former, line_after

MODEL = "attune"


class MlflowRegistry:
    """The versions of the one model; every failure is a ReleaseError.

    Whoever changes the champion writes the tags first and moves the alias then: a process that dies in between leaves
    the champion that was, and the next attempt writes the same tags again.
    """

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self._client = client
        self._uri = uri

    def register(self, source: str, run: str, *, tags: Mapping[str, str]) -> Version:
        """A new version, whose bundle lies at the address `source`, as the challenger."""
        with self._answering():
            if self._aliases() is None:
                self._client.create_registered_model(MODEL)
            made = self._client.create_model_version(MODEL, source, run, tags=dict(tags))
            self._client.set_registered_model_alias(MODEL, CHALLENGER, str(made.version))
        return _version(made)

    def champion(self) -> Version | None:
        """The version under the alias `champion`."""
        return self._under(CHAMPION)

    def challenger(self) -> Version | None:
        """The version under the alias `challenger`."""
        return self._under(CHALLENGER)

    def find(self, named: str) -> Version | None:
        """The version of this number, or the latest one that the run of this id registered."""
        with self._answering():
            if self._aliases() is None:
                return None
            wanted = f"name = '{MODEL}'" + ("" if named.isdecimal() else f" and run_id = '{named}'")
            known = self._client.search_model_versions(wanted) if named.isalnum() else []
        found = [one for one in known if not named.isdecimal() or str(one.version) == named]
        return _version(max(found, key=lambda one: int(one.version))) if found else None

    def of_bundle(self, digest: str) -> Version | None:
        """The latest version whose bundle has this digest."""
        with self._answering():
            known = self._client.search_model_versions(f"name = '{MODEL}'") if self._aliases() is not None else []
        found = [one for one in known if one.tags.get("bundle") == digest]
        return _version(max(found, key=lambda one: int(one.version))) if found else None

    def promote(self, version: Version, because: Because) -> None:
        """Make a version the champion; the one before it is remembered."""
        champion = self.champion()
        told = because.tags("promoted") | {REPLACED: ",".join(line_after(champion))}
        with self._answering():
            self._tag(version.number, told)
            self._client.set_registered_model_alias(MODEL, CHAMPION, version.number)
            if str((self._aliases() or {}).get(CHALLENGER)) == version.number:
                self._client.delete_registered_model_alias(MODEL, CHALLENGER)

    def roll_back(self, because: Because) -> tuple[Version, Version]:
        """Make the champion before the present one the champion again; gives the one that went and the one that came.

        Raises:
            ReleaseError: there is none before it, or it is not in the registry any more.
        """
        gone = self.champion()
        number = former(gone)
        came = self.find(number)
        if gone is None or came is None:
            raise ReleaseError(f"version {number}, the champion before, is not in the registry at {self._uri} any more")
        with self._answering():
            self._tag(came.number, {REPLACED: ",".join(gone.replaced[1:])})
            self._tag(gone.number, because.tags("rolled_back"))
            self._client.set_registered_model_alias(MODEL, CHAMPION, came.number)
        return gone, came

    def refuse(self, version: Version, because: Because) -> None:
        """Note on a version why it did not become the champion."""
        with self._answering():
            self._tag(version.number, because.tags("refused"))

    def _tag(self, number: str, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            self._client.set_model_version_tag(MODEL, number, name, value)

    def _under(self, alias: str) -> Version | None:
        with self._answering():
            number = (self._aliases() or {}).get(alias)
            return None if number is None else _version(self._client.get_model_version(MODEL, str(number)))

    def _aliases(self) -> Mapping[str, str | int] | None:
        """Every alias with its version; None where there is no model yet."""
        found = self._client.search_registered_models(f"name = '{MODEL}'")
        return next((dict(model.aliases) for model in found), None)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except MlflowException as error:
            raise ReleaseError(
                f"the model registry at {self._uri} refused or does not answer ({error.message}); set tracker.uri, or "
                "try again when it is back"
            ) from error


def local_path(uri: str) -> Path | None:
    """The local path of an address, None where it is elsewhere."""
    address = urlparse(uri)
    return Path(url2pathname(address.path)) if address.scheme in ("", "file") else None


def _version(found: ModelVersion) -> Version:
    return Version(
        number=str(found.version),
        bundle=local_path(str(found.source)),
        run=str(found.run_id) if found.run_id else None,
        tags=dict(found.tags),
    )
