"""What is found wrong before any process is started, and what the settings turn into."""

import shutil
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from recsys.errors import BundleError, ConfigError, ReleaseError, StoreError
from recsys.recommender import Recommender
from serving.launch import assemble
from tests.serving.live import LiveServer


def settings(bundle: Path, folder: Path, *overrides: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("serve", [f"release.bundle={bundle}", f"store.path={folder}/events.db", *overrides])


def test_settings_become_the_arguments_of_the_application(tiny_bundle: Path, tmp_path: Path) -> None:
    server, args = assemble(
        settings(tiny_bundle, tmp_path, "server.port=8123", "app.replicas=3", "app.largest_batch=7")
    )
    assert server.address == "http://127.0.0.1:8123"
    assert (args.bundle, args.replicas, args.largest_batch, args.clock_shift) == (tiny_bundle, 3, 7, 0)


def test_the_clock_can_start_where_the_data_ends(tiny_bundle: Path, tmp_path: Path) -> None:
    _, args = assemble(settings(tiny_bundle, tmp_path, "clock=data_end"))
    assert time.time_ns() // 1_000 + args.clock_shift - Recommender.load(tiny_bundle).data_end < 60_000_000


def test_an_unknown_clock_is_refused_with_the_known_ones(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clock=cuckoo is not known; choose one of system, data_end"):
        assemble(settings(tiny_bundle, tmp_path, "clock=cuckoo"))


def test_a_bundle_with_one_flipped_byte_is_refused_naming_the_file(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    weights = bytearray((bundle / "weights.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (bundle / "weights.safetensors").write_bytes(weights)
    with pytest.raises(BundleError, match=r"weights\.safetensors does not match"):
        assemble(settings(bundle, tmp_path))


def test_a_store_that_cannot_be_written_is_refused_before_ray_starts(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"choose another store\.path"):
        assemble(settings(tiny_bundle, tmp_path / "file"))


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises((BundleError, ReleaseError), match="train"):
        assemble(settings(tmp_path / "nothing", tmp_path))


def test_on_the_command_line_what_is_wrong_is_one_line_and_not_a_traceback(tmp_path: Path) -> None:
    server = LiveServer(tmp_path / "nothing", tmp_path)
    server.start()
    assert server.wait() == 1
    assert server.output.startswith("error: there is no folder")
    assert "Traceback" not in server.output


def test_on_the_command_line_an_unknown_setting_is_refused_with_the_ones_there_are(tmp_path: Path) -> None:
    server = LiveServer(tmp_path, tmp_path, "server.prot=8000")
    server.start()
    assert server.wait() == 2
    assert "'server.prot': server has cores, dashboard_port, drain_s, haproxy, host" in server.output
