"""The classes a bundle may construct. A bundle names a class by import path; only registered ones are built.

Reading a bundle must never run code that the bundle chose: a path outside the rooms below is refused before
anything is imported, and a class that did not register itself is refused after.
"""

import importlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from recsys.errors import BundleError, ConfigError

_ROOMS = tuple(
    f"recsys.{room}." for room in ("feature", "model", "tower", "similarity", "retrieval", "ranker", "policy", "intent")
)
_REGISTERED: dict[str, type] = {}

T = TypeVar("T", bound=type)


def path_of(cls: type) -> str:
    """The import path under which a class is stored in a bundle."""
    return f"{cls.__module__}.{cls.__qualname__}"


def registered(cls: T) -> T:
    """Class decorator: a bundle may name this class."""
    _REGISTERED[path_of(cls)] = cls
    return cls


def insist_registered(*parts: object) -> None:
    """Refuse what a bundle could not build again, before anybody trains it."""
    for part in parts:
        if (path := path_of(type(part))) not in _REGISTERED:
            raise ConfigError(f"{path} cannot be stored in a bundle; put @registered (recsys.registry) on the class")


def described(part: Any) -> dict[str, Any]:
    """A part as plain values, as `construct` takes them: its class and its settings, parts among them likewise."""
    settings = part.settings() if hasattr(part, "settings") else asdict(part)
    return {
        "class": path_of(type(part)),
        "settings": {
            name: described(value) if path_of(type(value)) in _REGISTERED else value for name, value in settings.items()
        },
    }


def construct(path: str, arguments: Mapping[str, Any]) -> Any:
    """Build the registered class at `path`; anything else raises BundleError."""
    if not path.startswith(_ROOMS):
        raise BundleError(f"the bundle asks for {path!r}; only classes under {', '.join(_ROOMS)} may be built")
    try:
        importlib.import_module(path.rpartition(".")[0])
    except ImportError as error:
        raise BundleError(f"the bundle asks for {path!r}, which this release does not have ({error})") from error
    cls = _REGISTERED.get(path)
    if cls is None:
        raise BundleError(f"the bundle asks for {path!r}, which is not a registered class")
    made = {
        name: construct(value["class"], value["settings"])
        if isinstance(value, Mapping) and value.keys() == {"class", "settings"}
        else value
        for name, value in arguments.items()
    }
    try:
        return cls(**made)
    except (TypeError, ValueError) as error:
        raise BundleError(f"the bundle's settings do not fit {path}: {error}") from error
