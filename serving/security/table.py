"""Which scope a request needs, read from what the routes declare in the OpenAPI document.

The document and the router could read a path differently; so every template that a path could possibly mean counts, and
all of their scopes are needed. What no template could mean is nobody's but an admin's.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from serving.security.scope import SCHEME, UNDECLARED, Scope

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PARAMETER = re.compile(r"\{[^}]*\}")
Needed = frozenset[Scope]
"""All of these scopes; none of them where a route answers anybody."""


class RouteTable:
    """Scopes by method and path.

    Args:
        document: an OpenAPI document whose operations declare what they need (`serving.security.scope.needs`).
        open_paths: what lies there or below needs nothing, unless the document says otherwise.
    """

    def __init__(self, document: Mapping[str, Any], *, open_paths: Sequence[str] = ()) -> None:
        declared = [
            (method.upper(), path, _scopes(operation.get("security", document.get("security", UNDECLARED))))
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
            if method in _METHODS
        ]
        self._open = tuple(open_paths)
        self._templates = [(method, _pattern(path), scopes) for method, path, scopes in declared if "{" in path]
        self._exact: dict[tuple[str, str], Needed] = {}
        for method, path, scopes in declared:
            if "{" not in path:
                self._exact[method, path] = scopes.union(*self._matching(method, path))

    def needed(self, method: str, path: str) -> Needed | None:
        """The scopes that a request needs, all of them; None where nothing is known to be there."""
        found = self._exact.get((method, path))
        if found is not None:
            return found
        matching = self._matching(method, path)
        if matching:
            return matching[0].union(*matching)
        if any(path == one or path.startswith(f"{one}/") for one in self._open):
            return frozenset()
        return None

    def _matching(self, method: str, path: str) -> list[Needed]:
        return [scopes for asked, pattern, scopes in self._templates if asked == method and pattern.fullmatch(path)]


def _pattern(template: str) -> re.Pattern[str]:
    """Matches whatever the router's own pattern could, and more."""
    return re.compile(".*".join(map(re.escape, _PARAMETER.split(template))) + "\n?", re.DOTALL)


def _scopes(security: Sequence[Mapping[str, Sequence[str]]]) -> Needed:
    return frozenset(Scope(name) for requirement in security for name in requirement.get(SCHEME, ()))
