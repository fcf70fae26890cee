"""Turns a Hydra configuration into a running command: early, readable refusals and no secrets of Hydra below it."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from recsys.errors import RecsysError


def command(config_name: str, run: Callable[[DictConfig], object]) -> None:
    """Run `run` with the composed configuration `conf/<config_name>.yaml`.

    Unknown groups, choices and keys end with status 2 before any work and show what exists; a `RecsysError` ends with
    status 1 and its message, without a traceback.
    """
    sys.argv[1:] = [_quoted(argument) for argument in sys.argv[1:]]
    problem = _problem(config_name, _overrides(sys.argv[1:]))
    if problem:
        _say(problem)
        sys.exit(2)

    @hydra.main(version_base="1.3", config_path="pkg://conf", config_name=config_name)
    def main(config: DictConfig) -> None:
        try:
            run(config)
        except (RecsysError, InstantiationException) as error:
            cause = _deliberate(error)
            if cause is None:
                raise
            _say(f"{type(cause).__name__}: {cause}")
            sys.exit(1)
        except OSError as error:
            if error.filename is None and error.errno is None:
                raise
            _say(f"{error}; make room or choose a folder that can be written with outputs=...")
            sys.exit(1)
        except KeyboardInterrupt:
            Console(stderr=True).print("interrupted; nothing half-written was left behind", style="yellow")
            sys.exit(130)

    main()


def _say(problem: str) -> None:
    Console(stderr=True).print(problem, style="red", markup=False, highlight=False, soft_wrap=True)


def _deliberate(error: BaseException | None) -> RecsysError | None:
    """The `RecsysError` that this is or was raised from: what a part's constructor refuses, Hydra wraps."""
    while error is not None and not isinstance(error, RecsysError):
        error = error.__cause__
    return error


def _overrides(arguments: list[str]) -> list[str]:
    """The overrides among the arguments; a folder given with --config-dir is searched for choices, too."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    for long, short in (("dir", "-cd"), ("name", "-cn"), ("path", "-cp")):
        parser.add_argument(f"--config-{long}", short)
    parser.add_argument("--cfg", "-c")
    parser.add_argument("--package", "-p")
    known, rest = parser.parse_known_args(arguments)
    more = [f"hydra.searchpath=[file://{Path(known.config_dir).absolute()}]"] if known.config_dir else []
    return [*(argument for argument in rest if not argument.startswith("-")), *more]


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
        if override.startswith("hydra."):
            continue
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
