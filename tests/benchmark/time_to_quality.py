"""How long until a model is good: our SASRec on ML-1M until NDCG@10 is .17 on the validation item, beside RecTools'.

    python -m tests.benchmark.time_to_quality [--data FOLDER] [--target 0.17] [--quick] [KEY=VALUE ...]

Both d=64, L=200, 2 blocks, 2 heads, leave-one-out, the whole catalogue ranked but for what the user has seen. RecTools'
curve takes hours; it was recorded once, by `tests/benchmark/peers/rectools_curve.py`, and lies in
`tests/benchmark/peers/rectools_curve.json`. Times are seconds of the processor with as many threads as the curve was
recorded with (one), validation left out: what a machine does that does nothing else. Where the curve ends below the
target, RecTools took longer than all of it, and the ratio is a bound from below. `--quick` asks for .05.
Further arguments change our recipe, as for `python -m training.train`.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
import torch
from rich.console import Console

from conf.overrides import check_command_line
from recsys.log.writer import write_log
from tests.benchmark.report import report
from training.dataset import Dataset
from training.fitting import checkpoints, trained
from training.protocols import Watch
from training.tracker.null import NullTracker
from training.train import assemble

CURVE = Path(__file__).parent / "peers" / "rectools_curve.json"
OURS = (
    *("experiment=ml_1m", "model.dim=64", "loss.negatives=512", "optimizer.learning_rate=0.002"),
    *("trainer.epochs=12", "trainer.batch_tokens=1600", "refit=false", "tracker='null'"),
)
"""Smaller batches, a higher rate that falls and fewer negatives than the experiment: soon good, not the best."""


class ReachedError(Exception):
    """The target is reached: nothing more is to be trained."""


class Stopwatch:
    """A watch that counts the seconds of the processor outside validation and ends the training at the target."""

    def __init__(self, watch: Watch, *, target: float) -> None:
        self._watch, self._target = watch, target
        self.said, self.stepped, self.cut_short = watch.said, watch.stepped, watch.cut_short
        self.rows: list[dict[str, float]] = []
        self._since, self._spent = time.process_time(), 0.0

    def epoch_began(self, *, epoch: int, epochs: int, steps: int, taken: int) -> None:
        self._since = time.process_time()
        self._watch.epoch_began(epoch=epoch, epochs=epochs, steps=steps, taken=taken)

    def validate(self) -> float:
        self._spent += time.process_time() - self._since
        return self._watch.validate()

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, waiting: float, quality: float) -> None:
        self._watch.epoch_ended(epoch=epoch, loss=loss, tokens_per_s=tokens_per_s, waiting=waiting, quality=quality)
        self.rows.append({"epoch": len(self.rows) + 1, "ndcg10": round(quality, 5), "cpu_s": round(self._spent, 1)})
        if quality >= self._target:
            raise ReachedError


def learnt(overrides: Sequence[str], *, target: float) -> list[dict[str, float]]:
    """Our curve up to the target, or to the last epoch."""
    with hydra.initialize_config_module("conf", version_base="1.3"), tempfile.TemporaryDirectory() as folder:
        recipe = assemble(hydra.compose("train", [*OURS, *overrides, f"outputs={folder}"]))
        watches: list[Stopwatch] = []

        def timed(watch: Watch) -> Watch:
            watches.append(Stopwatch(watch, target=target))
            return watches[0]

        console = Console(stderr=True)
        with recipe.engine as engine:
            write_log(recipe.data, recipe.log_folder, engine=engine)
            dataset = Dataset.of(recipe, engine)
        torch.manual_seed(recipe.seed)
        validation = dataset.validation(None, recipe.seed)
        with checkpoints(recipe, dataset) as stored:
            try:
                tracker = NullTracker(outputs=recipe.outputs)
                trained(recipe, dataset, validation, tracker, console, stored=stored, watching=timed)
            except ReachedError:
                pass
        return watches[0].rows


def first_at(rows: Sequence[dict[str, Any]], target: float) -> dict[str, Any] | None:
    """The first epoch at which the target was reached."""
    return next((row for row in rows if row["ndcg10"] >= target), None)


def row(name: str, at: dict[str, Any]) -> dict[str, object]:
    """For the table."""
    return {"trainer": name, "epochs": str(at["epoch"]), "NDCG@10": f"{at['ndcg10']:.4f}", "s": at["cpu_s"]}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ml-1m"), help="folder of ml-1m.txt.gz")
    parser.add_argument("--target", type=float, default=0.17, help="NDCG@10 on the validation item")
    parser.add_argument("--quick", action="store_true", help="stop at .05")
    arguments, overrides = parser.parse_known_args()
    if not (arguments.data / "ml-1m.txt.gz").is_file():
        sys.exit(f"{arguments.data / 'ml-1m.txt.gz'} is missing; name the folder that holds it with --data")
    sys.argv[1:] = overrides
    if problem := check_command_line("train"):
        sys.exit(problem)
    target = min(arguments.target, 0.05) if arguments.quick else arguments.target
    curve = json.loads(CURVE.read_text())
    torch.set_num_threads(curve["threads"])
    rows = learnt([*overrides, f"data.folder={arguments.data.resolve()}"], target=target)
    ours, theirs = first_at(rows, target), first_at(curve["epochs"], target)
    if ours is None:
        sys.exit(
            f"NDCG@10 {target} was not reached; the best of {len(rows)} epochs is {max(r['ndcg10'] for r in rows)}"
        )
    last = theirs or curve["epochs"][-1]
    table = [
        row("Attune SASRec", ours),
        row("RecTools 0.19 SASRec" + ("" if theirs else ", not there yet"), last),
    ]
    result = {
        "target": target,
        "own_s": ours["cpu_s"],
        "peer_s": last["cpu_s"],
        "peer_reached": theirs is not None,
        "time_vs_rectools": round(last["cpu_s"] / ours["cpu_s"], 2),
        "curve": rows,
    }
    report("ML-1M, leave-one-out, until the validation's NDCG@10 is reached", table, result)


if __name__ == "__main__":
    main()
