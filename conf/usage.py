"""What `--help` says: the settings of one command, as they are now, within the width of a terminal."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from conf.overrides import overrides_among

_WIDEST = 100
_LABEL = 22
_FILES = "The files conf/GROUP/CHOICE.yaml say what each key means. "
_ALSO = "--cfg job prints all settings as composed, --info shows where they come from."
_SAID = re.compile(r"^(\w+):[^#\n]*# (.*)$", re.MULTILINE)


def usage(config_name: str, arguments: Sequence[str], *, width: int) -> str:
    """The help of `conf/<config_name>.yaml`: examples, then groups and keys with the values that `arguments` give them.

    Only groups that the command has are named; the YAML files say what the keys of a group mean.
    """
    overrides = overrides_among([argument for argument in arguments if argument not in ("--help", "-h")])
    with hydra.initialize_config_module("conf", version_base="1.3"):
        composed = hydra.compose(config_name, overrides, return_hydra_config=True)
        own = composed.hydra
        chosen: dict[str, Any] = dict(own.runtime.choices)
        loader = GlobalHydra.instance().config_loader()
        choices = {group: loader.get_group_options(group) for group in chosen if not group.startswith("hydra/")}
        OmegaConf.set_struct(composed, False)
        del composed["hydra"]
        values: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    width = min(width, _WIDEST)
    lines = [own.help.header.rstrip()]
    groups = sorted((group for group in choices if choices[group]), key=[*values, *choices].index)
    lines += ["", "Parts (GROUP=CHOICE) with their keys (GROUP.KEY=VALUE), as they are now:", ""] if groups else []
    for group in groups:
        lines += _group(group, chosen[group], choices[group], values.get(group), width)
    lines += ["", "Keys of the command itself (KEY=VALUE):", ""]
    said = _said(config_name)
    for key in (key for key in values if key not in choices):
        below = " ".join(_settings(values[key])) if isinstance(values[key], Mapping) else ""
        lines += _entry(f"{key}." if below else f"{key}={_value(values[key])}", said.get(key, ""), width)
        lines += _entry("", below, width) if below else ()
    lines += ["", *textwrap.wrap(_FILES * bool(groups) + _ALSO, width)]
    return "\n".join(lines)


def _group(group: str, chosen: str | None, choices: Sequence[str], node: Any, width: int) -> Iterator[str]:
    """The choice with its keys, then what could be chosen instead."""
    keys = {key: value for key, value in node.items() if not key.startswith("_")} if isinstance(node, Mapping) else {}
    settings = " ".join(f"{key}={_value(value)}" for key, value in keys.items())
    yield from _entry(f"{group}={chosen or 'null'}", settings, width)
    others = [choice for choice in choices if choice != chosen]
    if others:
        yield from _entry("", f"or {', '.join(others)}", width)


def _settings(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Nested keys as one would type them."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{key}.")
        elif not key.startswith("_"):
            yield f"{prefix}{key}={_value(value)}"


def _entry(label: str, text: str, width: int) -> Iterator[str]:
    """A label and what belongs to it, beside it where there is room."""
    indent = " " * (_LABEL + 2)
    wrapped = textwrap.wrap(text, max(width, 2 * _LABEL), initial_indent=indent, subsequent_indent=indent) or [""]
    if len(label) > _LABEL - 2:
        yield f"  {label}"
        yield from (line for line in wrapped if line)
    else:
        yield f"  {label:{_LABEL}}{wrapped[0].strip()}".rstrip()
        yield from wrapped[1:]


def _value(value: Any) -> str:
    """A plain value as one would type it; what is nested deeper is left to its file."""
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    if isinstance(value, list):
        return "[…]" if any(isinstance(item, Mapping) for item in value) else f"[{','.join(map(_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _said(config_name: str) -> dict[str, str]:
    """The remarks behind the keys of a main configuration and of those it is made from."""
    text = resources.files("conf").joinpath(f"{config_name}.yaml").read_text()
    settings: Any = OmegaConf.create(text)
    defaults = settings.get("defaults", [])
    bases = [base for base in defaults if isinstance(base, str) and base != "_self_"]
    found: dict[str, str] = {}
    for base in bases:
        found |= _said(base)
    return found | dict(_SAID.findall(text))
