"""`recsys-retrain`: take in new events, train from the champion, promote or refuse. For a schedule, exported first:

cron         15 3 * * *  cd /srv/shop && recsys-export && recsys-retrain data=myshop --config-dir my >> retrain.log 2>&1
systemd      ExecStart=/bin/sh -c 'recsys-export && recsys-retrain'   in a Type=oneshot service with WorkingDirectory=,
             and OnCalendar=*-*-* 03:15 with Persistent=true in its timer
Kubernetes   a CronJob with schedule: "15 3 * * *", concurrencyPolicy: Forbid, restartPolicy: Never, backoffLimit: 0 and
             command: [sh, -c, "recsys-export && recsys-retrain"], the volume with `outputs` mounted

Starting it twice is safe: the second says that one is running. Exit status: 0 promoted, or nothing to do; 1 refused, or
something failed (the tag `decision` of the MLflow run says which); 2 settings that cannot work.
"""

import sys

from omegaconf import DictConfig, open_dict
from rich.console import Console

from recsys.errors import ConfigError
from training.command import command
from training.renewal import Renewal, retrain
from training.train import assemble


def _run(config: DictConfig) -> None:
    with open_dict(config):
        renewal = Renewal(test_days=config.pop("test_days"), margin=config.pop("margin"))
    decision = retrain(assemble(config), renewal, Console())
    if decision is not None and decision.is_refusal:
        sys.exit(1)


def main() -> None:
    """Entry point."""
    command("retrain", _run, statuses={ConfigError: 2})


if __name__ == "__main__":
    main()
