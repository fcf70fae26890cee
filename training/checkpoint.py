"""Checkpoints: a training as it stands, in a folder that appears whole or not at all, verified before it is used.

    NUMBER/             counts up; the highest is the latest
      *.safetensors     tensors: weights, the optimiser's state, the best weights so far, random generators
      state.json        plain numbers: position, schedule, how steps are computed
      manifest.json     SHA-256 of every file above, and of what the training is made from

Nothing is unpickled. A folder is written aside, flushed to the disk and renamed; the one before stays until then.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from recsys.errors import TrainingError

FORMAT = 1
_STATE, _MANIFEST, _TENSORS = "state.json", "manifest.json", ".safetensors"
_PARTIAL = ".partial-"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds: tensors by file and name, and plain values that JSON can tell."""

    tensors: Mapping[str, Mapping[str, Tensor]]
    plain: Mapping[str, Any]


class Checkpoints:
    """The latest checkpoints of one training.

    Args:
        folder: where they lie; made when the first one is written.
        recipe: digest of all that the training follows from; checkpoints of another one are refused.
        keep: how many are kept, at least 1; the one before the latest is what a damaged one falls back on.
    """

    def __init__(self, folder: Path, *, recipe: str, keep: int = 2) -> None:
        self.folder = folder
        self._recipe = recipe
        self._keep = max(1, keep)

    def save(self, snapshot: Snapshot) -> Path:
        """Write one more, then remove the oldest ones; its folder.

        Raises TrainingError where it cannot be written (a full disk, say); the earlier ones are left as they are.
        """
        numbers = self._numbers()
        target = self.folder / f"{max(numbers, default=0) + 1:07d}"
        partial = self.folder / f"{_PARTIAL}{os.getpid()}"
        try:
            for left in self.folder.glob(f"{_PARTIAL}*"):
                shutil.rmtree(left, ignore_errors=True)
            partial.mkdir(parents=True)
            _write(partial, snapshot, self._recipe)
            partial.rename(target)
            _flush(self.folder)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"the checkpoint {target} cannot be written ({error}); make room below {self.folder}"
                + (f", where {max(numbers):07d} is still good" if numbers else "")
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for number in sorted([*numbers, int(target.name)])[: -self._keep]:
            shutil.rmtree(self.folder / f"{number:07d}", ignore_errors=True)
        return target

    def latest(self, refused: Callable[[str], None]) -> Snapshot | None:
        """The latest one that is whole and of this recipe; None where there is none.

        Each one that cannot be used is named to `refused`, with what is wrong with it, and removed.
        """
        for number in sorted(self._numbers(), reverse=True):
            folder = self.folder / f"{number:07d}"
            try:
                return _read(folder, self._recipe)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                refused(f"the checkpoint {folder} is not used: {error}")
                shutil.rmtree(folder, ignore_errors=True)
        return None

    def clear(self) -> None:
        """Remove them all: the training is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _numbers(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdecimal() and path.is_dir()]


def _write(folder: Path, snapshot: Snapshot, recipe: str) -> None:
    for name, tensors in snapshot.tensors.items():
        save_file({key: tensor.detach().contiguous() for key, tensor in tensors.items()}, folder / f"{name}{_TENSORS}")
    (folder / _STATE).write_text(json.dumps(dict(snapshot.plain)))
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    (folder / _MANIFEST).write_text(json.dumps({"format": FORMAT, "recipe": recipe, "files": files}, indent=1))
    for path in (*folder.iterdir(), folder):
        _flush(path)


def _read(folder: Path, recipe: str) -> Snapshot:
    manifest = json.loads((folder / _MANIFEST).read_text())
    if manifest["format"] != FORMAT:
        raise ValueError(f"its format is {manifest['format']!r}, and this release reads {FORMAT}")
    if manifest["recipe"] != recipe:
        raise ValueError(f"it was made by the recipe {manifest['recipe']!r}, and this is {recipe!r}")
    for name, digest in manifest["files"].items():
        if _digest(folder / name) != digest:
            raise ValueError(f"{name} does not match its SHA-256 in {_MANIFEST}: it is damaged")
    files = [folder / name for name in manifest["files"] if name.endswith(_TENSORS)]
    return Snapshot(
        {path.name.removesuffix(_TENSORS): load_file(path) for path in files},
        json.loads((folder / _STATE).read_text()),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Have the disk hold a file, or a folder's names, before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
