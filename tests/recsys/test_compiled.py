"""Loops as machine code: the same with and without Numba, kept in a folder of their own, and never an old one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from recsys.compiled import compiled
from recsys.retrieval import best

PLAIN = """
import sys
sys.modules["numba"] = None
import numpy as np
from recsys.retrieval.best import best_of_each
start, item, score = best_of_each(np.array([0, 3]), np.array([4, 5, 6]), np.array([0.1, 0.5, 0.5]), 2)
print(start.tolist(), item.tolist(), score.tolist())
"""


@compiled
def total(values: np.ndarray) -> float:
    whole = 0.0
    for value in values:
        whole += value
    return whole


def test_a_compiled_loop_gives_what_it_says() -> None:
    assert total(np.array([1.0, 2.5])) == 3.5


def test_without_numba_the_same_comes_out() -> None:
    done = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 2] [5, 6] [0.5, 0.5]"


def test_code_is_kept_under_a_digest_of_every_source_that_is_compiled(tmp_path: Path) -> None:
    package = Path(best.__file__).parents[1]
    copy = tmp_path / "recsys"
    subprocess.run(["cp", "-r", str(package), str(copy)], check=True)
    (copy / "__pycache__").exists() and subprocess.run(["rm", "-r", str(copy / "__pycache__")], check=True)

    def folder() -> str:
        asked = "from recsys.compiled import _folder; print(_folder())"
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", asked], capture_output=True, text=True, check=True, env=env, cwd=tmp_path
        ).stdout.strip()

    before = folder()
    assert before == folder()
    assert Path(before).parent == copy / "__pycache__"
    source = copy / "retrieval" / "best.py"
    source.write_text(source.read_text().replace("place - 1) >> 1", "place - 1) // 2"))
    assert folder() != before
