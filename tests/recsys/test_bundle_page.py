"""The page on the bundle (`recsys/BUNDLE.md`) is true: its files, its keys, its numbers, its commands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

import recsys
from recsys.bundle import FORMAT, version_of
from recsys.registry import _ROOMS

PAGE = (Path(recsys.__file__).parent / "BUNDLE.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> list[str]:
    """Names in code in the first column of the table that follows a heading."""
    table = PAGE.partition(heading)[2].partition("|---|")[2].partition("\n\n")[0]
    return [name for row in table.splitlines()[1:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_files_on_the_page_are_those_of_a_trained_bundle(tiny_bundle: Path) -> None:
    assert sorted(first_cells("## Files")) == sorted(path.name for path in tiny_bundle.iterdir())


def test_the_keys_on_the_page_are_those_of_a_trained_spec(tiny_bundle: Path) -> None:
    spec = json.loads((tiny_bundle / "spec.json").read_text())
    told = set(first_cells("**`spec.json`**"))
    assert spec.keys() <= told
    assert told - spec.keys() <= {"ranker", "intent"}, "what may be missing"


def test_every_array_of_a_trained_bundle_has_a_prefix_on_the_page(tiny_bundle: Path) -> None:
    prefixes = [name.replace("N", "[0-9]+").replace(".", r"\.") for name in first_cells("**`arrays.safetensors`**")]
    with safe_open(str(tiny_bundle / "arrays.safetensors"), "numpy") as arrays:
        names = list(arrays.keys())
    assert [name for name in names if not re.match("|".join(prefixes), name)] == []
    assert all(any(re.match(prefix, name) for name in names) for prefix in prefixes if prefix != r"ranker\.")


def test_the_format_and_the_rooms_on_the_page_are_the_code_s() -> None:
    assert f"This page is format **{FORMAT}**" in PAGE
    rooms = re.search(r"only those are built that lie in `recsys\.(.*?)\*\*and\*\*", PAGE, re.DOTALL)
    assert rooms is not None
    told = re.findall(r"`?([a-z]+)`", rooms.group(1))
    assert {f"recsys.{room}." for room in told} == set(_ROOMS)


def test_the_files_that_the_page_sends_its_reader_to_are_there() -> None:
    named = re.findall(r"`(recsys/[a-z_/]+\.py)`", PAGE)
    assert len(named) >= 5
    assert [name for name in named if not (Path(recsys.__file__).parents[1] / name).is_file()] == []


def test_the_page_s_python_reads_a_bundle_without_attune(tiny_bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", block("python")], cwd=tiny_bundle, capture_output=True, text=True, check=True
    )
    spec = json.loads((tiny_bundle / "spec.json").read_text())
    assert done.stdout.startswith(f"recsys.model.sasrec.SASRec {spec['items']} items, ")
    assert "'features.items.born': ('int64', (" in done.stdout
    assert "recsys" not in re.sub(r"(?m)^#.*$", "", block("python"))


@pytest.mark.parametrize("damaged", [False, True])
def test_the_page_s_shell_commands_check_a_bundle_and_tell_its_version(
    tiny_bundle: Path, tmp_path: Path, damaged: bool
) -> None:
    for path in tiny_bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() + b" " * (damaged and path.name == "metrics.json"))
    check, version = block("sh").splitlines()
    path = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", check], cwd=tmp_path, env=path, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == damaged
    assert ("metrics.json: FAILED" in done.stdout) == damaged
    told = subprocess.run(["sh", "-c", version], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told.strip() == version_of(tmp_path)
