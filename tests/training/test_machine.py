"""What a run is computed on."""

import platform

import torch

from training.machine import machine_facts


def test_the_build_of_torch_and_the_cores_are_named() -> None:
    found = machine_facts()
    assert found["torch_build"].startswith(torch.__version__)
    assert int(found["cores"]) >= 1
    assert float(found["memory_gib"]) > 0
    assert found["torch_threads"] == str(torch.get_num_threads())


def test_the_machine_is_not_named() -> None:
    name = platform.node()
    assert name not in machine_facts().values()


def test_nothing_empty_is_told() -> None:
    assert all(machine_facts().values())
