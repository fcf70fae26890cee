"""Checkpoints as files."""

import json
from pathlib import Path

import pytest
import torch

from recsys.errors import TrainingError
from training.checkpoint import Checkpoints, Snapshot


def snapshot(number: float) -> Snapshot:
    return Snapshot(
        {"weights": {"a": torch.full((3,), number), "b": torch.arange(2)}, "nothing": {}},
        {"number": number, "third": 1 / 3, "list": [1, None, True]},
    )


def same(one: Snapshot | None, other: Snapshot) -> bool:
    return (
        one is not None
        and one.plain == other.plain
        and one.tensors.keys() == other.tensors.keys()
        and all(torch.equal(one.tensors[f][n], other.tensors[f][n]) for f in other.tensors for n in other.tensors[f])
    )


def refuse(line: str) -> None:
    raise AssertionError(line)


def test_what_is_stored_comes_back_to_the_bit(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "c", recipe="r")
    assert kept.latest(refuse) is None
    kept.save(snapshot(0.1))
    assert same(kept.latest(refuse), snapshot(0.1))


def test_the_latest_two_are_kept_and_all_go_when_the_training_is_over(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "c", recipe="r")
    for number in range(12):
        kept.save(snapshot(number))
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["0000011", "0000012"]
    assert same(kept.latest(refuse), snapshot(11))
    kept.clear()
    assert kept.latest(refuse) is None
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", ["cut", "changed", "removed"])
def test_whatever_is_damaged_is_refused_by_name_and_the_one_before_it_used(
    name: str, harm: str, tmp_path: Path
) -> None:
    kept = Checkpoints(tmp_path, recipe="r")
    kept.save(snapshot(1))
    path = kept.save(snapshot(2)) / name
    content = path.read_bytes()
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(content[:-5] if harm == "cut" else content.replace(b"0", b"7", 1))
    told: list[str] = []
    assert same(kept.latest(told.append), snapshot(1))
    assert len(told) == 1
    assert str(path.parent) in told[0]
    assert not path.parent.exists()


def test_a_checkpoint_of_another_recipe_or_format_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path, recipe="one").save(snapshot(1))
    told: list[str] = []
    assert Checkpoints(tmp_path, recipe="two").latest(told.append) is None
    assert "made by the recipe 'one', and this is 'two'" in told[0]
    kept = Checkpoints(tmp_path, recipe="one")
    manifest = kept.save(snapshot(1)) / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    assert kept.latest(told.append) is None
    assert "format is 99" in told[1]


def test_what_a_killed_process_left_half_written_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, recipe="r")
    kept.save(snapshot(1))
    (tmp_path / ".partial-1").mkdir()
    (tmp_path / ".partial-1" / "weights.safetensors").write_bytes(b"half")
    assert same(kept.latest(refuse), snapshot(1))
    kept.save(snapshot(2))
    assert not (tmp_path / ".partial-1").exists()


def test_where_nothing_can_be_written_the_error_names_the_place_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainingError, match=r"cannot be written .*; make room below"):
        Checkpoints(tmp_path / "file" / "c", recipe="r").save(snapshot(1))
