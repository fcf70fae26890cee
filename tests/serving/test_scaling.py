"""How many replicas there are, where, and how that follows the load."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from serving.app import build
from serving.arguments import ServeArgs
from serving.launch import assemble
from tests.serving.live import LiveServer
from tests.serving.test_crash import replicas, until
from tests.serving.test_launch import settings


def args_of(**more: object) -> ServeArgs:
    return ServeArgs.model_validate({"bundle": "/srv/bundle", "store": {"_target_": "x"}, **more})


def test_the_number_of_replicas_is_fixed_unless_a_most_is_given(tiny_bundle: Path, tmp_path: Path) -> None:
    _, args = assemble(settings(tiny_bundle, tmp_path, "app.replicas=3", "app.replicas_per_node=2"))
    deployment = build(args)._bound_deployment
    assert deployment.num_replicas == 3
    assert deployment._deployment_config.autoscaling_config is None
    assert deployment._replica_config.max_replicas_per_node == 2


def test_every_setting_of_scaling_reaches_ray_serve(tiny_bundle: Path, tmp_path: Path) -> None:
    overrides = ("app.replicas=2", "app.most_replicas=5", "app.target_ongoing=12")
    _, args = assemble(
        settings(tiny_bundle, tmp_path, *overrides, "app.scale_up_after_s=1", "app.scale_down_after_s=60")
    )
    scaling = build(args)._bound_deployment._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.initial_replicas, scaling.max_replicas) == (2, 2, 5)
    assert scaling.target_ongoing_requests == 12
    assert (scaling.upscale_delay_s, scaling.downscale_delay_s) == (1, 60)


def test_a_most_below_the_fewest_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"most_replicas=1 is below replicas=2, which is the fewest; raise it"):
        args_of(replicas=2, most_replicas=1)


@pytest.fixture
def growing(tiny_bundle: Path, tmp_path: Path) -> Iterator[LiveServer]:
    """A server of one replica, or two where one has more than two requests at a time."""
    scaling = ("app.most_replicas=2", "app.target_ongoing=2", "app.scale_up_after_s=1", "app.scale_down_after_s=1")
    server = LiveServer(tiny_bundle, tmp_path, *scaling)
    server.start()
    server.wait_until_ready()
    yield server
    server.stop()


@pytest.mark.slow
def test_a_second_replica_comes_with_the_load_and_goes_with_it_and_nobody_is_refused(growing: LiveServer) -> None:
    stop, statuses = threading.Event(), set[int]()

    def ask() -> None:
        with httpx.Client(base_url=growing.url, timeout=30) as http:
            while not stop.is_set():
                statuses.add(http.post("/v1/recommendations", json={"count": 100}).status_code)

    assert len(replicas(growing)) == 1
    shoppers = [threading.Thread(target=ask) for _ in range(12)]
    for shopper in shoppers:
        shopper.start()
    try:
        until(lambda: len(replicas(growing)) == 2, timeout_s=60, what="a second replica")
        time.sleep(2)
    finally:
        stop.set()
        for shopper in shoppers:
            shopper.join()
    assert statuses == {200}
    until(lambda: len(replicas(growing)) == 1, timeout_s=60, what="one replica to go")
