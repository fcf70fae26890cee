"""An encoder that runs in a deployment of its own gives the very vectors; where it is gone, the crowd answers."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from recsys.bundle import read_bundle
from recsys.clock import DAY
from recsys.errors import BundleError, ConfigError, EncoderError
from recsys.event import EventType
from recsys.recommender import Recommender
from recsys.sequence.question import question_stream
from recsys.sequence.stream import TokenStream
from recsys.state import Context, History, ShopperState
from serving import processes
from serving.encoding.apart import Apart
from serving.encoding.encoders import Ask, Encoders
from tests.serving.live import LiveServer


@pytest.fixture(scope="module")
def recommender(tiny_bundle: Path) -> Recommender:
    return read_bundle(tiny_bundle)


def shoppers(recommender: Recommender, *lengths: int) -> list[ShopperState]:
    at, rng = recommender.data_end, np.random.default_rng(3)
    return [
        ShopperState(
            History(
                item=rng.integers(1, recommender.catalogue.size, length),
                type=np.full(length, EventType.PURCHASE.code, np.int8),
                time=at - DAY * np.arange(length, 0, -1),
            ),
            Context(at=at, channel=None),
        )
        for length in lengths
    ]


def stream(recommender: Recommender, *lengths: int) -> TokenStream:
    return question_stream(shoppers(recommender, *lengths), recommender.features)


def test_calls_of_several_replicas_are_one_batch_and_each_gets_its_own_vectors(
    recommender: Recommender, tiny_bundle: Path
) -> None:
    calls = [(0, 3), (1,), (60, 0, 7)]
    asks = [Ask(str(tiny_bundle), stream(recommender, *lengths)) for lengths in calls]
    encoders = Encoders("cpu")
    encoders.prepare(str(tiny_bundle))
    found = encoders.encode(asks)
    for lengths, vectors in zip(calls, found, strict=True):
        assert isinstance(vectors, np.ndarray)
        np.testing.assert_allclose(vectors, recommender.encode(shoppers(recommender, *lengths)), atol=1e-5)


def test_what_one_call_gets_wrong_costs_the_others_nothing(
    recommender: Recommender, tiny_bundle: Path, tmp_path: Path
) -> None:
    good, elsewhere = stream(recommender, 2), Ask(str(tmp_path / "gone"), stream(recommender, 2))
    strange = stream(recommender, 2)
    strange.item[0] = recommender.catalogue.size + 9
    encoders = Encoders("cpu")
    encoders.prepare(str(tiny_bundle))
    found = encoders.encode([Ask(str(tiny_bundle), good), elsewhere, Ask(str(tiny_bundle), strange)])
    assert isinstance(found[0], np.ndarray)
    assert isinstance(found[1], EncoderError)
    assert isinstance(found[2], Exception)


def test_a_release_that_is_not_at_hand_is_loaded_while_others_are_encoded(
    recommender: Recommender, tiny_bundle: Path
) -> None:
    encoders, ask = Encoders("cpu"), Ask(str(tiny_bundle), stream(recommender, 3))
    [first] = encoders.encode([ask])
    assert isinstance(first, EncoderError)
    deadline = time.monotonic() + 30
    while isinstance(encoders.encode([ask])[0], EncoderError):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [found] = encoders.encode([ask])
    assert isinstance(found, np.ndarray)


def test_the_release_before_stays_at_hand_and_older_ones_go(tiny_bundle: Path, tmp_path: Path) -> None:
    encoders = Encoders("cpu")
    folders = [shutil.copytree(tiny_bundle, tmp_path / name) for name in ("a", "b", "c", "d")]
    versions = {encoders.prepare(str(folder)) for folder in folders}
    assert versions == {read_bundle(tiny_bundle).model_version}
    for folder in folders:
        shutil.rmtree(folder)
    assert {encoders.prepare(str(folder)) for folder in folders[1:]} == versions
    with pytest.raises(BundleError):
        encoders.prepare(str(folders[0]))


def test_a_device_that_is_not_there_is_named_with_what_to_do_before_anything_starts() -> None:
    Apart(device="cpu").check()
    with pytest.raises(ConfigError, match=r"encoding.device=cuda:99 cannot be used here .*encoding=inside"):
        Apart(device="cuda:99").check()


def encoder_process(server: LiveServer) -> int:
    """The process of the encoder's replica, by what Ray calls it."""
    [found] = (one.pid for one in processes.descendants(server.pid) if "Replica:attune:encoder" in command(one.pid))
    return found


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


@pytest.mark.slow
def test_replicas_ask_the_encoders_deployment_and_do_without_while_it_is_gone(
    recommender: Recommender, tiny_bundle: Path, tmp_path: Path
) -> None:
    settings = ("encoding=apart", "encoding.device=cpu", "clock=data_end", "app.seed=1")
    server = LiveServer(tiny_bundle, tmp_path / "server", *settings)
    question = {"shopper": {"user_id": "u"}, "count": 5}
    items = [recommender.catalogue.id_of(index) for index in (3, 5, 8)]
    server.start()
    try:
        server.wait_until_ready()
        with httpx.Client(base_url=server.url, timeout=10) as http:
            views = [{"type": "purchase", "user_id": "u", "item_id": item} for item in items]
            http.post("/v1/events", json={"events": views}).raise_for_status()

            def rung() -> str:
                answer = http.post("/v1/recommendations", json=question)
                answer.raise_for_status()
                assert len(answer.json()["items"]) == 5
                return str(answer.json()["rung"])

            assert rung() == "full"
            os.kill(encoder_process(server), signal.SIGKILL)
            seen, deadline = set[str](), time.monotonic() + 60
            while time.monotonic() < deadline and not ("without_model" in seen and rung() == "full"):
                seen.add(rung())
                time.sleep(0.02)
            assert "without_model" in seen
            assert rung() == "full"
    finally:
        server.stop()
