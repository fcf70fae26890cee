"""The Ray Serve application: one deployment on the hot path, so that a request crosses no further process, unless the
encoder is told to run apart.

`build` also serves `serve run` and KubeRay files: `import_path: serving.app:build`, `args: {bundle: ..., store: ...}`.
"""

import gc
import hashlib
import logging
import os
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import ray
import torch
from fastapi import FastAPI
from hydra.utils import instantiate
from pydantic import JsonValue
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig
from starlette.types import ASGIApp, Receive, Scope, Send

from recsys.clock import ShiftedClock
from recsys.recommender import Recommender
from serving import internal_port
from serving.api.application import create_app
from serving.arguments import ServeArgs
from serving.encoding.protocol import Encoding
from serving.janitor import MARK
from serving.security.guard import Guard
from serving.service import Loaded, Service
from serving.watching.logs import ToServer, configure
from serving.watching.lookout import Lookout
from serving.watching.replicas import private

NAME = "attune"
_SWITCH_S = 0.0005
"""How long the thread that makes answers may keep the interpreter from the one that talks to clients; Python's own 5 ms
are paid at every step of every request."""
_log = logging.getLogger("attune.app")
_ENCODINGS = {"plain": "TEXT", "json": "JSON"}
"""How Ray Serve calls the formats of its own log."""


def build(args: ServeArgs) -> Application:
    """The application, ready for `serve.run`."""
    deployment = Shop.options(  # type: ignore[attr-defined]
        num_replicas=args.replicas if args.most_replicas is None else None,
        autoscaling_config=_following_the_load(args),
        max_replicas_per_node=args.replicas_per_node,
        ray_actor_options={"num_cpus": args.threads},
        max_ongoing_requests=2 * args.max_concurrent,
        max_queued_requests=args.max_concurrent,
        logging_config=LoggingConfig(encoding=_ENCODINGS[args.log_format], enable_access_log=False),
    )
    encoding: Encoding = instantiate(args.encoding)
    encoder = encoding.application(args.bundle, loopback=args.loopback)
    return deployment.bind(args.model_dump(mode="json"), encoder)  # type: ignore[no-any-return]


def _following_the_load(args: ServeArgs) -> AutoscalingConfig | None:
    """How Ray Serve changes the number of replicas; None where it is fixed."""
    if args.most_replicas is None:
        return None
    with warnings.catch_warnings():  # Ray 2.60 announces another way to say how often, and does not have it yet
        warnings.simplefilter("ignore", DeprecationWarning)
        return AutoscalingConfig(
            min_replicas=args.replicas,
            initial_replicas=args.replicas,
            max_replicas=args.most_replicas,
            target_ongoing_requests=args.target_ongoing,
            upscale_delay_s=args.scale_up_after_s,
            downscale_delay_s=args.scale_down_after_s,
            metrics_interval_s=1.0,
            look_back_period_s=5.0,
        )


@serve.deployment(
    name=NAME,
    health_check_period_s=2,
    health_check_timeout_s=10,
    graceful_shutdown_wait_loop_s=0.2,
    graceful_shutdown_timeout_s=10,
    max_constructor_retry_count=3,
)
@serve.ingress()
class Shop:
    """One replica. Ray Serve calls `__serve_build_asgi_app__` once it is constructed and runs the app's lifespan."""

    def __init__(self, settings: dict[str, JsonValue], encoder: DeploymentHandle[Any] | None = None) -> None:
        args = ServeArgs.model_validate(settings)
        if args.folder is not None:
            os.chdir(args.folder)
        if args.loopback:
            internal_port.keep_private()
        _name_requests_ourselves()
        folder = _meeting_place()
        configure(args.log_format, handlers=[ToServer(folder.parent / "log")])
        sys.setswitchinterval(_SWITCH_S)
        torch.set_num_threads(args.threads)
        faiss.omp_set_num_threads(args.threads)
        self._max_concurrent = args.max_concurrent
        load = partial(_loaded, encoding=instantiate(args.encoding), encoder=encoder)
        loaded = load(args.bundle)
        store = instantiate(args.store)
        self._guard = Guard(instantiate(args.security), store, on_loopback=args.private)
        self._service = Service(
            loaded.recommender,
            store,
            clock=ShiftedClock(args.clock_shift),
            rng=np.random.default_rng(args.seed),
            history_limit=loaded.history_limit,
            largest_batch=args.largest_batch,
            deadline_s=args.deadline_ms / 1_000,
            store_timeout_s=args.store_timeout_ms / 1_000,
            consent=args.consent.rules(),
            experiments=args.running_experiments(),
            folder=args.bundle,
            load=load if args.follow else None,
            lookout=Lookout(folder, host=args.metrics_host, port=args.metrics_port),
        )

        # What was just loaded stays for good; the collector need not walk through it while shoppers wait.
        gc.collect()
        gc.freeze()

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._service, max_concurrent=self._max_concurrent, guard=self._guard)


def _loaded(folder: Path, *, encoding: Encoding, encoder: DeploymentHandle[Any] | None) -> Loaded:
    """The release in a folder, ready to be served."""
    recommender = encoding.reading(Recommender.load(folder).on_offer(), folder, encoder)
    return Loaded(folder, recommender, recommender.features.memory)


def _meeting_place() -> Path:
    """The folder in which the replicas of this application on this machine find each other."""
    server = os.environ.get(MARK)
    if server is not None:
        return Path(server) / "replicas"
    application = f"{ray.get_runtime_context().gcs_address} {serve.get_replica_context().app_name}"
    digest = hashlib.sha256(application.encode()).hexdigest()[:12]
    ours = Path(tempfile.gettempdir(), f"attune-{os.getuid()}-{digest}")
    private(ours)
    return ours / "replicas"


class _Unnamed:
    """In place of Ray Serve's own layer for request ids."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _name_requests_ourselves() -> None:
    """Keep Ray Serve from naming requests: its layer repeats whatever id was sent, beside the one in the answer.

    `serving.watching.request` takes over sane ones only. Ray Serve's own proxy, where HAProxy is not to be had, still
    adds its header.
    """
    from ray.serve._private import http_util

    http_util.RequestIdMiddleware = _Unnamed  # type: ignore[assignment,misc]
