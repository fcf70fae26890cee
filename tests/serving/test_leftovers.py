"""What servers that died have left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving import leftovers
from serving.janitor import MARK

_SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def died(parent: Path, name: str) -> Path:
    """The folder of a server whose process is gone."""
    folder = parent / f"{leftovers.PREFIX}{name}"
    folder.mkdir()
    (folder / "owner").write_text("1 1")  # process 1 was born later than that
    return folder


def test_the_folder_of_a_dead_server_is_removed(tmp_path: Path) -> None:
    folder = died(tmp_path, "dead")
    assert leftovers.tidy(tmp_path) == []
    assert not folder.exists()


def test_the_folder_of_a_living_server_and_folders_of_others_are_not_touched(tmp_path: Path) -> None:
    living, strange, other = (tmp_path / name for name in ("attune-living", "attune-strange", "other"))
    for folder in (living, strange, other):
        folder.mkdir()
    leftovers.own(living)
    (other / "owner").write_text("1 1")
    assert leftovers.tidy(tmp_path) == []
    assert living.exists()
    assert strange.exists()
    assert other.exists()


def test_processes_of_a_dead_server_are_named_with_the_command_that_ends_them_and_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_PATIENCE_S", 0.2)
    folder = died(tmp_path, "dead")
    environment = os.environ | {MARK: str(folder)}
    with subprocess.Popen(_SLEEPER, env=environment, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.readline()
        [said] = leftovers.tidy(tmp_path)
        assert said.startswith("a server that died left processes behind (python")
        assert said.endswith(f"`kill -9 {left.pid}` ends them")
        assert left.poll() is None
        assert folder.exists()
        left.kill()
