"""What all tests share."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several processes share the cores; read when torch is imported

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import hydra
import hypothesis
import pytest
from rich.console import Console
from xdist.scheduler import LoadScopeScheduling

from recsys.feature.token import TOKEN_FEATURES
from tests.made_up_shop import MadeUpShop
from training.loop import run
from training.recipe import Recipe
from training.train import assemble

# No deadline per example: on a busy machine it would measure the neighbours.
hypothesis.settings.register_profile("attune", deadline=None)
hypothesis.settings.load_profile("attune")


class ByFile(LoadScopeScheduling):
    """Under `pytest -n`, a file stays in one process, because its tests share what is slow to make; so do all tests of
    serving, which share one server and look for what servers leave behind."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "serving" if file.startswith("tests/serving/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where ATTUNE_NO_SKIP is set, so that CI cannot go green by not running.

    The one excuse is a data set that may not be redistributed: its reason must name `shared/data`.
    """
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    excused = hasattr(report, "wasxfail") or "shared/data" in reason
    if report.skipped and os.environ.get("ATTUNE_NO_SKIP") and not excused:
        report.outcome = "failed"
        report.longrepr = f"skipped although ATTUNE_NO_SKIP is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The default recipe, made small: a made-up shop, one small block, no tracking, but every feature."""
    overrides = ["tracker='null'", "model.dim=16", "model.blocks=1", "loss.negatives=64", "trainer.epochs=3"]
    overrides += ["trainer.batch_tokens=800", "features.max_length=50", "trainer.context_tokens=10"]
    overrides += [f"features.token=[{','.join(TOKEN_FEATURES)}]"]
    with hydra.initialize_config_module("conf", version_base="1.3"):
        recipe = assemble(hydra.compose("train", overrides))
    return replace(recipe, data=MadeUpShop(), outputs=tmp_path_factory.mktemp("outputs"))


@pytest.fixture(scope="session")
def tiny_bundle(tiny_recipe: Recipe) -> Path:
    """A really trained bundle of the made-up shop, made once for the whole run."""
    return run(tiny_recipe, Console(quiet=True))
