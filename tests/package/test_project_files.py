"""The project's own files agree with each other."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
HOOKS = "from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport\n"
pytest_plugins = ["pytester"]


def pinned(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}


def test_pre_commit_runs_the_commands_of_make_test():
    commands = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    made = [line for line in commands.splitlines() if line.startswith(".venv/bin/")]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert made == [hook["entry"] for hook in hooks]
    assert len(made) == 5


def test_every_dependency_is_pinned_within_its_declared_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = pinned(ROOT / "constraints.txt")
    extras = {name: them for name, them in project["optional-dependencies"].items() if name != "gpu-index"}
    declared = list(chain(project["dependencies"], *extras.values()))  # gpu-index cannot lie beside what is pinned
    for requirement in map(Requirement, declared):
        version = versions.get(requirement.name.lower().replace("_", "-"))
        assert version is not None, f"{requirement.name} is not pinned; run make constraints"
        assert requirement.specifier.contains(version), f"{requirement} does not allow the pinned {version}"


def test_constraints_hold_plain_versions_only():
    text = (ROOT / "constraints.txt").read_text()
    lines = text.splitlines()[1:]
    assert len(lines) > 100
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)] == []
    assert "attune" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("reason", "outcome"), [("no time", {"failed": 1}), ("no ../shared/data", {"skipped": 1})], ids=["lazy", "no-data"]
)
def test_where_ci_forbids_skips_only_absent_shared_data_excuses_one(pytester, monkeypatch, reason, outcome):
    pytester.makeconftest(HOOKS)
    pytester.makepyfile(f"import pytest\n\ndef test_nothing():\n    pytest.skip({reason!r})\n")
    monkeypatch.setenv("ATTUNE_NO_SKIP", "1")
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").assert_outcomes(**outcome)


def test_a_whole_module_that_skips_itself_fails_where_ci_forbids_skips(pytester, monkeypatch):
    pytester.makeconftest(HOOKS)
    pytester.makepyfile("import pytest\n\npytest.importorskip('no_such_module_at_all')\n")
    monkeypatch.setenv("ATTUNE_NO_SKIP", "1")
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").assert_outcomes(errors=1)
