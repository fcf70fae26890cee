"""What is wrong with a command line, said before any work: the one piece of code beside the settings it speaks of."""

import sys
from argparse import ArgumentParser
from importlib import resources
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from conf.source_paths import as_overrides, source_paths


def check_command_line(config_name: str) -> str | None:
    """Why the command line does not compose with `conf/<config_name>.yaml`, with what exists instead; None if it does.

    Rewrites `sys.argv` where Hydra would misread it: see `_quoted`; and where paths stand in it: see
    `conf/source_paths.py`.
    """
    given = [_quoted(argument) for argument in sys.argv[1:]]
    paths = source_paths(_positional(given)[0])
    for path in paths:
        given.reverse()
        given.remove(path)
        given.reverse()
    sys.argv[1:] = given
    if problem := _problem(config_name, overrides_among(given)):
        return problem
    try:
        sys.argv[1:] += as_overrides(paths, _composed(config_name, overrides_among(given)), config_name)
    except ValueError as refused:
        return str(refused)
    return None


def overrides_among(arguments: list[str]) -> list[str]:
    """The overrides among the arguments; a folder given with --config-dir is searched for choices, too."""
    positional, config_dir = _positional(arguments)
    more = [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"] if config_dir else []
    return [*positional, *more]


def _positional(arguments: list[str]) -> tuple[list[str], str | None]:
    """The arguments that are no options of Hydra, and the value of --config-dir."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    for long, short in (("dir", "-cd"), ("name", "-cn"), ("path", "-cp")):
        parser.add_argument(f"--config-{long}", short)
    parser.add_argument("--cfg", "-c")
    parser.add_argument("--package", "-p")
    parser.add_argument("--info", "-i", nargs="?")
    known, rest = parser.parse_known_args(arguments)
    return [argument for argument in rest if not argument.startswith("-")], known.config_dir


def _quoted(argument: str) -> str:
    """`tracker=null` means the choice of that name; bare, Hydra would read it as no value at all."""
    group, _, choice = argument.partition("=")
    is_choice = choice == "null" and resources.files("conf").joinpath(group, "null.yaml").is_file()
    return f"{group}='null'" if is_choice else argument


def _problem(config_name: str, overrides: list[str]) -> str | None:
    """Why these overrides do not compose, with what could have been meant; None if they do."""
    try:
        _composed(config_name, overrides)
        return None
    except HydraException as error:
        lines = [line for line in str(error).splitlines() if "full_key" not in line]
        keys = _existing_keys(config_name, overrides)
        return "\n".join([*(line for line in lines if "+" not in line or not keys), *keys])
    finally:
        GlobalHydra.instance().clear()


def _composed(config_name: str, overrides: list[str]) -> Any:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        return hydra.compose(config_name, overrides)


def _existing_keys(config_name: str, overrides: list[str]) -> list[str]:
    """For every override of a key that does not exist: the keys that exist at the deepest level it reached."""
    groups = [o for o in overrides if "." not in o.split("=", 1)[0] and "/" not in o.split("=", 1)[0]]
    with hydra.initialize_config_module("conf", version_base="1.3"):
        try:
            config: Any = hydra.compose(config_name, groups)
        except HydraException:
            config = hydra.compose(config_name)
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
