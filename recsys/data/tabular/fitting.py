"""Whether files and settings fit, said all at once: what is missing in which file, and what was probably meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from logging import getLogger

import pyarrow as pa

from recsys.data.tabular.files import TableFile
from recsys.data.tabular.path import is_object, leaf_paths, list_of, type_of
from recsys.errors import SourceError

_log = getLogger(__name__)
_DELIMITERS = (";", "\t", "|", ",")
_MOST_NAMES = 60


@dataclass(frozen=True, slots=True)
class Need:
    """Columns that a file must have: all of one of the `choices`.

    Attributes:
        choices: sets of columns.
        essential: without it no row of the file can be used.
        whole: it is a list that is taken as such, whatever its elements are.
        textual: it holds times that are written out; numbers would be of an unknown unit.
    """

    choices: tuple[tuple[str, ...], ...]
    essential: bool = False
    whole: bool = False
    textual: bool = False


def require(wanted: Sequence[tuple[TableFile, Sequence[Need]]]) -> None:
    """Checks every file; a key that JSON lines lack at first may come later, and is only warned of.

    Raises:
        SourceError: columns are missing or there twice; all of them, of all files, with close matches.
    """
    faults: dict[str, list[TableFile]] = {}
    unseen: dict[str, int] = {}
    uncertain = sum(not file.certain for file, _ in wanted)
    for file, needs in wanted:
        schema = file.schema()
        if not file.certain and not len(schema):
            uncertain -= 1
            continue
        missing = {name: need.essential for need in needs for name in _missing(schema, need)}
        if file.certain:
            hard = sorted(missing)
        else:
            hard = sorted(name for name, essential in missing.items() if essential)
            for name in sorted(set(missing) - set(hard)):
                unseen[name] = unseen.get(name, 0) + 1
        fault = _fault(schema, hard, needs)
        if fault:
            faults.setdefault(fault, []).append(file)
    if faults:
        raise SourceError("\n".join(f"{_named(files)} {fault}" for fault, files in faults.items()))
    nowhere = sorted(name for name, count in unseen.items() if count == uncertain)
    if nowhere:
        names = sorted({path for file, _ in wanted if not file.certain for path in leaf_paths(file.schema())})
        guesses = ", ".join(_guess(name, names) for name in nowhere)
        _log.warning("no line at the beginning of the files has %s; fine if it comes later or never", guesses)


def _missing(schema: pa.Schema, need: Need) -> list[str]:
    """The columns that the best of the choices lacks."""
    lacking = [[name for name in names if type_of(schema, name) is None] for names in need.choices]
    return min(lacking, key=len, default=[])


def _fault(schema: pa.Schema, missing: Sequence[str], needs: Sequence[Need]) -> str:
    names = list(leaf_paths(schema))
    faults = []
    if missing:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        faults.append(
            f"has no column {', '.join(_guess(name, names) for name in missing)}; it has: "
            f"{', '.join(names[:_MOST_NAMES])}{more}{_delimiter_hint(names)}"
        )
    used = sorted({name for need in needs for choice in need.choices for name in choice})
    twice = [name for name in used if schema.names.count(name) > 1]
    if twice:
        faults.append(f"has the column {', '.join(map(repr, twice))} more than once; rename one")
    for name in sorted({name for need in needs if not need.whole for choice in need.choices for name in choice}):
        kind = None if name in twice else type_of(schema, name)
        if kind is not None and is_object(kind):
            inner = [path for path in names if path.startswith(name)]
            faults.append(f"has no single values in {name!r}, it is an object; name one of {', '.join(inner)}")
    for name in sorted({name for need in needs if need.textual for choice in need.choices for name in choice}):
        kind = None if name in twice else type_of(schema, name)
        if kind is not None and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            faults.append(
                f"has {kind} in {name!r}, which time_format 'iso' cannot read; set it to epoch_s, epoch_ms or "
                "epoch_us, or to a pattern such as '%Y%m%d'"
            )
    return "; ".join(faults)


def _guess(name: str, names: Sequence[str]) -> str:
    """The name and, where there is one like it, what was probably meant."""
    base = list_of(name)
    if base in names:
        return (
            f"{name!r} ({base!r} is a text; write data.explode={{column: {base}, separator: '|'}} if it holds a list)"
        )
    alike = {_plain(other): other for other in reversed(names)}
    near = get_close_matches(_plain(name), list(alike), 1, 0.7)
    return f"{name!r} (did you mean {alike[near[0]]!r}?)" if near else repr(name)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum() or character in ".[]")


def _delimiter_hint(names: Sequence[str]) -> str:
    if len(names) != 1:
        return ""
    mark = max(_DELIMITERS, key=names[0].count)
    return f"; is the delimiter {mark!r}? Then set data.delimiter" if mark in names[0] else ""


def _named(files: Sequence[TableFile]) -> str:
    more = f" (and {len(files) - 1} more files)" if len(files) > 1 else ""
    return f"{files[0].path}{more}"
