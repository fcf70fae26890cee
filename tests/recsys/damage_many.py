"""`python -m tests.recsys.damage_many BUNDLE FOLDER COUNT`: damage a bundle's index file COUNT times, and load and
search it every time; prints how often it was refused and how often used.

A process of its own, bounded in memory, so that a crash or a wild allocation is seen and harms nobody.
"""

import resource
import sys
from pathlib import Path

import faiss
import numpy as np
import torch

from recsys.bundle import read_bundle
from recsys.errors import BundleError
from recsys.registry import construct, described
from tests.recsys.damage import drawn
from tests.recsys.test_bundle_damage import searched

_MORE = 2 << 30


def main(bundle: Path, folder: Path, count: int) -> None:
    """See above."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    recommender = read_bundle(bundle)
    vectors = recommender.encoder.item_vectors().detach().numpy()
    plain, sound = described(recommender.index), (bundle / "index.faiss").read_bytes()
    searched(recommender.index, vectors)  # threads and buffers are there before memory is bounded
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + _MORE, held + _MORE))
    rng, path = np.random.default_rng(0), folder / "index.faiss"
    outcomes = {"refused": 0, "used": 0}
    for _ in range(count):
        path.write_bytes(drawn(rng)(sound))
        index = construct(plain["class"], plain["settings"])
        try:
            index.load(path, vectors)
        except BundleError:
            outcomes["refused"] += 1
        else:
            searched(index, vectors)
            outcomes["used"] += 1
    print(*outcomes.values())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
