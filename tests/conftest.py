"""What all tests share."""

import os
from collections.abc import Generator

import pytest


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
