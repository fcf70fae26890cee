"""`python -m training.erase log=FOLDER shopper=user:ID`: remove a shopper from an event log for good."""

import sys
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from recsys.clock import SystemClock
from recsys.errors import ConfigError
from recsys.log.erase import Named, erase
from recsys.log.reader import EventLog
from training.command import command
from training.report import LITERATURE_MODE, accounted

_SHOPPER = "shopper="


def erase_shopper(config: DictConfig, shopper: str | None) -> None:
    """Erase `shopper`, and say what went and what is left to do."""
    if config.log is None or shopper is None:
        raise ConfigError("say what to erase where: log=FOLDER shopper=user:ID (or shopper=anonymous:ID)")
    folder, console = Path(config.log).absolute(), Console()
    receipt = erase(folder, Named.parse(shopper), clock=SystemClock())
    console.print(
        f"erased {receipt.events:,} events and {receipt.quarantined:,} refused rows; {receipt.blanked:,} rows of "
        f"others lost an anonymous id; {receipt.files_rewritten:,} files of the log and {receipt.cache_files:,} of its "
        "cache were replaced or removed"
    )
    if not receipt.events + receipt.blanked + receipt.quarantined:
        console.print("no row was theirs; rows that come later are kept out", style="yellow")
    summary = EventLog(folder).summary
    if summary.order_only:
        console.print(LITERATURE_MODE, style="yellow", highlight=False)
    console.print(accounted(summary))
    console.print(f"receipt: {sorted((folder / 'receipts').iterdir())[-1]}", highlight=False, soft_wrap=True)
    for other in sorted(path.parent for path in folder.parent.glob("*/manifest.json") if path.parent != folder):
        console.print(
            f"not touched: {other}; if it holds the shopper, erase there, too", style="yellow", soft_wrap=True
        )
    console.print("models and bundles that were trained before are not changed: train again")
    console.print(
        "data cards that were made with show_ids=true (outputs/cards, artifacts of runs in MLflow) may name the "
        "shopper: delete them"
    )


def main() -> None:
    """Entry point. Hydra does not get to see the id: it is taken as it stands, whatever characters it has."""
    given = [argument for argument in sys.argv[1:] if argument.startswith(_SHOPPER)]
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument not in given]
    shopper = given[-1].removeprefix(_SHOPPER) if given else None
    command("erase", lambda config: erase_shopper(config, shopper))


if __name__ == "__main__":
    main()
