"""Runs inside runs, and runs that go on where a killed process left them."""

from collections.abc import Mapping
from typing import Any

from mlflow.entities import Param, Run, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

KEY = "attune.key"
_MOST_PARAM_LENGTH = 500
_PAGE = 1_000


def opened_run(
    client: MlflowClient,
    experiment: str,
    name: str,
    *,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    parent: str | None,
    key: str | None,
) -> str:
    """The id of a run that runs: the one of that `key` if the experiment has it, else a new one, child of `parent`."""
    if key is not None and (left := _found(client, experiment, KEY, key)):
        run: str = left[0].info.run_id
        for child in _found(client, experiment, MLFLOW_PARENT_RUN_ID, run):
            if child.info.status == "RUNNING":
                client.set_terminated(child.info.run_id, "KILLED")
        client.update_run(run, status="RUNNING")
        return run
    run = client.create_run(experiment, run_name=name).info.run_id
    lineage = {MLFLOW_PARENT_RUN_ID: parent, KEY: key}
    client.log_batch(
        run,
        params=[Param(name, str(value)[:_MOST_PARAM_LENGTH]) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in {**tags, **lineage}.items() if value is not None],
    )
    return run


def _found(client: MlflowClient, experiment: str, tag: str, value: str) -> list[Run]:
    """The runs with this tag, the latest first."""
    wanted = f"tags.`{tag}` = '{value}'"
    return list(client.search_runs([experiment], wanted, max_results=_PAGE))
