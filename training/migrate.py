"""`python -m training.migrate log=FOLDER`: bring an event log of an earlier release up to the present schema."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from recsys.errors import ConfigError
from recsys.log.migrate import migrate
from recsys.log.reader import EventLog
from training.command import command
from training.report import print_log


def migrate_log(config: DictConfig) -> None:
    """Migrate, and show the log."""
    if config.log is None:
        raise ConfigError("say which log to migrate: log=FOLDER")
    folder, console = Path(config.log).absolute(), Console()
    before, after = migrate(folder)
    console.print(
        f"migrated from schema version {before} to {after}" if before != after else f"schema version is {after} already"
    )
    print_log(EventLog(folder).summary, folder, console)


def main() -> None:
    """Entry point."""
    command("migrate", migrate_log)


if __name__ == "__main__":
    main()
