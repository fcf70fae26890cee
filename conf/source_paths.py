"""Paths on the command line: `recsys-ingest data=table my/*.csv` says where the source's data lies, without the key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_WILDCARDS = frozenset("*?[")


def source_paths(arguments: Sequence[str]) -> list[str]:
    """Those of the arguments that name files: no KEY=VALUE, or there is a file of that name."""
    return [text for text in arguments if not text.startswith(("~", "+")) and ("=" not in text or Path(text).exists())]


def as_overrides(paths: Sequence[str], config: Any, config_name: str) -> list[str]:
    """The keys of `config.data` that the paths stand for: data.files, or data.folder (and data.file in it).

    Raises:
        ValueError: the source takes no paths, not these, or they do not exist; the message says which.
    """
    if not paths:
        return []
    for path in paths:
        if not Path(path).exists() and not _WILDCARDS & set(path):
            raise ValueError(f"{path!r} is neither KEY=VALUE nor a file or folder that exists")
    data = config.get("data")
    if data is None or not {"files", "folder"} & set(data):
        raise ValueError(f"{_listed(paths)}: {config_name} takes no paths here; name what they are with KEY=VALUE")
    if "files" in data:
        return [f"data.files=[{','.join(_quoted(path) for path in paths)}]"]
    if len(paths) == 1 and Path(paths[0]).is_dir():
        return [f"data.folder={_quoted(paths[0])}"]
    if len(paths) == 1 and "file" in data and Path(paths[0]).is_file():
        file = Path(paths[0])
        return [f"data.folder={_quoted(str(file.parent))}", f"data.file={_quoted(file.name)}"]
    one = "one folder, or one file" if "file" in data else "the one folder that holds its files"
    raise ValueError(f"{_listed(paths)}: {data.get('name') or 'this source'} reads {one}; give that")


def _quoted(text: str) -> str:
    escaped = text.replace("'", "\\'")
    return f"'{escaped}'"


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(map(repr, paths))
