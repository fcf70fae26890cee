"""The whole training line, killed in the middle of an epoch."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from safetensors.torch import load_file

from training.tracker.mlflow import local_uri

ROOT = Path(__file__).parents[2]


def trained(outputs: Path, *, killed_in: int | None = None) -> str:
    """What a training said, to its end or until it was killed while the epoch after `killed_in` ran."""
    command = [sys.executable, "-u", "-m", "tests.training.made_up_training", str(outputs)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if killed_in is not None and line.startswith(f"epoch {killed_in}: "):
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait() == (0 if killed_in is None else -signal.SIGKILL)
    return "".join(said)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bundle_in_the_same_run(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    trained(whole)
    for epoch in (1, 3):
        trained(killed, killed_in=epoch)
    assert "going on from a checkpoint" in trained(killed)
    (one,), (other,) = ([*(outputs / "bundles").iterdir()] for outputs in (whole, killed))
    ours, theirs = (load_file(bundle / "weights.safetensors") for bundle in (one, other))
    assert ours.keys() == theirs.keys()
    assert all(bool((ours[name] == theirs[name]).all()) for name in ours), "to the bit"
    client = MlflowClient(local_uri(killed))
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.info.status == "FINISHED"
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert {metric.step for metric in losses} >= set(range(1, 7))
    assert not list((killed / "checkpoints").iterdir()), "done with"
