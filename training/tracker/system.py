"""CPU, memory, disk, network and GPU while a run lasts, by MLflow's own monitor.

`mlflow.start_run` starts that monitor by itself, but only for the fluent interface with its global state; runs made
by a client, as here, have to start it. See https://mlflow.org/docs/latest/ml/tracking/system-metrics/.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


@contextmanager
def measured(run: str, *, uri: str, every_s: float) -> Iterator[None]:
    """Log `system/...` metrics of the run every `every_s` seconds, and once at its end, so that short runs have them
    too; 0 seconds: none. GPUs are measured where `nvidia-ml-py` is installed."""
    if not every_s:
        yield
        return
    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
    monitor = SystemMetricsMonitor(run, sampling_interval=every_s, tracking_uri=uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
        monitor.collect_metrics()
        monitor.publish_metrics(monitor.aggregate_metrics())
        monitor.mlflow_logger.flush()
