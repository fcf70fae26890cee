"""A training that was interrupted goes on as if nothing had been."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recsys.errors import TrainingError
from tests.training.trainer.learning import Killed, Notes, encoder, fitted, loader, same
from training.checkpoint import Checkpoints
from training.optimizer.adam import Adam
from training.optimizer.rowwise_adam import RowwiseAdam
from training.protocols import Optimizer, Schedule
from training.schedule.cosine import Cosine
from training.schedule.one_cycle import OneCycle

STEPS = len(loader().batches(seed=0, epoch=0))
FIGURES = (0.1, 0.3, 0.2)
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("optimizer", "schedule", "sparse"),
    [(Adam(), OneCycle(), False), (RowwiseAdam(), OneCycle(), True), (RowwiseAdam(), Cosine(), False)],
)
@pytest.mark.parametrize("dies_after", [2, STEPS + 1, STEPS + 3])
def test_a_resumed_training_ends_with_the_weights_of_an_undisturbed_one_to_the_bit(
    optimizer: Optimizer, schedule: Schedule, sparse: bool, dies_after: int, tmp_path: Path
) -> None:
    def run(folder: str, watch: Notes) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        return fitted(
            *(watch, tmp_path / folder),
            of=encoder(sparse=sparse), optimizer=optimizer, schedule=schedule, epochs=3, checkpoint_s=0.0,
        )  # fmt: skip

    undisturbed, whole = run("one", Notes(FIGURES))
    with pytest.raises(Killed):
        run("two", Notes(FIGURES, dies_after=dies_after))
    torch.rand(7)  # the next process has other random numbers behind it
    watch = Notes(FIGURES)
    resumed, rest = run("two", watch)
    assert same(undisturbed, resumed)
    assert rest["kept_epoch"] == whole["kept_epoch"] == 2
    assert len(watch.steps) == 3 * STEPS - dies_after + 1  # the step it died in came before its checkpoint
    assert len(watch.losses) == 3  # epochs behind are told again, so that a new tracker has the whole curve
    assert "going on from a checkpoint" in watch.said_[-1]


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    weights, _ = fitted(Notes(FIGURES), tmp_path, epochs=3)
    watch = Notes()
    again, measured = fitted(watch, tmp_path, epochs=3)
    assert same(weights, again)
    assert (watch.steps, measured["kept_epoch"]) == ([], 2)


def test_who_does_not_want_to_resume_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fitted(Notes(dies_after=STEPS + 1), tmp_path, epochs=2)
    watch = Notes()
    fitted(watch, tmp_path, epochs=2, resume="never")
    assert len(watch.steps) == 2 * STEPS


def test_a_resumed_training_computes_as_the_one_before_did_whatever_was_chosen_then(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fitted(Notes(dies_after=STEPS + 1), tmp_path, epochs=2, precision="bfloat16")
    _, told = fitted(Notes(), tmp_path, epochs=2, precision="auto")
    assert told["bfloat16"] == 1.0


def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_it_used(tmp_path: Path) -> None:
    undisturbed, _ = fitted(Notes(), tmp_path / "one", epochs=3)
    with pytest.raises(Killed):
        fitted(Notes(dies_after=2 * STEPS + 1), tmp_path / "two", epochs=3)
    first, second = sorted((tmp_path / "two" / "checkpoints").iterdir())
    weights = second / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    watch = Notes()
    resumed, _ = fitted(watch, tmp_path / "two", epochs=3)
    assert same(undisturbed, resumed)
    assert f"{second} is not used: weights.safetensors does not match its SHA-256" in watch.said_[0]
    assert len(watch.steps) == 2 * STEPS
    assert first.name == "0000001"


def test_a_checkpoint_of_other_data_is_refused_with_the_remedy(tmp_path: Path) -> None:
    fitted(Notes(), tmp_path, epochs=1)
    with pytest.raises(TrainingError, match=r"'windows': 8.*'windows': 9.*trainer\.resume=never"):
        fitted(Notes(), tmp_path, epochs=1, shoppers=9)


def test_a_full_disk_leaves_the_last_good_checkpoint_and_the_training_going(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"

    class Filling(Notes):
        """Lets no file grow beyond 100 bytes once the first epoch is stored."""

        def epoch_began(self, *, epoch: int, epochs: int, steps: int, taken: int) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100 if epoch else unlimited, unlimited))

    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    watch = Filling()
    try:
        _, measured = fitted(watch, tmp_path, epochs=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    assert measured["epochs"] == 3
    failed = [line for line in watch.said_ if "cannot be written" in line]
    assert len(failed) == 2
    assert "0000001 is still good; training goes on without" in failed[0]
    assert [path.name for path in folder.iterdir()] == ["0000001"]
    assert Checkpoints(folder, recipe="r").latest(watch.said_.append) is not None


TRAINING = """
import sys, time
from pathlib import Path
import torch
from tests.training.trainer.learning import Notes, encoder, fitted
from training.optimizer.rowwise_adam import RowwiseAdam
from safetensors.torch import save_file

class Slow(Notes):
    def stepped(self, **told):
        super().stepped(**told)
        print(len(self.steps), flush=True)
        time.sleep(float(sys.argv[2]))

torch.set_num_threads(1)
folder = Path(sys.argv[1])
weights, _ = fitted(Slow((0.1, 0.3, 0.2)), folder, of=encoder(sparse=True), optimizer=RowwiseAdam(), epochs=3,
                    checkpoint_s=0.0)
save_file(weights, folder / "end.safetensors")
"""


def started(folder: Path, pause_s: float) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TRAINING, str(folder), str(pause_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


@pytest.mark.slow
def test_kill_9_in_the_middle_of_an_epoch_changes_no_bit_of_the_weights(tmp_path: Path) -> None:
    undisturbed = started(tmp_path / "one", 0.0)
    killed = started(tmp_path / "two", 0.1)
    assert killed.stdout is not None
    for line in killed.stdout:
        if int(line) == STEPS + STEPS // 2:
            break
    deadline = time.monotonic() + 60
    while not any((tmp_path / "two" / "checkpoints").glob("[0-9]*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "two" / "end.safetensors").exists()
    latest = max((tmp_path / "two" / "checkpoints").glob("[0-9]*"))
    position = json.loads((latest / "state.json").read_text())["progress"]
    assert 0 < position["taken"] < STEPS

    resumed = started(tmp_path / "two", 0.0)
    taken = len(resumed.communicate()[0].splitlines())
    assert (resumed.returncode, undisturbed.wait()) == (0, 0)
    assert taken == 3 * STEPS - position["epoch"] * STEPS - position["taken"]
    assert same(*(load_file(tmp_path / name / "end.safetensors") for name in ("one", "two")))
