"""The wheel works without the repository: everything is inside, and the commands run from any directory."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("recsys", "training", "serving", "conf")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and the wheel."""

    wheel: Path
    bin: Path

    def run(self, *command: str, cwd: Path) -> str:
        """Standard output of one of the environment's programs; anything but exit status 0 fails the test."""
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
        done = subprocess.run(
            [self.bin / command[0], *command[1:]], cwd=cwd, env=environment, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Builds the wheel and installs it, alone, into an empty environment.

    The dependencies (2 GB) are not installed again: a .pth file lends those of the environment that runs the tests.
    Python reads no .pth of a directory that came in by a .pth, so the editable install there stays invisible.
    """
    home = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", home, ROOT], check=True)
    (wheel,) = home.glob("attune_recsys-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    python = home / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (site,) = (home / "venv" / "lib").glob("python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(wheel, python.parent)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working directory that has nothing to do with the project."""
    return tmp_path


@pytest.fixture
def decoy(tmp_path: Path) -> Path:
    """A working directory with another package named `training` in it, as users' projects have."""
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("raise RuntimeError('the wrong training package')\n")
    return tmp_path


def test_the_wheel_holds_every_module_setting_and_type_marker(installed: Installed):
    inside = set(zipfile.ZipFile(installed.wheel).namelist())
    tracked = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if "__pycache__" not in path.parts]
    wanted = {str(p.relative_to(ROOT)) for p in tracked if p.suffix in (".py", ".yaml", ".typed", ".md")}
    assert sorted(wanted - inside) == []
    assert {
        "recsys/py.typed",
        "training/py.typed",
        "serving/py.typed",
        "conf/data/table.yaml",
        "recsys/BUNDLE.md",
    } <= inside


def test_the_wheel_holds_nothing_but_the_four_packages(installed: Installed):
    top = {name.split("/")[0] for name in zipfile.ZipFile(installed.wheel).namelist()}
    assert top - {name for name in top if name.endswith(".dist-info")} == set(PACKAGES)


def test_the_packages_come_from_the_wheel_and_not_from_the_repository(installed: Installed, elsewhere: Path):
    program = "import conf, recsys, serving, training; print(training.__file__, recsys.__file__)"
    for path in installed.run("python", "-c", program, cwd=elsewhere).split():
        assert Path(path).is_relative_to(installed.bin.parent)


def test_the_command_explains_itself_from_another_directory(installed: Installed, elsewhere: Path):
    assert "experiment" in installed.run("recsys-train", "--help", cwd=elsewhere)
    assert list(elsewhere.iterdir()) == []


COMMANDS = ("train", "evaluate", "sweep", "promote", "retrain", "ingest", "describe", "erase", "migrate")
SCRIPTS = [f"recsys-{name}" for name in (*COMMANDS, "serve", "export", "keys")]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_command_starts_from_a_directory_with_a_decoy_package(installed: Installed, decoy: Path, script: str):
    assert installed.run(script, "--help", cwd=decoy)


def test_the_command_finds_its_settings_beside_a_decoy_package(installed: Installed, decoy: Path):
    settings = installed.run("recsys-train", "data=table", "--cfg", "job", cwd=decoy)
    assert "recsys.data.table.TableSource" in settings


def test_the_module_runs_from_another_directory(installed: Installed, elsewhere: Path):
    settings = installed.run("python", "-m", "training.train", "--cfg", "job", cwd=elsewhere)
    assert "_target_: recsys." in settings
