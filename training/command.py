"""Turns a Hydra configuration into a running command: early, readable refusals and no secrets of Hydra below it."""

import sys
from collections.abc import Callable
from importlib import resources
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from recsys.errors import RecsysError


def command(config_name: str, run: Callable[[DictConfig], object]) -> None:
    """Run `run` with the composed configuration `conf/<config_name>.yaml`.

    Unknown groups, choices and keys end with status 2 before any work and show what exists; a `RecsysError` ends with
    status 1 and its message, without a traceback.
    """
    sys.argv[1:] = [_quoted(argument) for argument in sys.argv[1:]]
    overrides = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    problem = _problem(config_name, overrides)
    if problem:
        Console(stderr=True).print(problem, style="red", markup=False, highlight=False)
        sys.exit(2)

    @hydra.main(version_base="1.3", config_path="pkg://conf", config_name=config_name)
    def main(config: DictConfig) -> None:
        try:
            run(config)
        except RecsysError as error:
            Console(stderr=True).print(f"{type(error).__name__}: {error}", style="red", markup=False, highlight=False)
            sys.exit(1)
        except KeyboardInterrupt:
            Console(stderr=True).print("interrupted; nothing half-written was left behind", style="yellow")
            sys.exit(130)

    main()


def _quoted(argument: str) -> str:
    """`tracker=null` means the choice of that name; bare, Hydra would read it as no value at all."""
    group, _, choice = argument.partition("=")
    is_choice = choice == "null" and resources.files("conf").joinpath(group, "null.yaml").is_file()
    return f"{group}='null'" if is_choice else argument


def _problem(config_name: str, overrides: list[str]) -> str | None:
    """Why these overrides do not compose, with what could have been meant; None if they do."""
    try:
        with hydra.initialize_config_module("conf", version_base="1.3"):
            hydra.compose(config_name, overrides)
        return None
    except HydraException as error:
        lines = [line for line in str(error).splitlines() if "+" not in line and "full_key" not in line]
        return "\n".join([*lines, *_existing_keys(config_name, overrides)])
    finally:
        GlobalHydra.instance().clear()


def _existing_keys(config_name: str, overrides: list[str]) -> list[str]:
    """For every override of a key that does not exist: the keys that exist at the deepest level it reached."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        config: Any = hydra.compose(config_name)
    hints = []
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+~")
        node: Any = config
        path: list[str] = []
        for part in key.split("@")[0].replace("/", ".").split("."):
            if not OmegaConf.is_dict(node) or part not in node:
                keys = sorted(str(k) for k in node if not str(k).startswith("_")) if OmegaConf.is_dict(node) else []
                hints.append(f"{key!r}: {'.'.join(path) or config_name} has {', '.join(keys)}")
                break
            node, path = node[part], [*path, part]
    return hints
