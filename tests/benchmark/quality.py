"""How good a recipe is: trained for several seeds by the loop that everybody uses, and scored as it scores.

    python -m tests.benchmark.quality [seeds=3] [--quick] [GROUP=CHOICE ...] [KEY=VALUE ...]
    python -m tests.benchmark.quality experiment=beauty seeds=3

Everything else on the command line is what `python -m training.train` takes. `seeds` is how many, counted from the
recipe's own. The bundles stay in the outputs folder and are not made the champion. The figures on top are those of the
answer (encoder and crowd, blended on the validation window); the encoder alone and the baselines stand below.
"""

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import hydra
from rich.console import Console

from conf.overrides import check_command_line
from recsys.bundle import read_metrics
from tests.benchmark.report import report
from training.comparison import ANSWER_ROW, ENCODER_ROW
from training.loop import run
from training.train import assemble

FIGURES = ("hr10", "ndcg10", "recall20", "mrr20")
QUICK = ("trainer.epochs=1", "trainer.minutes=0.3", "evaluation_queries=500")
QUICK_DATA = "data.households=100"
"""Of the data set that is there without saying."""
ALWAYS = ("register=false", "reuse=false")


def measured(overrides: Sequence[str], seeds: int) -> list[dict[str, Any]]:
    """What each seed's run says of itself: its seed, table, protocol and cost."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        first = hydra.compose("train", [*overrides, *ALWAYS])
        every = [hydra.compose("train", [*overrides, *ALWAYS, f"seed={first.seed + n}"]) for n in range(seeds)]
    found = []
    for config in every:
        began = time.monotonic()
        metrics = read_metrics(run(assemble(config), Console(stderr=True)))
        found.append({"seed": config.seed, **metrics, "wall_s": time.monotonic() - began})
    return found


def means(runs: Sequence[Mapping[str, Any]], row: str) -> dict[str, float]:
    """The figures of one row, averaged over the seeds."""
    return {figure: statistics.mean(run["rows"][row][figure] for run in runs) for figure in FIGURES}


def trained_s(training: Mapping[str, float]) -> float:
    """Seconds of training, that on training and validation data included where there was one."""
    return training["train_s"] + training.get("refit_train_s", 0.0)


def result(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything for machines: means over the seeds, each seed's own figures, what the first run's protocol was."""
    names = list(runs[0]["rows"])
    each = [{"seed": run["seed"], **{f: run["rows"][ANSWER_ROW][f] for f in FIGURES}} for run in runs]
    return {
        **means(runs, ANSWER_ROW),
        "encoder": means(runs, ENCODER_ROW),
        "baselines": {name: means(runs, name) for name in names if name not in (ANSWER_ROW, ENCODER_ROW)},
        "train_s": statistics.mean(trained_s(run["training"]) for run in runs),
        "wall_s": statistics.mean(run["wall_s"] for run in runs),
        "seeds": each,
        "protocol": runs[0]["protocol"],
    }


def table(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """One line for each row, the best first: means, and the spread of NDCG@10 over the seeds."""
    lines: list[dict[str, object]] = []
    for name in runs[0]["rows"]:
        ndcg = [run["rows"][name]["ndcg10"] for run in runs]
        spread = f"{min(ndcg):.4f}–{max(ndcg):.4f}"
        figures = {figure: f"{value:.4f}" for figure, value in means(runs, name).items()}
        lines.append({"row": name, **figures, "ndcg10 of the seeds": spread})
    return sorted(lines, key=lambda line: str(line["ndcg10"]), reverse=True)


def main() -> None:
    """Entry point."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return
    quick = "--quick" in arguments
    given = [argument for argument in arguments if argument != "--quick" and not argument.startswith("seeds=")]
    counts = [argument.removeprefix("seeds=") for argument in arguments if argument.startswith("seeds=")]
    if not all(count.isdecimal() and int(count) > 0 for count in counts):
        sys.exit(f"seeds={counts[-1]} is not a number of runs; write seeds=3")
    seeds = int(counts[-1]) if counts else 1 if quick else 3
    other_data = any(argument.startswith(("data=", "experiment=")) for argument in given)
    sys.argv[1:] = [*(QUICK if quick else ()), *([QUICK_DATA] if quick and not other_data else []), *given]
    if problem := check_command_line("train"):
        sys.exit(problem)
    runs = measured(sys.argv[1:], seeds)
    report(f"{runs[0]['protocol']}; {seeds} seed{'s' * (seeds > 1)}", table(runs), result(runs))


if __name__ == "__main__":
    main()
