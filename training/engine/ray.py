"""The engine for many cores or many machines: every step is a Ray Data pipeline over its tasks.

The steps are those of the local engine; what they hand on to each other lies in the log's folder, so on a cluster that
folder (and the source's files) must be on storage that all machines see. Parts are read at the same time; the log that
comes of it is the same.

Ray reads its settings from the environment while it is imported, so it is imported only when it is started.
"""

import contextlib
import logging
import os
import secrets
import shutil
import site
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from recsys.errors import ConfigError, RecsysError
from recsys.log.engine import Engine
from recsys.log.intake import ArrivingPart

if TYPE_CHECKING:
    import ray

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
_SHARES_PER_CORE = 4
_MIB = 1 << 20
_TOKEN = secrets.token_hex(32)
"""Ray remembers the first token of a process, so every private Ray that this process starts has the same."""


@dataclass(slots=True, kw_only=True)
class RayEngine:
    """Starts a private Ray on this machine with its first task, or joins a cluster, and leaves it at the end of `with`.

    Args:
        address: "local" for a private Ray; else the cluster to join, such as ray://head:10001 or auto.
        cores: of a private Ray; None takes all.
        object_store_mib: of a private Ray: tasks and results pass through it, rows do not.
    """

    address: str = LOCAL
    cores: int | None = None
    object_store_mib: int = 100
    _folder: Path | None = field(default=None, init=False)
    _environment: dict[str, str] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.cores is not None and self.cores < 1:
            raise ConfigError(f"engine.cores is {self.cores}; give at least 1, or null for all")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def run(self, step: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """The results, in the order of the tasks."""
        if not tasks:
            return
        self.start()
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        numbers = ray.data.range(len(tasks), override_num_blocks=len(tasks))
        for row in numbers.map(_Step(step, ray.put(list(tasks)))).iter_rows():
            if isinstance(row["error"], RecsysError):
                raise row["error"]
            yield row["result"]

    def shares(self, parts: Sequence[ArrivingPart]) -> Sequence[tuple[ArrivingPart, ...]]:
        """A few neighbouring parts for each task."""
        if not parts:
            return []
        self.start()
        import ray

        cores = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        count = min(len(parts), cores * _SHARES_PER_CORE)
        bounds = [len(parts) * number // count for number in range(count + 1)]
        return [tuple(parts[begin:end]) for begin, end in pairwise(bounds)]

    def start(self) -> None:
        """Start or join Ray, if that has not been done."""
        if self._environment is not None:
            return
        self._environment = dict(os.environ)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the private Ray and remove its files, or leave the cluster."""
        if self._environment is None:
            return
        import ray

        ray.shutdown()
        os.environ.clear()
        os.environ.update(self._environment)
        self._environment = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _start(self) -> None:
        if self.address != LOCAL:
            import ray

            ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR, namespace="attune")
            return
        if "ray" in sys.modules and not _knows_our_settings():
            raise ConfigError(
                "Ray was imported in this process before engine=ray was started, and reads its settings then only; "
                "start the engine first, or in a process of its own"
            )
        # Socket paths below it are limited to about a hundred characters.
        self._folder = Path(tempfile.mkdtemp(prefix="attune-", dir="/tmp" if os.access("/tmp", os.W_OK) else None))
        os.environ.update(
            {
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": _TOKEN,
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
                # Despite its name this keeps Ray's own ports on loopback on every system.
                "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
                "PYTHONPATH": os.pathsep.join(_import_path()),
            }
        )
        # Ray puts the current folder first on its workers' import path; a folder `training` in it would hide ours.
        with contextlib.chdir(self._folder):
            import ray

            if ray.is_initialized():
                raise ConfigError("this process is connected to a Ray already; set engine.address to join it")
            ray.init(
                address=LOCAL,
                _temp_dir=str(self._folder / "ray"),
                num_cpus=self.cores,
                object_store_memory=self.object_store_mib * _MIB,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                namespace="attune",
            )


def _knows_our_settings() -> bool:
    """Whether the Ray that is imported already asks for tokens, as one does that an engine imported."""
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    return bool(is_token_auth_enabled())


@dataclass(frozen=True, slots=True)
class _Step:
    """Runs a step on the task whose number is in a row; a deliberate error comes back as it is, not wrapped by Ray."""

    step: Callable[[Any], Any]
    tasks: "ray.ObjectRef[list[Any]]"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray

        try:
            return {"result": self.step(ray.get(self.tasks)[row["id"]]), "error": None}
        except RecsysError as error:
            return {"result": None, "error": error}


def _import_path() -> Iterator[str]:
    """Where workers shall look first: the folder this very package came from, unless they look there anyway."""
    ours = str(Path(__file__).resolve().parents[2])
    if ours not in site.getsitepackages():
        yield ours
    if os.environ.get("PYTHONPATH"):
        yield os.environ["PYTHONPATH"]
