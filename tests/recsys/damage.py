"""Ways to damage a file, and a manifest that says that nothing happened."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

Damage = Callable[[bytes], bytes]

_WILD = (0, 1, 255, 2**31 - 1, 2**33, 2**40, 2**63 - 1, 2**64 - 1)
"""What stands where a length or a number stood: nothing, a bit too much, far more than any machine has."""
_HEAD = 420
"""Where the lengths of small files stand mostly."""


def _flipped(content: bytes, place: float, bit: int) -> bytes:
    torn = bytearray(content)
    torn[int(place * len(torn))] ^= 1 << bit
    return bytes(torn)


def _overwritten(content: bytes, place: float, value: int) -> bytes:
    at = int(place * len(content))
    return (content[:at] + value.to_bytes(8, "little") + content[at + 8 :])[: len(content)]


def _in_the_head(content: bytes, place: float) -> float:
    return place * min(1.0, _HEAD / len(content))


def damages() -> st.SearchStrategy[Damage]:
    """A flipped bit or eight bytes of a wild number anywhere or where the lengths are, an end cut off or added to."""
    place = st.floats(0, 1, exclude_max=True)
    bit, wild = st.integers(0, 7), st.sampled_from(_WILD)
    return st.one_of(
        st.builds(lambda at, one: lambda content: _flipped(content, at, one), place, bit),
        st.builds(lambda at, one: lambda content: _flipped(content, _in_the_head(content, at), one), place, bit),
        st.builds(lambda at, one: lambda content: _overwritten(content, at, one), place, wild),
        st.builds(lambda at, one: lambda content: _overwritten(content, _in_the_head(content, at), one), place, wild),
        st.builds(lambda at: lambda content: content[: int(at * len(content))], place),
        st.builds(lambda more: lambda content: content + bytes(more), st.integers(1, 64)),
    )


def drawn(rng: np.random.Generator) -> Damage:
    """One of the same, drawn by `rng`: for so many that no search for the smallest is wanted."""
    place, bit, wild = float(rng.random()), int(rng.integers(8)), _WILD[rng.integers(len(_WILD))]
    ways: tuple[Damage, ...] = (
        lambda content: _flipped(content, place, bit),
        lambda content: _flipped(content, _in_the_head(content, place), bit),
        lambda content: _overwritten(content, place, wild),
        lambda content: _overwritten(content, _in_the_head(content, place), wild),
        lambda content: content[: int(place * len(content))],
        lambda content: content + bytes(1 + bit),
    )
    return ways[rng.integers(len(ways))]


def resealed(folder: Path, name: str) -> None:
    """Make the manifest fit the file as it is now, as somebody with ill intent would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
