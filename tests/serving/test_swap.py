"""The registry's alias moves while a real server with two replicas answers: nobody notices but by the version."""

import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from recsys.bundle import read_bundle, write_bundle
from tests.serving.live import LiveServer, ask, tell
from training.promotion import Because
from training.tracker.mlflow import MlflowTracker


def registered(tracker: MlflowTracker, bundle: Path) -> str:
    with tracker.run("a run", {}, {}):
        number = tracker.register(bundle, version_tags={})
    assert number is not None
    return number


def until(http: httpx.Client, version: str, *, timeout_s: float = 30) -> None:
    """Both replicas name the version."""
    replicas: dict[str, str] = {}
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        ready = http.get("/readyz").json()
        replicas[ready["replica"]] = ready["model_version"]
        if len(replicas) == 2 and set(replicas.values()) == {version}:
            return
        time.sleep(0.05)
    raise AssertionError(f"{version} is not served: {replicas}")


def said_of_registry(http: httpx.Client, *, timeout_s: float = 30) -> str:
    """What readiness says of the registry once it was asked for the first time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if said := http.get("/readyz").json()["registry"]:
            return str(said)
        time.sleep(0.05)
    raise AssertionError("the registry was not asked")


@pytest.mark.slow
def test_a_moved_alias_is_followed_without_a_failed_question_and_back_again(tiny_bundle: Path, tmp_path: Path) -> None:
    first = read_bundle(tiny_bundle)
    other = write_bundle(replace(first, facts={**first.facts, "note": "another"}), tmp_path / "other", metrics={})
    tracker = MlflowTracker(outputs=tmp_path / "outputs", system_metrics_s=0)
    numbers = [registered(tracker, bundle) for bundle in (tiny_bundle, tmp_path / "other")]
    old, young = (tracker.registry.find(number) for number in numbers)
    assert old is not None
    assert young is not None
    tracker.registry.promote(old, Because.now("the first"))
    settings = ("release.bundle=null", f"release.tracking_uri={tracker.uri}", "follow_every_s=0.3", "app.replicas=2")
    server = LiveServer(tiny_bundle, tmp_path / "server", *settings)
    server.start()
    stop, versions, faults, took = threading.Event(), Counter[str](), [], []

    def shop(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=10) as http:
            tell(http, "view", "item-017", anonymous_id=f"visitor-{number}")
            while not stop.is_set():
                began = time.perf_counter()
                try:
                    answer = ask(http, shopper={"anonymous_id": f"visitor-{number}"}, count=10)
                    assert answer["knowledge"] == "session", "the visit survives"
                except (AssertionError, httpx.HTTPError) as fault:
                    faults.append(repr(fault))
                else:
                    versions[answer["model_version"]] += 1
                    took.append(time.perf_counter() - began)
                time.sleep(0.02)

    try:
        server.wait_until_ready()
        with httpx.Client(base_url=server.url, timeout=10) as http:
            until(http, first.model_version)
            assert said_of_registry(http).startswith("asked at")
            shoppers = [threading.Thread(target=shop, args=(number,)) for number in range(4)]
            for shopper in shoppers:
                shopper.start()
            tracker.registry.promote(young, Because.now("it is better"))
            until(http, other.model_version)
            tracker.registry.roll_back(Because.now("it was not"))
            until(http, first.model_version)
            stop.set()
            for shopper in shoppers:
                shopper.join()
    finally:
        stop.set()
        server.stop()
    assert not faults, faults[:3]
    assert set(versions) == {first.model_version, other.model_version}
    assert float(np.quantile(took, 0.99)) < 5
