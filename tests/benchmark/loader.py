"""How much faster the loader delivers than the model trains, in turns within one run, on the same cores.

    python -m tests.benchmark.loader [--data FOLDER] [--quick]

The model is the small one (d=64, 2 blocks, 256 negatives), so the loader has the least time. The Complete Journey, with
query tokens and all default features, from the mapped files that training reads; and, where FOLDER holds ml-1m.txt.gz,
ML-1M in literature mode. A token is a target: an event that is predicted. Padding is what packing windows into rows
could save.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import hydra
import torch

from recsys.log.writer import write_log
from recsys.sequence.loader import Loader
from tests.benchmark.report import report
from tests.benchmark.trainee import BATCH_TOKENS, ORDER_ONLY, Trainee, endless, read_movielens
from training.dataset import Dataset
from training.train import assemble


class Loading:
    """The loader alone; `padding` is the share of its batches that is."""

    def __init__(self, loader: Loader) -> None:
        self.padding = loader.padding()
        self._batches = endless(loader)

    def run(self, seconds: float) -> float:
        """Tokens (targets) per second over about `seconds`."""
        tokens, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            tokens += len(next(self._batches).pair_target)
        return tokens / (time.perf_counter() - began)


def complete_journey(outputs: Path) -> tuple[Loading, Trainee]:
    """What `python -m training.train` reads, at its own batch size."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        recipe = replace(assemble(hydra.compose("train", ["tracker='null'"])), outputs=outputs)
    write_log(recipe.data, recipe.log_folder)
    dataset = Dataset.of(recipe)
    stream, asked_from = dataset.training_stream()
    loader = Loader.over(
        stream,
        dataset.features,
        batch_tokens=recipe.trainer.batch_tokens,
        context=recipe.trainer.context_tokens,
        asked_from=asked_from,
    )
    return Loading(loader), Trainee(loader, items=dataset.catalogue.size, features=dataset.features)


def movielens(file: Path) -> tuple[Loading, Trainee]:
    """The setting of the training speed benchmark."""
    histories, items = read_movielens(file)
    loader = Loader.of(histories, ORDER_ONLY, batch_tokens=BATCH_TOKENS, context=0)
    return Loading(loader), Trainee(loader, items=items, features=ORDER_ONLY)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ml-1m"), help="folder of ml-1m.txt.gz")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    rounds, seconds = (3, 1.5) if arguments.quick else (7, 6.0)
    with tempfile.TemporaryDirectory() as folder:
        sides = {"The Complete Journey": complete_journey(Path(folder))}
        file = arguments.data / "ml-1m.txt.gz"
        if file.is_file():
            sides["ML-1M, order only"] = movielens(file)
        rows = [_row(name, *both, rounds=rounds, seconds=seconds) for name, both in sides.items()]
    least = min(float(str(row["times"])) for row in rows)
    report("Loader beside training, d=64", rows, {"loader_vs_training": least, "rounds": rounds})


def _row(name: str, loading: Loading, trainee: Trainee, *, rounds: int, seconds: float) -> dict[str, object]:
    loading.run(seconds / 2)
    trainee.run(seconds / 2)
    pairs = [(loading.run(seconds / 2), trainee.run(seconds)) for _ in range(rounds)]
    return {
        "data": name,
        "loader tokens/s": round(statistics.median(loaded for loaded, _ in pairs)),
        "training tokens/s": round(statistics.median(trained for _, trained in pairs)),
        "times": statistics.median(loaded / trained for loaded, trained in pairs),
        "padding": f"{loading.padding:.2%}",
    }


if __name__ == "__main__":
    main()
