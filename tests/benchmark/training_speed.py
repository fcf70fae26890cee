"""Training speed beside RecTools' SASRec, in turns within one run.

    make peers
    python -m tests.benchmark.training_speed --data FOLDER [--quick]

ML-1M, d=64, L=200, 2 blocks, sampled softmax with 256 negatives, 2 threads. A token is an interaction that the model
reads and predicts from; padding does not count, on either side. FOLDER holds `ml-1m.txt.gz`: lines of `user item` in
order of time (the file of the SASRec repository). Both sides stay in memory; each round gives each of them a few
seconds, the other one idle, and the ratio is taken round by round.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import torch

from recsys.sequence.loader import Loader
from tests.benchmark.report import report
from tests.benchmark.trainee import BATCH_TOKENS, ORDER_ONLY, Trainee, read_movielens

PEER_PYTHON = Path(".venv-peers/bin/python")
PEER = Path(__file__).parent / "peers" / "rectools_sasrec.py"


class Peer:
    """RecTools in its own environment; steps when told to."""

    def __init__(self, data: Path) -> None:
        self._process = subprocess.Popen(
            [str(PEER_PYTHON), str(PEER), str(data), "--loss", "sampled", "--resident"],
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
    rounds, seconds, steps = (3, 3.0, 1) if arguments.quick else (7, 10.0, 3)
    histories, items = read_movielens(file)
    loader = Loader.of(histories, ORDER_ONLY, batch_tokens=BATCH_TOKENS, context=0)
    ours, peer = Trainee(loader, items=items, features=ORDER_ONLY), Peer(file)
    try:
        ours.run(seconds / 2)
        peer.run(1)
        pairs = [(ours.run(seconds), peer.run(steps)) for _ in range(rounds)]
    finally:
        peer.close()
    own = statistics.median(mine for mine, _ in pairs)
    theirs = statistics.median(other for _, other in pairs)
    ratio = statistics.median(mine / other for mine, other in pairs)
    rows = [
        {"trainer": "Attune SASRec", "tokens/s": round(own), "times RecTools": ratio},
        {"trainer": "RecTools 0.19 SASRec", "tokens/s": round(theirs), "times RecTools": 1.0},
    ]
    result = {"sampled_vs_rectools": ratio, "full_vs_rectools": None, "tokens_per_s": own, "rounds": rounds}
    report("ML-1M, d=64, L=200, sampled softmax with 256 negatives", rows, result)


if __name__ == "__main__":
    main()
