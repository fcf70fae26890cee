"""`recsys-promote`: compare a challenger with the champion and promote it, refuse it, or roll back."""

import sys

from omegaconf import DictConfig, open_dict
from rich.console import Console

from training.command import command, literal
from training.contest import Asked, contest, roll_back
from training.train import assemble


def _run(config: DictConfig) -> None:
    with open_dict(config):
        challenger, reason, margin, rollback = (
            config.pop(name) for name in ("challenger", "reason", "margin", "rollback")
        )
    asked = Asked(challenger=str(challenger), reason=None if reason is None else str(reason), margin=margin)
    recipe, console = assemble(config), Console()
    tracker = recipe.tracker(outputs=recipe.outputs)
    if rollback:
        roll_back(tracker, asked.reason, console)
    elif contest(recipe, asked, tracker, console).is_refusal:
        sys.exit(1)


def main() -> None:
    """Entry point."""
    sys.argv[1:] = [literal(argument, "reason") for argument in sys.argv[1:]]
    command("promote", _run)


if __name__ == "__main__":
    main()
