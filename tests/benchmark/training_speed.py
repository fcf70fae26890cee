"""Training speed beside RecTools' SASRec, in turns within one run.

    make peers
    python -m tests.benchmark.training_speed --data FOLDER [--quick]

ML-1M, d=64, L=200, 2 blocks, 2 threads; once with sampled softmax over 256 negatives, once with softmax over the whole
catalogue. A token is an interaction that the model
reads and predicts from; padding does not count, on either side. FOLDER holds `ml-1m.txt.gz`: lines of `user item` in
order of time (the file of the SASRec repository). All sides stay in memory; each round gives each of them a few
seconds, the others idle, and the ratio is taken round by round.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import torch

from recsys.loss.full_softmax import FullSoftmax
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.protocols import Loss
from recsys.sequence.histories import Histories
from recsys.sequence.loader import Loader
from tests.benchmark.report import report
from tests.benchmark.trainee import BATCH_TOKENS, NEGATIVES, ORDER_ONLY, Trainee, read_movielens

PEER_PYTHON = Path(".venv-peers/bin/python")
LOSSES: dict[str, Loss] = {"sampled": SampledSoftmax(negatives=NEGATIVES), "full": FullSoftmax()}
PEER = Path(__file__).parent / "peers" / "rectools_sasrec.py"


class Peer:
    """RecTools in its own environment; steps when told to."""

    def __init__(self, data: Path, loss: str) -> None:
        self._process = subprocess.Popen(
            [str(PEER_PYTHON), str(PEER), str(data), "--loss", loss, "--resident"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, steps: int) -> float:
        """Tokens per second over `steps` batches."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"run {steps}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                answer = json.loads(line)
                if "tokens_per_s" in answer:
                    return float(answer["tokens_per_s"])
        raise RuntimeError(f"the peer ended with status {self._process.wait()} before it answered")

    def close(self) -> None:
        """End the peer."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


class Match:
    """One loss, our trainer and theirs, in turns."""

    def __init__(self, kind: str, loss: Loss, histories: Histories, items: int, file: Path) -> None:
        self.kind = kind
        loader = Loader.of(histories, ORDER_ONLY, batch_tokens=BATCH_TOKENS, context=0)
        self._ours = Trainee(loader, items=items, features=ORDER_ONLY, loss=loss)
        self.peer = Peer(file, kind)
        self._pairs: list[tuple[float, float]] = []

    def warm_up(self, seconds: float) -> None:
        """What is slow only once."""
        self._ours.run(seconds)
        self.peer.run(1)

    def play(self, seconds: float, steps: int) -> None:
        """One round."""
        self._pairs.append((self._ours.run(seconds), self.peer.run(steps)))

    @property
    def own(self) -> float:
        """Our tokens per second, the median of the rounds."""
        return statistics.median(mine for mine, _ in self._pairs)

    @property
    def ratio(self) -> float:
        """How many times theirs, the median of the rounds."""
        return statistics.median(mine / other for mine, other in self._pairs)

    def rows(self) -> list[dict[str, object]]:
        """For the table."""
        theirs = statistics.median(other for _, other in self._pairs)
        return [
            {"trainer": f"Attune SASRec, {self.kind} softmax", "tokens/s": round(self.own), "times": self.ratio},
            {"trainer": f"RecTools 0.19 SASRec, {self.kind} softmax", "tokens/s": round(theirs), "times": 1.0},
        ]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ml-1m"), help="folder of ml-1m.txt.gz")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    arguments = parser.parse_args()
    file = arguments.data / "ml-1m.txt.gz"
    if not file.is_file():
        sys.exit(f"{file} is missing; name the folder that holds it with --data")
    if not PEER_PYTHON.is_file():
        sys.exit(f"{PEER_PYTHON} is missing; build the peers' environment with: make peers")
    torch.set_num_threads(2)
    rounds, seconds, steps = (1, 3.0, 1) if arguments.quick else (5, 10.0, 2)
    histories, items = read_movielens(file)
    matches = [Match(kind, loss, histories, items, file) for kind, loss in LOSSES.items()]
    try:
        for match in matches:
            match.warm_up(seconds / 2)
        for _ in range(rounds):
            for match in matches:
                match.play(seconds, steps)
    finally:
        for match in matches:
            match.peer.close()
    rows = [row for match in matches for row in match.rows()]
    result = {f"{match.kind}_vs_rectools": match.ratio for match in matches}
    result |= {"tokens_per_s": matches[0].own, "full_tokens_per_s": matches[1].own, "rounds": rounds}
    report("ML-1M, d=64, L=200", rows, result)


if __name__ == "__main__":
    main()
