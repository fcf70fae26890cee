"""RecTools' SASRec on ML-1M, trained by RecTools' own Lightning loop, step by step on request.

Run by the environment that `make peers` builds:

    .venv-peers/bin/python tests/benchmark/peers/rectools_sasrec.py PATH/ml-1m.txt.gz --loss sampled --steps 5
    .venv-peers/bin/python tests/benchmark/peers/rectools_sasrec.py PATH/ml-1m.txt.gz --loss sampled --resident

Every result is one line of JSON on standard output; whatever the libraries print goes to standard error. A resident
runner warms up, prints {"ready": true, ...}, then answers each line "run N" with the timing of the next N steps, so
that two trainers can take turns on one machine. It ends at "quit" or at the end of its input.

What `tokens_per_s` counts: interactions that enter the encoder, that is the input positions of a batch that are not
padding (each of them predicts one target), over the wall time of whole training steps: reading and collating the
batch, drawing negatives, forward, backward, optimiser. Padding counts nothing.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

SESSION_LENGTH = 200
NEGATIVES = 256
LOSSES = {"sampled": "sampled_softmax", "full": "softmax", "gbce": "gBCE", "bce": "BCE"}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="ml-1m.txt.gz: lines 'user item', in order of time")
    parser.add_argument("--loss", choices=LOSSES, default="sampled", help="sampled: 256 negatives per position")
    parser.add_argument("--steps", type=int, default=3, help="steps to time, unless resident")
    parser.add_argument("--warm-up", type=int, default=1, help="steps before any timing")
    parser.add_argument("--batch-size", type=int, default=128, help="sequences per batch; 128 is RecTools' default")
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resident", action="store_true", help="take 'run N' from standard input")
    return parser.parse_args()


arguments = parse_arguments()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)  # read when torch is imported

import pandas as pd  # noqa: E402
import pytorch_lightning as lightning  # noqa: E402
import rectools  # noqa: E402
import torch  # noqa: E402
from rectools.dataset import Dataset  # noqa: E402
from rectools.models import SASRecModel  # noqa: E402


class Turns(lightning.Callback):
    """Lets the training loop go N steps at a time and reports how long they took.

    `output` is a file descriptor, not a file, because RecTools copies the trainer with all its callbacks.
    """

    def __init__(self, output: int, options: argparse.Namespace) -> None:
        self.output = output
        self.options = options
        self.left = options.warm_up
        self.warm = False
        self.steps = self.tokens = self.padded = 0
        self.began = time.perf_counter()

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        self.steps += 1
        self.tokens += int((batch["x"] != 0).sum())
        self.padded += batch["x"].numel()
        self.left -= 1
        if self.left == 0:
            self._report()
            self._await_turn(trainer)

    def _report(self) -> None:
        seconds = time.perf_counter() - self.began
        if self.warm:
            result = {
                "tokens_per_s": round(self.tokens / seconds, 1),
                "tokens": self.tokens,
                "padding_share": round(1 - self.tokens / self.padded, 3),
                "steps": self.steps,
                "seconds": round(seconds, 3),
                **self._settings(),
            }
            self._say(result)
        elif self.options.resident:
            self._say({"ready": True, **self._settings()})

    def _settings(self) -> dict[str, object]:
        return {
            "peer": f"RecTools {rectools.__version__} SASRec",
            "loss": LOSSES[self.options.loss],
            "negatives": 0 if self.options.loss == "full" else NEGATIVES,
            "dim": 64,
            "length": SESSION_LENGTH,
            "blocks": 2,
            "heads": self.options.heads,
            "batch_size": self.options.batch_size,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def _await_turn(self, trainer: lightning.Trainer) -> None:
        if self.options.resident:
            word, _, count = sys.stdin.readline().strip().partition(" ")
            self.left = int(count) if word == "run" else 0
        else:
            self.left = 0 if self.warm else self.options.steps
        self.warm = True
        self.steps = self.tokens = self.padded = 0
        self.began = time.perf_counter()
        trainer.should_stop = self.left == 0

    def _say(self, result: dict[str, object]) -> None:
        os.write(self.output, f"{json.dumps(result)}\n".encode())


def read_dataset(path: Path) -> Dataset:
    """ML-1M in its own order: the file has no times, so the line number stands for one."""
    rows = pd.read_csv(path, sep=" ", names=["user_id", "item_id"])
    rows["weight"] = 1.0
    rows["datetime"] = pd.to_datetime(rows.index, unit="s")
    return Dataset.construct(rows)


def main(output: int) -> None:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    turns = Turns(output, arguments)

    def trainer() -> lightning.Trainer:
        return lightning.Trainer(
            max_epochs=1_000_000, min_epochs=0, accelerator="cpu", callbacks=[turns], logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip

    model = SASRecModel(
        n_blocks=2, n_heads=arguments.heads, n_factors=64, session_max_len=SESSION_LENGTH, dropout_rate=0.2,
        loss=LOSSES[arguments.loss], n_negatives=NEGATIVES, batch_size=arguments.batch_size,
        get_trainer_func=trainer,
    )  # fmt: skip
    model.fit(read_dataset(arguments.data))


if __name__ == "__main__":
    results = os.dup(1)
    os.dup2(2, 1)
    main(results)
