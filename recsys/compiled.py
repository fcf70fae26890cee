"""Loops over arrays as machine code: what one answer counts and adds up, thousands of times a second.

A function under `compiled` is plain Python over arrays and numbers. Where Numba (https://numba.pydata.org) is
installed it is compiled at its first call, runs without the interpreter's lock, and is kept for the next process; where
it is not, as on a bare training machine, it runs as it stands, with the same result and far more slowly.

The machine code is kept beside the package, under a digest of all sources that are compiled: Numba itself would not
notice that a function which another one calls has changed.
"""

import hashlib
import importlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

try:
    numba: Any = importlib.import_module("numba")
except ImportError:  # a machine that only trains
    numba = None

Loop = TypeVar("Loop", bound=Callable[..., object])
_MARK = b"@" + b"compiled"


def compiled(loop: Loop) -> Loop:
    """The same function as machine code. It takes arrays and numbers, changes nothing but arrays given to it for that,
    and calls only others under `compiled`."""
    if numba is None:
        return loop
    told = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_folder())
    try:
        made: Loop = numba.njit(nogil=True, cache=True, error_model="numpy")(loop)
    except RuntimeError:  # nowhere to keep it
        made = numba.njit(nogil=True, error_model="numpy")(loop)
    finally:
        numba.config.CACHE_DIR = told
    return made


@cache
def _folder() -> Path:
    """Where the code of exactly these sources is kept: with the compiled Python, or in the user's own cache."""
    package = Path(__file__).resolve().parent
    digest = hashlib.blake2b(digest_size=8)
    for source in sorted(package.rglob("*.py")):
        content = source.read_bytes()
        if _MARK in content:
            digest.update(content)
    beside = package / "__pycache__"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attune"
    writable = os.access(beside if beside.exists() else package, os.W_OK)
    return (beside if writable else home) / f"compiled-{digest.hexdigest()}"
