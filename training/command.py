"""Turns a Hydra configuration into a running command: early, readable refusals and no secrets of Hydra below it."""

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import hydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig
from rich.console import Console

from conf.overrides import check_command_line
from conf.usage import usage
from recsys.errors import RecsysError


def command(
    config_name: str,
    run: Callable[[DictConfig], object],
    *,
    statuses: Mapping[type[RecsysError], int] = MappingProxyType({}),
) -> None:
    """Run `run` with the composed configuration `conf/<config_name>.yaml`.

    Unknown groups, choices and keys end with status 2 before any work and show what exists; a `RecsysError` ends with
    status 1 and its message, without a traceback, or with the status that `statuses` gives for its class.
    """
    if problem := check_command_line(config_name):
        _say(problem)
        sys.exit(2)
    if {"--help", "-h"} & set(sys.argv[1:]):
        text = usage(config_name, sys.argv[1:], width=shutil.get_terminal_size((100, 0)).columns)
        Console().print(text, markup=False, highlight=False, soft_wrap=True)
        return

    @hydra.main(version_base="1.3", config_path="pkg://conf", config_name=config_name)
    def main(config: DictConfig) -> None:
        try:
            run(config)
        except (RecsysError, InstantiationException) as error:
            cause = _deliberate(error)
            if cause is None:
                raise
            _say(f"{type(cause).__name__}: {cause}")
            sys.exit(next((status for kind, status in statuses.items() if isinstance(cause, kind)), 1))
        except OSError as error:
            if error.filename is None and error.errno is None:
                raise
            _say(f"{error}; make room or choose a folder that can be written with outputs=...")
            sys.exit(1)
        except KeyboardInterrupt:
            Console(stderr=True).print("interrupted; nothing half-written was left behind", style="yellow")
            sys.exit(130)

    main()


def literal(argument: str, key: str) -> str:
    """An argument KEY=TEXT with the text as it was typed: Hydra would take commas, quotes and brackets for its own.

    What is quoted for Hydra already, and null, is left alone. Within quotes it reads a backslash as one, but before a
    quote.
    """
    name, _, text = argument.partition("=")
    if name != key or text == "null" or text[:1] in ("'", '"'):
        return argument
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text)
    return f"{key}='{escaped}'"


def _say(problem: str) -> None:
    Console(stderr=True).print(problem, style="red", markup=False, highlight=False, soft_wrap=True)


def _deliberate(error: BaseException | None) -> RecsysError | None:
    """The `RecsysError` that this is or was raised from: what a part's constructor refuses, Hydra wraps."""
    while error is not None and not isinstance(error, RecsysError):
        error = error.__cause__
    return error
