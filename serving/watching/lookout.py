"""Everything through which one replica is seen: its meter, its latest troubles, its siblings, the metrics' port."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from serving.watching.exposition import MetricsPort, told
from serving.watching.logs import Troubles
from serving.watching.meter import Meter
from serving.watching.replicas import Replicas, Report
from serving.watching.status import percentiles

_ROOT = logging.getLogger("attune")


class Lookout:
    """Made before the service, opened with it.

    Args:
        folder: where the replicas of this machine meet; None for one that is alone.
        host, port: where the metrics of all of them are served without going through the application; None is nowhere.
    """

    def __init__(self, folder: Path | None = None, *, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.meter = Meter()
        self.replicas = Replicas(folder, self._tell)
        self._troubles = Troubles()
        self._about: Callable[[], Mapping[str, object]] = dict
        self._port: MetricsPort | None = None
        if folder is not None and port is not None:
            self._port = MetricsPort(self.replicas, host=host, port=port, folder=folder)

    def open(self, about: Callable[[], Mapping[str, object]]) -> None:
        """Begin to be seen; `about` says, in JSON, what the replica is made of."""
        self._about = about
        _ROOT.addHandler(self._troubles)
        self.replicas.open()
        if self._port is not None:
            self._port.open()

    def close(self) -> None:
        """Be seen no more."""
        if self._port is not None:
            self._port.close()
        self.replicas.close()
        _ROOT.removeHandler(self._troubles)

    def _tell(self) -> Report:
        lately = {stage.value: percentiles(took_s) for stage, took_s in self.meter.lately().items()}
        return {
            "about": dict(self._about()),
            "lately": lately,
            "newest": percentiles(self.meter.newest()),
            "troubles": list(self._troubles.lines),
            "metrics": told(self.meter.registry),
        }
