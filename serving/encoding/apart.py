"""The encoder runs in a deployment of its own, so that one GPU serves many replicas; batches are formed there.

A further hop costs milliseconds on a CPU machine (the benchmark `serving` tells how many): it is for models that a CPU
cannot run in time. Histories are read as a whole, since what is remembered of a shopper lies with one replica.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recsys.errors import ConfigError, EncoderError, RecsysError
from recsys.feature.spec import FeatureSpec
from recsys.recommender import Recommender
from recsys.sequence.question import question_stream
from recsys.state import ShopperState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

_LOADING_S = 120.0
_REST_S = 1.0
"""How long nobody asks after a failure: whoever waits meanwhile is answered without the model at once."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Settings of the encoder's own deployment.

    Attributes:
        device: as torch calls it: `cuda`, `cpu`.
        replicas: how many encoders share the work.
        gpus: how many GPUs each of them takes (a share is allowed); None is one on a GPU, else none.
        threads: cores of each.
        timeout_ms: how long a replica waits for its vectors before it answers without the model.
        largest_batch: how many calls, each of up to `app.largest_batch` shoppers, are encoded in one go.
    """

    device: str = "cuda"
    replicas: int = 1
    gpus: float | None = None
    threads: int = 1
    timeout_ms: int = 300
    largest_batch: int = 16

    def check(self) -> None:
        """Raise ConfigError where the device is not to be had."""
        try:
            torch.empty(1, device=self.device)
        except (RuntimeError, AssertionError) as failure:
            raise ConfigError(
                f"encoding.device={self.device} cannot be used here ({str(failure).splitlines()[0]}); choose "
                "encoding=inside, or encoding.device=cpu to try it out"
            ) from failure

    def application(self, bundle: Path, *, loopback: bool) -> "Application | None":
        """The deployment of the encoder."""
        from serving.encoding.deployment import Encoder

        on_gpu = torch.device(self.device).type == "cuda"
        gpus = float(on_gpu) if self.gpus is None else self.gpus
        deployment = Encoder.options(  # type: ignore[attr-defined]
            num_replicas=self.replicas, ray_actor_options={"num_cpus": self.threads, "num_gpus": gpus}
        )
        settings = {"device": self.device, "threads": self.threads, "largest_batch": self.largest_batch}
        return deployment.bind(str(bundle), loopback=loopback, **settings)  # type: ignore[no-any-return]

    def reading(self, recommender: Recommender, folder: Path, handle: "DeploymentHandle[Any] | None") -> Recommender:
        """The recommender, which asks the deployment; every encoder has loaded the release then."""
        if handle is None:
            raise ConfigError("encoding=apart needs its deployment; start it with serving.app.build")
        try:
            with ThreadPoolExecutor(1) as aside:  # a replica is constructed on an event loop, where Ray does not wait
                versions = aside.submit(_prepared, handle, folder).result()
        except Exception as failure:
            raise EncoderError(f"the encoder's deployment did not load {folder}: {failure}") from failure
        if versions != {recommender.model_version}:
            raise EncoderError(
                f"the encoder's deployment read {sorted(versions)} in {folder}, here it is {recommender.model_version}"
            )
        reader = AskingReader(handle, folder, recommender.features, timeout_s=self.timeout_ms / 1_000)
        return replace(recommender, reader=reader)


def _prepared(handle: "DeploymentHandle[Any]", folder: Path) -> set[str]:
    """Have every encoder load a release; the version each of them read."""
    return set(handle.broadcast("prepare", str(folder)).results(timeout_s=_LOADING_S))


class AskingReader:
    """Query vectors from the encoder's deployment; blocks, for no longer than the timeout."""

    def __init__(
        self, handle: "DeploymentHandle[Any]", folder: Path, features: FeatureSpec, *, timeout_s: float
    ) -> None:
        self._handle = handle
        self._folder = str(folder)
        self._features = features
        self._timeout_s = timeout_s
        self._rests_until = 0.0

    def encode(self, states: "Sequence[ShopperState]") -> np.ndarray:
        """Query vectors [B, D] float32 of shoppers [B].

        Raises:
            EncoderError: there are none in time, or there were none a moment ago.
        """
        if time.perf_counter() < self._rests_until:
            raise EncoderError("the encoder's deployment failed a moment ago; it is asked again in a second")
        stream = question_stream(states, self._features)
        try:
            return np.asarray(self._handle.encode.remote(self._folder, stream).result(timeout_s=self._timeout_s))
        except RecsysError:
            raise
        except Exception as failure:
            self._rests_until = time.perf_counter() + _REST_S
            raise EncoderError(
                f"the encoder's deployment gave no vectors within {self._timeout_s:g} s: {failure!r}"
            ) from failure

    def forget(self, whose: "Callable[[str], bool]") -> None:
        """Nothing is kept here."""
